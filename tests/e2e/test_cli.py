"""The command line against a real service: what people and scripts see, press and get."""

from __future__ import annotations

import hashlib
import json
import os
import pty
import re
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.fixtures.service import Key, Service
from tests.fixtures.time_limits import GENEROUS_S
from tests.fixtures.warm import run_warm

RUSHES = Path(sys.executable).with_name("rushes")
QUICK = ["--model", "animatic/storyboard", "--duration", "1", "--resolution", "360p", "--no-audio"]
NOBODY = "http://127.0.0.1:9"

Run = Callable[..., subprocess.CompletedProcess[str]]
Start = Callable[..., Service]


def environment(service: Service, key: Key, **more: str) -> dict[str, str]:
    return {
        "PATH": os.defpath,
        "TERM": "xterm-256color",
        "RUSHES_BASE_URL": service.url,
        "RUSHES_API_KEY": key.text,
        **more,
    }


@pytest.fixture
def rushes(service: Service, key: Key, tmp_path: Path) -> Run:
    """Runs a command as a script does: no terminal anywhere."""

    def run(*arguments: str, stdin: str = "", **more: str) -> subprocess.CompletedProcess[str]:
        return run_warm(
            arguments, cwd=tmp_path, env=environment(service, key, **more), stdin=stdin, timeout_s=GENEROUS_S
        )

    return run


class Terminal:
    """A command on a terminal of its own, with someone who reads and types."""

    def __init__(self, folder: Path, env: dict[str, str], *arguments: str, columns: int = 80) -> None:
        self.pid, self._descriptor = pty.fork()
        if self.pid == 0:
            os.chdir(folder)
            os.execve(RUSHES, [str(RUSHES), *arguments], {**env, "COLUMNS": str(columns), "LINES": "40"})
        self._written = b""
        self._ended = False

    @property
    def seen(self) -> str:
        """All it has written, without colours and other commands to the terminal."""
        # Cleaned as a whole: a read may end inside a colour or inside a letter.
        return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", self._written.decode("utf-8", "replace"))

    def reads(self, pattern: str) -> str:
        """What is on the screen once the pattern is."""
        give_up = time.monotonic() + GENEROUS_S
        while re.search(pattern, self.seen) is None:
            assert time.monotonic() < give_up, f"{pattern!r} never came:\n{self.seen}"
            assert self._read(), f"it ended before {pattern!r} came:\n{self.seen}"
        return self.seen

    def types(self, text: str) -> None:
        os.write(self._descriptor, text.encode())

    def exit_code(self, *, pressing: str = "") -> int:
        """How it ends. `pressing` is typed again each second, as people do who see nothing happen."""
        give_up = time.monotonic() + GENEROUS_S
        press_at = time.monotonic() + 1
        while self._read():
            assert time.monotonic() < give_up, self.seen
            if pressing and time.monotonic() > press_at:
                self.types(pressing)
                press_at += 1
        _, status = os.waitpid(self.pid, 0)
        self._ended = True
        return os.waitstatus_to_exitcode(status)

    def close(self) -> None:
        if not self._ended:
            os.kill(self.pid, signal.SIGKILL)
            os.waitpid(self.pid, 0)
        os.close(self._descriptor)

    def _read(self) -> bool:
        if select.select([self._descriptor], [], [], 0.1)[0]:
            try:
                written = os.read(self._descriptor, 65536)
            except OSError:
                # Linux says EIO once the other side has closed.
                return False
            self._written += written
            return bool(written)
        return True


@pytest.fixture
def terminal(tmp_path: Path) -> Iterator[Callable[..., Terminal]]:
    opened: list[Terminal] = []

    def open_one(service: Service, key: Key, *arguments: str, columns: int = 80, **more: str) -> Terminal:
        opened.append(Terminal(tmp_path, environment(service, key, **more), *arguments, columns=columns))
        return opened[-1]

    yield open_one
    for one in opened:
        one.close()


@pytest.fixture(scope="module")
def held_key(held: Service) -> Key:
    return held.key()


def detached(rushes: Run, *arguments: str, **more: str) -> str:
    done = rushes("generate", "a lighthouse", "--detach", *arguments, **more)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_a_prompt_becomes_a_file_whose_path_is_all_of_standard_output(rushes: Run, tmp_path: Path) -> None:
    done = rushes("generate", "A lighthouse, at dawn", *QUICK)
    assert done.returncode == 0, done.stderr
    (name,) = done.stdout.splitlines()
    assert re.fullmatch(r"a-lighthouse-at-dawn-\w{6}\.mp4", name)
    assert (tmp_path / name).read_bytes()[4:8] == b"ftyp"
    assert "Traceback" not in done.stderr
    assert "\x1b" not in done.stdout + done.stderr


