from __future__ import annotations

import os
from pathlib import Path

import pytest

from rushes.data_directory import DataDirectory
from rushes.errors import StartupError


def directory(path: Path) -> DataDirectory:
    made = DataDirectory(path)
    made.create()
    return made


def test_a_second_holder_is_told_who_is_the_first(tmp_path: Path) -> None:
    with directory(tmp_path).lock():
        assert directory(tmp_path).is_locked()
        with pytest.raises(StartupError, match=f"in use by another rushes, process {os.getpid()}; .*kill -9"):
            directory(tmp_path).lock()


def test_a_directory_that_was_let_go_can_be_locked_again(tmp_path: Path) -> None:
    with directory(tmp_path).lock():
        pass
    assert not directory(tmp_path).is_locked()
    with directory(tmp_path).lock():
        assert directory(tmp_path).is_locked()


def test_looking_at_the_lock_leaves_it_free(tmp_path: Path) -> None:
    looked_at = directory(tmp_path)
    assert not looked_at.is_locked()
    with looked_at.lock():
        pass


def test_an_existing_directory_and_its_files_are_closed_to_other_users(tmp_path: Path) -> None:
    mask = os.umask(0o022)
    try:
        root = tmp_path / "data"
        root.mkdir(mode=0o755)
        for name in ("rushes.db", "rushes.db-wal", "secret.key"):
            (root / name).touch(mode=0o644)
        found = directory(root)
        (root / "rushes.db-shm").touch()
        assert {path.stat().st_mode & 0o777 for path in (root, found.storage, found.scratch)} == {0o700}
        assert {path.stat().st_mode & 0o777 for path in root.iterdir() if path.is_file()} == {0o600}
    finally:
        os.umask(mask)
