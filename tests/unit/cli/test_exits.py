from __future__ import annotations

from pathlib import Path

import pytest

from rushes.cli.exits import EPILOG, MEANING, Exit, exit_of
from rushes.client import AlreadyThere, ClientError, NotWhole, UnexpectedAnswer, Unreachable, WaitedTooLong
from rushes.client.errors import refused


@pytest.mark.parametrize(
    ("status", "code"),
    [
        (400, 2),
        (413, 2),
        (415, 2),
        (422, 2),
        (401, 3),
        (403, 3),
        (404, 4),
        (410, 4),
        (500, 5),
        (503, 5),
        (409, 6),
        (402, 7),
        (429, 7),
    ],
)
def test_every_status_has_its_exit_code(status: int, code: int) -> None:
    assert exit_of(refused(status, "", code="x")) == code


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (Unreachable(""), 5),
        (UnexpectedAnswer(""), 5),
        (NotWhole(""), 5),
        (AlreadyThere(""), 2),
        (WaitedTooLong("", "job_1"), 124),
    ],
)
def test_what_has_no_status_has_one_too(error: ClientError, code: int) -> None:
    assert exit_of(error) == code


def test_every_exit_code_is_explained() -> None:
    assert list(MEANING) == list(Exit)
    for code, meaning in MEANING.items():
        assert f"{code:>3}  {meaning}" in EPILOG


def test_the_documentation_lists_the_same_codes() -> None:
    text = (Path(__file__).parents[3] / "docs" / "reference" / "commands.md").read_text("utf-8")
    rows = [f"| {code} | {meaning} |" for code, meaning in MEANING.items()]
    assert [row for row in rows if row not in text] == []
