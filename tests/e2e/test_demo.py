"""`rushes demo` makes a real video in an empty folder, and leaves nothing running."""

from __future__ import annotations

import io
import os
import re
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import av
import pytest

from rushes.media.probe import probe_video
from tests.e2e.conftest import Start
from tests.fixtures.processes import RUSHES
from tests.fixtures.time_limits import GENEROUS_S


def play(folder: Path, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [RUSHES, "demo", *arguments],
        cwd=folder,
        env={"PATH": os.defpath, "HOME": str(folder), "RUSHES_TEST_HOLD_S": "0"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=GENEROUS_S,
        check=False,
    )


@pytest.fixture
def taken_port() -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield listener.getsockname()[1]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("demo")


@pytest.fixture(scope="module")
def played(folder: Path) -> subprocess.CompletedProcess[str]:
    done = play(folder)
    assert done.returncode == 0, done.stderr
    return done


def test_the_mp4_is_the_video_that_was_asked_for(played: subprocess.CompletedProcess[str], folder: Path) -> None:
    facts = probe_video(io.BytesIO((folder / "demo" / "golden-retriever.mp4").read_bytes()))
    assert (facts.width, facts.height, facts.duration_s) == (1280, 720, 8)


def test_every_frame_of_it_can_be_decoded(played: subprocess.CompletedProcess[str], folder: Path) -> None:
    with av.open(str(folder / "demo" / "golden-retriever.mp4")) as video:
        assert sum(1 for _ in video.decode(video=0)) == 192


def test_it_says_where_the_video_is_and_how_to_make_it_by_hand(played: subprocess.CompletedProcess[str]) -> None:
    assert "demo/golden-retriever.mp4" in played.stdout
    assert "8 s, 1280x720" in played.stdout
    assert re.search(r"export KEY=rushes_test_\w{40}\n", played.stdout)
    assert "curl -s http://127.0.0.1:" in played.stdout


def test_the_printed_commands_work(played: subprocess.CompletedProcess[str], folder: Path, start: Start) -> None:
    service = start(data_dir=folder / "rushes-data")
    commands = [line.removeprefix("  ") for line in played.stdout.splitlines() if line.startswith("  ")]
    first = next(number for number, line in enumerate(commands) if line.startswith("export KEY="))
    script = re.sub(r"http://127\.0\.0\.1:\d+", service.url, "\n".join(commands[first:]))
    # A person reads the job until it is completed; here a loop does.
    wait = r"""until \1 | grep '"status":"completed"'; do sleep 0.2; done"""
    script = re.sub(r"^(curl -s \S+/jobs/\$JOB .*)$", wait, script, flags=re.MULTILINE)
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", script],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=GENEROUS_S,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert probe_video(io.BytesIO((folder / "video.mp4").read_bytes())).duration_s == 8


def test_a_second_demo_keeps_the_first_video(played: subprocess.CompletedProcess[str], folder: Path) -> None:
    again = play(folder)
    assert again.returncode == 0, again.stderr
    assert (folder / "demo" / "golden-retriever-2.mp4").exists()


def test_a_taken_port_is_said(tmp_path: Path, taken_port: int) -> None:
    done = play(tmp_path, "--port", str(taken_port))
    assert done.returncode == 1
    assert f"port {taken_port} of 127.0.0.1 is in use" in done.stderr


def test_a_data_directory_in_use_is_said(tmp_path: Path, start: Start) -> None:
    done = play(tmp_path, "--data-dir", start().data_dir)
    assert done.returncode == 1
    assert "is in use by another rushes" in done.stderr
    assert not (tmp_path / "demo").exists()
