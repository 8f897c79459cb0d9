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
OF_THE_WHOLE = {"test_deployment.py", "test_docs.py", "test_mirror.py", "test_package.py", "test_shipped.py"}
"""Tests of the repository or of all data files, which have no module of their own."""


def modules(folder: Path) -> set[str]:
    """The modules and folders of a folder of the source."""
    return {path.stem for path in folder.iterdir()} if folder.is_dir() else set()


@pytest.mark.parametrize("kind", ["unit", "integration"])
def test_each_test_file_is_named_for_a_module_of_the_same_folder(kind: str) -> None:
    top = ROOT / "tests" / kind
    strays = []
    for path in sorted(top.rglob("test_*.py")):
        folder = path.relative_to(top).parent
        name = path.stem.removeprefix("test_")
        known = modules(ROOT / "src" / "rushes" / folder)
        if path.name not in OF_THE_WHOLE and not any(name == one or name.startswith(f"{one}_") for one in known):
            strays.append(str(path.relative_to(ROOT)))
    assert strays == []


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
