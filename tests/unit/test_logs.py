"""The form of a log line that no terminal shows."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from rushes.logs import plain_line


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
