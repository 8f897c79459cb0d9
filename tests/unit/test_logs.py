"""The form of a log line that no terminal shows."""

from __future__ import annotations

import asyncio
import io
import json
import subprocess
import sys
from contextlib import suppress
from datetime import UTC, datetime, timedelta

import pytest

from rushes.logs import Lines, plain_line, timestamped


def line(**values: object) -> str:
    return plain_line(None, "info", {"timestamp": "T", "level": "info", "event": "request", **values})


def test_a_line_has_the_time_the_level_the_event_and_the_values_in_the_order_given() -> None:
    assert line(request_id="req_1", path="/api/v1", status=200) == (
        "T [info] request request_id=req_1 path=/api/v1 status=200"
    )


@pytest.mark.parametrize("value", ["", "a b", "a=b", 'a"b', "a\nT [info] forged", "a\x1b[2J", "a\u2028b"])
def test_a_value_that_could_be_read_as_something_else_is_quoted(value: str) -> None:
    shown = line(path=value).removeprefix("T [info] request path=")
    assert shown == repr(value)
    assert shown.isprintable()


def test_a_traceback_stays_readable_below_its_line() -> None:
    assert line(exception="Traceback ...\nZeroDivisionError") == ("T [info] request\nTraceback ...\nZeroDivisionError")


def test_what_libraries_say_comes_in_the_same_form() -> None:
    said = (
        "import logging; from rushes import logs; logs.configure('info', 'json')\n"
        "logging.getLogger('a.library').warning('lost %s', 'a batch')\n"
        "logging.getLogger('a.library').info('too much detail')"
    )
    done = subprocess.run([sys.executable, "-c", said], capture_output=True, text=True, check=True, timeout=30)
    (only,) = done.stderr.splitlines()
    content = json.loads(only)
    assert (content["event"], content["name"], content["detail"]) == ("library", "a.library", "lost a batch")
    assert content["level"] == "warning"


def test_a_line_begins_with_the_moment_in_utc() -> None:
    before = datetime.now(UTC)
    text = timestamped(None, "info", {})["timestamp"]
    assert text.endswith("Z")
    assert len(text) == len("2026-04-07T12:00:00.123456Z")
    assert before - timedelta(microseconds=1) <= datetime.fromisoformat(text) <= datetime.now(UTC)


def said_by(*lines: str) -> list[str]:
    """What a process that logs as text writes to a file."""
    code = "from rushes import logs; logs.configure('info', 'text'); import structlog; log = structlog.get_logger('x')"
    done = subprocess.run(
        [sys.executable, "-c", "\n".join([code, *lines])], capture_output=True, text=True, check=True, timeout=30
    )
    return [line.partition(" ")[2] for line in done.stderr.splitlines()]


def test_the_short_way_of_a_line_says_what_the_long_way_says() -> None:
    assert said_by(
        "structlog.contextvars.bind_contextvars(request_id='req_0', job_id='job_1')",
        "values = dict(path='/a b', status=200, ms=1.5, request_id='req_1', none=None, yes=True, text='ä')",
        "log.info('request', **values)",
        "log.bind(status=200).info('request', **values)",
        "log.warning('request', **values)",
    ) == [
        "[info] request path='/a b' status=200 ms=1.5 request_id=req_1 none=None yes=True text='ä' job_id=job_1",
        "[info] request status=200 path='/a b' ms=1.5 request_id=req_1 none=None yes=True text='ä' job_id=job_1",
        "[warning] request path='/a b' status=200 ms=1.5 request_id=req_1 none=None yes=True text='ä' job_id=job_1",
    ]


def test_a_log_that_cannot_be_written_fails_nothing() -> None:
    with open("/dev/full", "w") as full:
        Lines(full).msg("nobody reads this")
        # What is left in it cannot be written when it is closed either.
        with suppress(OSError):
            full.close()
    Lines(full).msg("nor this")


class Interrupted(io.StringIO):
    """A stream amid whose first line somebody else has something to say, in the same thread."""

    def __init__(self) -> None:
        super().__init__()
        self.lines = Lines(self)
        self.is_first = True

    def write(self, text: str) -> int:
        if self.is_first:
            self.is_first = False
            self.lines.msg("a task was never awaited")
        return super().write(text)


def test_what_is_said_amid_a_line_waits_for_nobody() -> None:
    stream = Interrupted()
    stream.lines.msg("a line")
    assert stream.getvalue() == "a task was never awaited\na line\n"


async def test_no_line_is_lost_between_threads_and_the_loop() -> None:
    stream = io.StringIO()
    lines = Lines(stream)

    def say(thread: int) -> None:
        for number in range(500):
            lines.msg(f"{thread} {number}")

    saying = [asyncio.create_task(asyncio.to_thread(say, thread)) for thread in range(3)]
    for number in range(500):
        lines.msg(f"loop {number}")
        await asyncio.sleep(0)
    await asyncio.gather(*saying)
    assert len(set(stream.getvalue().splitlines())) == len(stream.getvalue().splitlines()) == 2_000
