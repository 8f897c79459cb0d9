"""Only `jobs/transitions.py` writes a job's state; shown from the SQL texts of the whole package."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import rushes

SOURCE = Path(rushes.__file__).parent
OWNER = SOURCE / "jobs" / "transitions.py"
FILLED_IN = "\N{WHITE SQUARE}"
"""Stands for what an f-string fills in."""

WRITES_STATE = re.compile(
    r"""
    \bUPDATE\s+jobs\s+SET\b (?: (?!\bWHERE\b) . )* (?: \bstate\s*= | FILLED_IN )
    | \b(?:INSERT(?:\s+OR\s+\w+)?|REPLACE)\s+INTO\s+jobs\b
    """.replace("FILLED_IN", FILLED_IN),
    re.VERBOSE | re.IGNORECASE | re.DOTALL,
)
"""An UPDATE that sets `state`, or that has its columns filled in, and every INSERT."""


def texts_in(source: str) -> Iterator[str]:
    """Every string of a program, f-strings and sums of strings as one."""
    for node in ast.walk(ast.parse(source)):
        text = _text(node)
        if text is not None:
            yield text


def _text(node: ast.AST) -> str | None:
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return node.value
    if isinstance(node, ast.JoinedStr):
        return "".join(_text(part) or FILLED_IN for part in node.values)
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
        parts = (_text(node.left), _text(node.right))
        return None if parts == (None, None) else "".join(part or FILLED_IN for part in parts)
    return None


def writes_state(source: str) -> bool:
    return any(WRITES_STATE.search(text) for text in texts_in(source))


def test_no_other_module_writes_the_state_of_a_job() -> None:
    modules = [path for path in SOURCE.rglob("*.py") if "migrations" not in path.parts]
    assert [path for path in modules if writes_state(path.read_text("utf-8"))] == [OWNER]


@pytest.mark.parametrize(
    "source",
    [
        "X = \"UPDATE jobs SET state = 'failed' WHERE id = :id\"",
        "X = 'UPDATE jobs SET lease = NULL, state=:to'",
        "X = f'UPDATE jobs SET {columns} WHERE id = :id'",
        "X = 'UPDATE jobs ' + 'SET state = :to'",
        'X = """\nupdate jobs\nset error = 1,\n state = \'queued\'\nwhere 1"""',
        "X = 'INSERT INTO jobs (id) VALUES (1)'",
        "X = 'INSERT OR IGNORE INTO jobs (id) VALUES (1)'",
    ],
)
def test_the_search_finds_a_writer(source: str) -> None:
    assert writes_state(source)


@pytest.mark.parametrize(
    "source",
    [
        "X = \"UPDATE jobs SET lease = NULL WHERE state = 'queued'\"",
        "X = \"UPDATE attempts SET state = 'failed'\"",
        "X = 'INSERT INTO job_events (state) VALUES (1)'",
    ],
)
def test_the_search_passes_over_what_leaves_the_state_alone(source: str) -> None:
    assert not writes_state(source)
