"""What the client reads of an answer's headers."""

from __future__ import annotations

import pytest

from rushes.client.http import retry_after_s

NOW_S = 1_795_305_600.0
"""2026-11-22T00:00:00Z"""


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("7", 7.0),
        (" 0 ", 0.0),
        ("99999999999999999999", 999_999_999.0),
        ("Sun, 22 Nov 2026 00:00:30 GMT", 30.0),
        ("Sat, 21 Nov 2026 00:00:00 GMT", 0.0),
        ("\N{SUPERSCRIPT TWO}", None),
        ("-5", None),
        ("soon", None),
        ("", None),
        (None, None),
    ],
)
def test_retry_after_is_digits_or_a_date(value: str | None, seconds: float | None) -> None:
    assert retry_after_s(value, now_s=NOW_S) == seconds
