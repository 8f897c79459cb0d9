"""The form of a log line that no terminal shows."""

from __future__ import annotations

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
