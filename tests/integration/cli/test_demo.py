from __future__ import annotations

import io
import socket
import sys
from pathlib import Path

import pytest

from rushes.cli import demo


def test_the_first_video_gets_the_plain_name(tmp_path: Path) -> None:
    assert demo._free_path(tmp_path) == tmp_path / "golden-retriever.mp4"


def test_a_name_that_is_taken_is_left_alone(tmp_path: Path) -> None:
    for name in ("golden-retriever.mp4", "golden-retriever-2.mp4"):
        (tmp_path / name).touch()
    assert demo._free_path(tmp_path) == tmp_path / "golden-retriever-3.mp4"


def test_a_folder_that_cannot_be_made_is_a_clear_error(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(demo.DemoFailed, match="choose another folder with --out"):
        demo._save(b"video", tmp_path / "file" / "demo")


def test_another_port_is_found_when_the_first_is_taken() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        taken: int = listener.getsockname()[1]
        assert demo._free_port(taken, demo.ANY_PORT) not in (taken, 0)


def test_a_single_port_that_is_taken_is_a_clear_error() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        taken: int = listener.getsockname()[1]
        with pytest.raises(demo.DemoFailed, match=f"port {taken} .* is in use"):
            demo._free_port(taken)


def test_only_the_end_of_a_log_is_shown() -> None:
    log = io.BytesIO(b"\n".join(b"line %d" % number for number in range(100)))
    shown = demo._tail(log).splitlines()
    assert len(shown) == demo.LOG_LINES
    assert shown[-1] == "line 99"


def test_the_commands_name_the_service_that_was_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    text = demo._by_hand(9000, Path("my data"), "rushes_test_x", "http://link")
    assert f"{Path(sys.executable).with_name('rushes')} serve --port 9000 --data-dir 'my data'" in text
    assert "http://127.0.0.1:9000/api/v1/videos/generations" in text


def test_in_a_clone_the_service_is_started_by_make(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "Makefile").touch()
    assert "\n  make run\n" in demo._by_hand(8080, Path("rushes-data"), "rushes_test_x", "http://link")
