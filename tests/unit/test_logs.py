"""The form of a log line that no terminal shows."""

from __future__ import annotations

import asyncio
import io
from datetime import UTC, datetime, timedelta

import pytest
import structlog

from rushes.logs import Lines, OutageWarnings, plain_line, timestamped


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


def test_a_line_begins_with_the_moment_in_utc() -> None:
    before = datetime.now(UTC)
    text = timestamped(None, "info", {})["timestamp"]
    assert text.endswith("Z")
    assert len(text) == len("2026-04-07T12:00:00.123456Z")
    assert before - timedelta(microseconds=1) <= datetime.fromisoformat(text) <= datetime.now(UTC)


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


def test_of_an_outage_one_warning_a_minute_is_logged_whoever_gives_it() -> None:
    now_s = 100.0
    passed = OutageWarnings(lambda: now_s)

    def logged(code: str | None, level: str = "warning") -> dict[str, object] | None:
        try:
            return dict(passed(None, level, {"event": "claim_failed", "level": level, "error_code": code}))
        except structlog.DropEvent:
            return None

    assert logged("database_unavailable") is not None
    assert logged("database_unavailable") is None
    # What is no outage, and what is no warning, is always logged.
    for code, level in (("no_credentials", "warning"), (None, "warning"), ("database_unavailable", "info")):
        assert logged(code, level) == {"event": "claim_failed", "level": level, "error_code": code}
    assert logged("storage_unavailable") is not None
    now_s += 59.9
    assert logged("database_unavailable") is None
    now_s += 0.2
    assert (logged("database_unavailable") or {})["not_logged"] == 2
    now_s += 61
    assert "not_logged" not in (logged("database_unavailable") or {"not_logged": "nothing"})
