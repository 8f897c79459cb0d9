"""Which traces of callers are handed on."""

from __future__ import annotations

import pytest

from rushes.origin import Origin, valid_traceparent

GIVEN = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


def test_a_trace_is_handed_on_as_it_is() -> None:
    assert Origin("req_1", [(b"host", b"x"), (b"traceparent", GIVEN.encode())]).traceparent == GIVEN


def test_a_later_version_is_handed_on_as_far_as_we_know_it() -> None:
    assert valid_traceparent(f"cc{GIVEN[2:]}-what-the-future-holds") == GIVEN


@pytest.mark.parametrize(
    "text",
    [
        "",
        "00",
        GIVEN.upper(),
        f"{GIVEN}-more",
        f"{GIVEN}\nX: y",
        f"ff{GIVEN[2:]}",
        f"00-{'0' * 32}-00f067aa0ba902b7-01",
        f"00-4bf92f3577b34da6a3ce929d0e0e4736-{'0' * 16}-01",
    ],
)
def test_what_is_no_trace_is_ignored(text: str) -> None:
    assert Origin("req_1", [(b"traceparent", text.encode())]).traceparent is None


def test_two_traces_are_none() -> None:
    assert Origin("req_1", [(b"traceparent", GIVEN.encode())] * 2).traceparent is None
