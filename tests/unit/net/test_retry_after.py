"""What a server's Retry-After header asks for."""

from __future__ import annotations

import pytest

from rushes.net.retry_after import retry_after_s

NOW_MS = 1_795_305_600_000
"""2026-11-22T00:00:00Z"""


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("7", 7.0),
        ("0", 0.0),
        (" 1.5 ", 1.5),
        ("Sun, 22 Nov 2026 00:00:30 GMT", 30.0),
        ("Sat, 21 Nov 2026 00:00:00 GMT", 0.0),
        ("Fri, 31 Dec 2049 23:59:59 GMT", 3600.0),
        ("99999999", 3600.0),
        ("-5", 0.0),
        ("nan", None),
        ("soon", None),
        ("", None),
        (None, None),
    ],
)
def test_retry_after_is_seconds_or_a_date_and_never_absurd(value: str | None, seconds: float | None) -> None:
    assert retry_after_s(value, now_ms=NOW_MS, longest_s=3600.0) == seconds
