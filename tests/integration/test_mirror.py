"""The folders of tests: what mirrors the source, and what keeps the unit tests in their process."""

from __future__ import annotations

import asyncio
import os
import socket
import sqlite3
import subprocess
from collections.abc import Callable
from multiprocessing import get_context
from pathlib import Path

import pytest

from tests.fixtures.purity import ImpureTest, guarded

ROOT = Path(__file__).resolve().parents[2]
SOURCE = ROOT / "src" / "rushes"
UNIT, INTEGRATION = (ROOT / "tests" / kind for kind in ("unit", "integration"))
OF_THE_WHOLE = {"test_plain_words.py", "test_shipped.py", "test_signs.py"}
"""Unit tests of all source or data files, which have no module of their own."""


def modules(folder: Path) -> set[str]:
    """The modules and folders of a folder of the source."""
    return {path.stem for path in folder.iterdir()} if folder.is_dir() else set()


def test_each_file_of_unit_tests_is_named_for_a_module_of_the_same_folder() -> None:
    strays = []
    for path in sorted(UNIT.rglob("test_*.py")):
        name = path.stem.removeprefix("test_")
        known = modules(SOURCE / path.relative_to(UNIT).parent)
        if path.name not in OF_THE_WHOLE and not any(name == one or name.startswith(f"{one}_") for one in known):
            strays.append(str(path.relative_to(ROOT)))
    assert strays == []


def test_each_folder_of_integration_tests_is_a_folder_of_the_source_or_of_the_repository() -> None:
    """Their files may be named for what they show: it often takes several modules."""
    folders = {path.parent.relative_to(INTEGRATION) for path in INTEGRATION.rglob("test_*.py")}
    assert [folder for folder in folders if not (SOURCE / folder).is_dir() and not (ROOT / folder).is_dir()] == []


def listen() -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))


def process() -> None:
    get_context("spawn").Process(target=os.getpid).start()


IMPURE: dict[str, Callable[[Path], object]] = {
    "writes a file": lambda folder: (folder / "a").write_text("b"),
    "makes a folder": lambda folder: (folder / "a").mkdir(),
    "opens SQLite": lambda folder: sqlite3.connect(folder / "a.db"),
    "opens a socket": lambda _: listen(),
    "asks the resolver": lambda _: socket.getaddrinfo("localhost", 80),
    "starts a process": lambda _: subprocess.run(["true"], check=False),
    "starts a process (multiprocessing)": lambda _: process(),
}


@pytest.mark.parametrize("does", IMPURE)
def test_a_unit_test_may_not_leave_its_process(does: str, tmp_path: Path) -> None:
    with guarded() as seen, pytest.raises(ImpureTest):
        IMPURE[does](tmp_path)
    assert len(seen) == 1
    assert f"a unit test {does}" in seen[0]


async def test_a_thread_of_a_unit_test_may_not_leave_its_process_either(tmp_path: Path) -> None:
    with guarded() as seen, pytest.raises(ImpureTest):
        await asyncio.to_thread((tmp_path / "a").write_text, "b")
    assert len(seen) == 1


def test_a_unit_test_may_read_what_is_shipped() -> None:
    with guarded() as seen:
        assert (ROOT / "pyproject.toml").read_text("utf-8")
    assert seen == []
