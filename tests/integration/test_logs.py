"""The form of a log line that no terminal shows."""

from __future__ import annotations

import json
import subprocess
import sys
from contextlib import suppress

from rushes.logs import Lines, plain_line
from tests.fixtures.time_limits import GENEROUS_S


def line(**values: object) -> str:
    return plain_line(None, "info", {"timestamp": "T", "level": "info", "event": "request", **values})


def test_what_libraries_say_comes_in_the_same_form() -> None:
    said = (
        "import logging; from rushes import logs; logs.configure('info', 'json')\n"
        "logging.getLogger('a.library').warning('lost %s', 'a batch')\n"
        "logging.getLogger('a.library').info('too much detail')"
    )
    done = subprocess.run([sys.executable, "-c", said], capture_output=True, text=True, check=True, timeout=GENEROUS_S)
    (only,) = done.stderr.splitlines()
    content = json.loads(only)
    assert (content["event"], content["name"], content["detail"]) == ("library", "a.library", "lost a batch")
    assert content["level"] == "warning"


def said_by(*lines: str) -> list[str]:
    """What a process that logs as text writes to a file."""
    code = "from rushes import logs; logs.configure('info', 'text'); import structlog; log = structlog.get_logger('x')"
    done = subprocess.run(
        [sys.executable, "-c", "\n".join([code, *lines])],
        capture_output=True,
        text=True,
        check=True,
        timeout=GENEROUS_S,
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
