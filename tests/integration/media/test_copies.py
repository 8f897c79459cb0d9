from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from rushes.media.copies import copy_files


@pytest.fixture
def stored(tmp_path: Path) -> Path:
    root = tmp_path / "storage"
    for name in ("videos/a/0.mp4", "inputs/b.png", ".incoming/half"):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(name)
    return root


def names_in(root: Path) -> set[str]:
    return {str(path.relative_to(root)) for path in root.rglob("*") if path.is_file()}


def test_all_is_there_but_what_has_not_arrived(stored: Path, tmp_path: Path) -> None:
    assert copy_files(stored, tmp_path / "to") == 2
    assert names_in(tmp_path / "to") == {"videos/a/0.mp4", "inputs/b.png"}


def test_a_copy_outlives_what_it_was_made_of(stored: Path, tmp_path: Path) -> None:
    copy_files(stored, tmp_path / "to")
    (stored / "inputs/b.png").unlink()
    assert (tmp_path / "to/inputs/b.png").read_text() == "inputs/b.png"


def test_another_file_system_gets_the_bytes(stored: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def elsewhere(*_: object) -> None:
        raise OSError(errno.EXDEV, "Invalid cross-device link")

    monkeypatch.setattr(os, "link", elsewhere)
    assert copy_files(stored, tmp_path / "to") == 2
    assert (tmp_path / "to/videos/a/0.mp4").stat().st_nlink == 1
    assert (tmp_path / "to/videos/a/0.mp4").read_text() == "videos/a/0.mp4"


def test_what_is_removed_meanwhile_is_left_out(stored: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    link = os.link

    def late(path: Path, target: Path) -> None:
        if path.name == "b.png":
            path.unlink()
        link(path, target)

    monkeypatch.setattr(os, "link", late)
    assert copy_files(stored, tmp_path / "to") == 1


def test_a_folder_that_cannot_be_read_is_no_part_left_out_in_silence(
    stored: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scan = os.scandir

    def refuse(path: str) -> object:
        if str(path).endswith("videos/a"):
            raise PermissionError(errno.EACCES, "Permission denied", path)
        return scan(path)

    monkeypatch.setattr(os, "scandir", refuse)
    with pytest.raises(PermissionError):
        copy_files(stored, tmp_path / "to")