def test_the_file_is_the_one_that_the_service_announced(rushes: Run, tmp_path: Path) -> None:
    done = rushes("generate", "a lighthouse", *QUICK, "--json", "--output", "out.mp4")
    job = json.loads(done.stdout)
    assert job["status"] == "completed"
    content = (tmp_path / "out.mp4").read_bytes()
    assert hashlib.sha256(content).hexdigest() == job["result"]["sha256"]
    assert len(content) == job["result"]["file_size"]
    assert done.stderr.splitlines()[-1] == "out.mp4"


def test_a_video_can_go_to_standard_output(rushes: Run, service: Service, key: Key, tmp_path: Path) -> None:
    environment = {**os.environ, "RUSHES_BASE_URL": service.url, "RUSHES_API_KEY": key.text}
    done = subprocess.run(
        [sys.executable, "-m", "rushes", "generate", "a lighthouse", *QUICK, "--output", "-"],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        timeout=GENEROUS_S,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout[4:8] == b"ftyp"
    assert list(tmp_path.iterdir()) == []
    for more in (["--n", "2"], ["--json"]):
        refused = rushes("generate", "a lighthouse", *QUICK, "-o", "-", *more)
        assert (refused.returncode, refused.stdout) == (2, "")


def test_several_videos_are_numbered(rushes: Run) -> None:
    done = rushes("generate", "a lighthouse", *QUICK, "--n", "2", "-o", "x.mp4")
    assert done.stdout.splitlines() == ["x-1.mp4", "x-2.mp4"]


def test_every_option_reaches_the_service(rushes: Run) -> None:
    job_id = detached(
        rushes,
        *("--model", "storyboard", "--provider", "animatic", "--aspect-ratio", "1:1", "--resolution", "360p"),
        *("--duration", "1", "--n", "2", "--seed", "0", "--negative-prompt", "fog", "--no-audio"),
        *("--person-generation", "allow_all", "--param", 'style={"grain": 1.5}', "--param", "mood=calm"),
        *("--fallback-model", "animatic/slow", "--fallback-model", "animatic/flaky"),
    )
    request = json.loads(rushes("jobs", "show", job_id, "--json").stdout)["request"]
    wanted: dict[str, Any] = {
        "prompt": "a lighthouse",
        "model": "storyboard",
        "provider": "animatic",
        "aspect_ratio": "1:1",
        "resolution": "360p",
        "duration": 1,
        "n": 2,
        "seed": 0,
        "negative_prompt": "fog",
        "generate_audio": False,
        "person_generation": "allow_all",
        "fallback_models": ["animatic/slow", "animatic/flaky"],
        "additional_params": {"style": {"grain": 1.5}, "mood": "calm"},
    }
    assert {name: request[name] for name in wanted} == wanted


def test_an_idempotency_key_makes_one_job_however_often_it_is_asked_for(rushes: Run) -> None:
    assert detached(rushes, "--idempotency-key", "order-1") == detached(rushes, "--idempotency-key", "order-1")


def test_a_prompt_can_come_from_standard_input(rushes: Run) -> None:
    done = rushes("generate", "-", *QUICK, "--json", stdin="from a pipe\n")
    assert json.loads(done.stdout)["prompt"] == "from a pipe"


def test_a_file_is_never_replaced_unless_asked_and_nothing_is_spent_on_it(rushes: Run, tmp_path: Path) -> None:
    (tmp_path / "x.mp4").write_text("mine")
    before = json.loads(rushes("jobs", "list", "--json").stdout)["total"]
    refused = rushes("generate", "a lighthouse", *QUICK, "-o", "x.mp4")
    assert refused.returncode == 2
    assert "--force" in refused.stderr
    assert (tmp_path / "x.mp4").read_text() == "mine"
    assert json.loads(rushes("jobs", "list", "--json").stdout)["total"] == before
    assert rushes("generate", "a lighthouse", *QUICK, "-o", "x.mp4", "--force").returncode == 0
    assert (tmp_path / "x.mp4").read_bytes()[4:8] == b"ftyp"


@pytest.mark.parametrize(
    ("arguments", "more", "code", "said"),
    [
        (["generate", "x", "--model", "animatic/fail", "-d", "1"], {}, 1, "provider_rejected"),
        (["generate", "x", "--model", "animatic/filtered", "-d", "1"], {}, 1, "content_filtered"),
        (["generate", "x", "--model", "animatic/storyboard", "-d", "99"], {}, 2, "duration 99 is not offered"),
        (["generate", "x", "--n", "99"], {}, 2, "n:"),
        (["generate", "x", "--image", "nothing.png"], {}, 2, "there is no file"),
        (["generate", "x", "--param", "oops"], {}, 2, "NAME=JSON"),
        (["generate", "x", "--param", "a={1"], {}, 2, "not correct JSON"),
        (["generate", "x", "--param", "a=1", "--param", "a=2"], {}, 2, "twice"),
        (["generate", "x", "-o", "no/such/folder.mp4"], {}, 2, "does not exist"),
        (["jobs", "list"], {"RUSHES_API_KEY": "wrong"}, 3, "not valid"),
        (["jobs", "list"], {"RUSHES_API_KEY": ""}, 3, "set RUSHES_API_KEY"),
        (["jobs", "show", "job_none"], {}, 4, "not found"),
        (["jobs", "watch", "job_none"], {}, 4, "not found"),
        (["jobs", "cancel", "job_none"], {}, 4, "not found"),
        (["generate", "x", "--model", "animatic/storybord"], {}, 4, "did you mean animatic/storyboard"),
        (["jobs", "list"], {"RUSHES_BASE_URL": NOBODY}, 5, "the connection was refused"),
        (["generate", "x"], {"RUSHES_BASE_URL": NOBODY}, 5, "the connection was refused"),
        (["jobs", "list"], {"RUSHES_BASE_URL": "nonsense"}, 2, "is not the address"),
    ],
)
def test_what_goes_wrong_has_an_exit_code_and_one_clear_message(
    rushes: Run, arguments: list[str], more: dict[str, str], code: int, said: str
) -> None:
    done = rushes(*arguments, **more)
    assert done.returncode == code, done.stderr
    assert said in " ".join(done.stderr.replace("│", " ").split())
    assert done.stdout == ""
    assert "Traceback" not in done.stderr


def test_the_service_s_errors_name_their_request(rushes: Run) -> None:
    assert re.search(r"request req_\w+", rushes("jobs", "show", "job_none").stderr)


def test_the_key_is_never_printed(rushes: Run, key: Key) -> None:
    for arguments in (["jobs", "list"], ["jobs", "show", "job_none"], ["generate", "x", "-m", "nope"]):
        done = rushes(*arguments)
        assert key.text not in done.stdout + done.stderr


def test_a_pending_job_can_be_cancelled_and_that_is_an_end(rushes: Run, held: Service, held_key: Key) -> None:
    there = {"RUSHES_BASE_URL": held.url, "RUSHES_API_KEY": held_key.text}
    job_id = detached(rushes, *QUICK, **there)
    done = rushes("jobs", "cancel", job_id, **there)
    assert (done.returncode, done.stdout) == (0, f"cancelled {job_id}\n")
    assert rushes("jobs", "watch", job_id, **there).returncode == 6


def test_a_finished_job_cannot_be_cancelled(rushes: Run) -> None:
    job_id = json.loads(rushes("generate", "x", *QUICK, "--json").stdout)["job_id"]
    done = rushes("jobs", "cancel", job_id)
    assert done.returncode == 6
    assert "completed" in done.stderr


def test_several_ids_are_all_tried(rushes: Run, held: Service, held_key: Key) -> None:
    there = {"RUSHES_BASE_URL": held.url, "RUSHES_API_KEY": held_key.text}
    job_id = detached(rushes, *QUICK, **there)
    done = rushes("jobs", "cancel", "job_none", job_id, **there)
    assert (done.returncode, done.stdout) == (4, f"cancelled {job_id}\n")


def test_deleting_asks_and_without_anyone_to_ask_needs_yes(rushes: Run) -> None:
    done = rushes("jobs", "delete", "job_none")
    assert done.returncode == 2
    assert "--yes" in done.stderr


def test_a_list_is_a_table_for_people(rushes: Run) -> None:
    job_id = detached(rushes, *QUICK)
    lines = rushes("jobs", "list").stdout.splitlines()
    assert lines[0].split() == ["JOB", "STATUS", "CREATED", "MODEL", "PROMPT"]
    assert any(line.startswith(job_id) and "a lighthouse" in line for line in lines)


@pytest.mark.parametrize("columns", [80, 120])
def test_a_list_fits_the_terminal(
    service: Service, key: Key, rushes: Run, terminal: Callable[..., Terminal], columns: int
) -> None:
    detached(rushes, *QUICK[:-1], "--audio")
    rushes("generate", "a very long prompt " * 20, "--detach", *QUICK)
    shown = terminal(service, key, "jobs", "list", columns=columns)
    assert shown.exit_code() == 0
    lines = shown.seen.replace("\r", "").split("\n")
    assert "…" in shown.seen
    assert max(len(line) for line in lines) <= columns


def test_json_is_exactly_what_the_service_says(rushes: Run) -> None:
    job_id = detached(rushes, *QUICK)
    rushes("jobs", "watch", job_id)
    page = json.loads(rushes("jobs", "list", "--limit", "1", "--json").stdout)
    assert page.keys() == {"jobs", "total", "limit", "skip", "next_cursor"}
    assert json.loads(rushes("jobs", "show", job_id, "--json").stdout)["job_id"] == job_id


def test_show_tells_what_happened(rushes: Run) -> None:
    job_id = detached(rushes, *QUICK)
    rushes("jobs", "watch", job_id)
    lines = [line.split(maxsplit=1) for line in rushes("jobs", "show", job_id).stdout.splitlines()]
    told = [line[1].strip() for line in lines if line and re.fullmatch(r"\d\d:\d\d:\d\d", line[0])]
    assert told[0] == "accepted"
    assert told[-1] == "completed: its videos are stored here"


def test_show_tells_what_is_waited_for(rushes: Run, held: Service, held_key: Key) -> None:
    at_held = {"RUSHES_BASE_URL": held.url, "RUSHES_API_KEY": held_key.text}
    job_id = detached(rushes, *QUICK, **at_held)
    assert re.search(r"^now +held until", rushes("jobs", "show", job_id, **at_held).stdout, re.MULTILINE)


def test_a_terminal_is_not_obeyed_through_a_prompt(rushes: Run) -> None:
    rushes("generate", "evil \x1b[31m\x1b]0;title\x07 [bold]prompt[/bold]", "--detach", *QUICK)
    shown = rushes("jobs", "list").stdout
    assert "\x1b" not in shown
    assert "[bold]prompt[/bold]" in shown


def test_a_timeout_lets_the_job_go_on(rushes: Run, held: Service, held_key: Key) -> None:
    done = rushes("generate", "x", *QUICK, "--timeout", "0.5", RUSHES_BASE_URL=held.url, RUSHES_API_KEY=held_key.text)
    assert done.returncode == 124
    assert "it continues" in done.stderr


def test_a_finished_job_s_video_can_be_saved_later(rushes: Run, tmp_path: Path) -> None:
    job_id = detached(rushes, *QUICK)
    done = rushes("jobs", "watch", job_id, "--output", "later/")
    assert done.returncode == 0, done.stderr
    assert (tmp_path / done.stdout.strip()).is_file()


def test_a_terminal_sees_a_bar_and_the_path(
    service: Service, key: Key, terminal: Callable[..., Terminal], tmp_path: Path
) -> None:
    shown = terminal(service, key, "generate", "a lighthouse", *QUICK, "-o", "x.mp4")
    assert shown.exit_code() == 0
    assert "━" in shown.seen
    assert "100%" in shown.seen
    assert "x.mp4" in shown.seen.splitlines()[-1]
    assert (tmp_path / "x.mp4").is_file()


def test_no_color_is_honoured(service: Service, key: Key, terminal: Callable[..., Terminal]) -> None:
    shown = terminal(service, key, "jobs", "list", NO_COLOR="1")
    assert shown.exit_code() == 0
    assert "\x1b[3" not in shown.seen


@pytest.mark.parametrize("is_cancelled", [True, False])
def test_ctrl_c_while_pending_offers_to_cancel(
    held: Service, held_key: Key, terminal: Callable[..., Terminal], rushes: Run, is_cancelled: bool
) -> None:
    shown = terminal(held, held_key, "generate", "a lighthouse", *QUICK)
    shown.reads("waiting")
    job_id = re.findall(r"job_\w+", shown.seen)[0]
    shown.types("\x03")
    shown.reads(r"Cancel the job\?.*\[y/N\]")
    shown.types("y\n" if is_cancelled else "n\n")
    assert shown.exit_code() == (6 if is_cancelled else 130)
    job = json.loads(
        rushes("jobs", "show", job_id, "--json", RUSHES_BASE_URL=held.url, RUSHES_API_KEY=held_key.text).stdout
    )
    assert job["error_code"] == ("cancelled" if is_cancelled else None)
    assert ("at no cost" in shown.seen) is is_cancelled


def test_a_second_ctrl_c_is_no(held: Service, held_key: Key, terminal: Callable[..., Terminal]) -> None:
    shown = terminal(held, held_key, "generate", "a lighthouse", *QUICK)
    shown.reads("waiting")
    shown.types("\x03")
    shown.reads(r"\[y/N\]")
    shown.types("\x03")
    # Python does not hear a signal that comes between its prompt and its read until the next one.
    assert shown.exit_code(pressing="\x03") == 130
    assert "The job continues" in shown.seen


def test_ctrl_c_under_way_says_how_to_watch_on(service: Service, key: Key, terminal: Callable[..., Terminal]) -> None:
    shown = terminal(service, key, "generate", "a lighthouse", "-m", "animatic/slow", "-d", "1")
    shown.reads("in progress")
    shown.types("\x03")
    assert shown.exit_code() == 130
    assert "rushes jobs watch job_" in shown.seen
    assert "Cancel the job" not in shown.seen


@contextmanager
def generating(service: Service, key: Key, cwd: Path, *options: str) -> Iterator[subprocess.Popen[str]]:
    """`rushes generate` without a terminal, which ends with the test."""
    process = subprocess.Popen(
        [RUSHES, "generate", "a lighthouse", *options],
        cwd=cwd,
        env=environment(service, key),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    with process:
        try:
            yield process
        finally:
            process.kill()


def read_until(process: subprocess.Popen[str], words: str) -> None:
    """Read what the process says up to a line with these words."""
    assert process.stderr is not None
    lines = []
    for line in process.stderr:
        lines.append(line)
        if words in line:
            return
    raise AssertionError(f"the command ended without {words!r}: {lines}")


def test_an_interrupt_without_a_terminal_cancels_nothing_and_says_how(
    held: Service, held_key: Key, tmp_path: Path
) -> None:
    with generating(held, held_key, tmp_path, *QUICK) as process:
        read_until(process, "waiting")
        process.send_signal(signal.SIGINT)
        output, errors = process.communicate(timeout=GENEROUS_S)
    assert process.returncode == 130
    assert "rushes jobs cancel job_" in errors
    assert output == ""


def test_a_watch_goes_on_through_a_crash_of_the_service(start: Start, tmp_path: Path) -> None:
    service = start()
    key = service.key()
    with generating(service, key, tmp_path, "-m", "animatic/slow", "-d", "1", "-o", "x.mp4") as process:
        read_until(process, "in progress")
        service.kill()
        read_until(process, "trying again")
        service.start()
        output, errors = process.communicate(timeout=GENEROUS_S)
    assert process.returncode == 0, errors
    assert "answers again" in errors
    assert output == "x.mp4\n"


def test_without_a_service_the_shipped_models_are_shown(rushes: Run) -> None:
    done = rushes("models", RUSHES_BASE_URL="", RUSHES_API_KEY="")
    assert done.returncode == 0
    assert "storyboard" in done.stdout
    assert "veo-3.1-generate-001" in done.stdout
    assert "No service is configured" in done.stderr
    assert rushes("models", "nothing-like-it", RUSHES_BASE_URL="", RUSHES_API_KEY="").returncode == 4


def test_check_sees_what_jobs_ask_for_beside_the_running_service(rushes: Run, service: Service) -> None:
    model = "google/veo-2.0-generate-001"
    assert rushes("generate", "a kite", "--model", model, "--detach").returncode == 0
    done = service.run("models", "check", "--json")
    assert done.returncode == 0, done.stderr
    used_by = {each["id"]: each["used_by"] for each in json.loads(done.stdout)["models"]}
    assert used_by["veo-2.0-generate-001"] == ["1 job in 30 days"]
    refusing = service.run("models", "check", RUSHES_ON_RETIRED="refuse")
    assert refusing.returncode == 1
    assert "veo-2.0-generate-001: requests for it are refused" in refusing.stderr
