from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rushes.intake.lengths import length_s, length_text


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("90s", 90),
        ("12h", 43_200),
        ("30d", 2_592_000),
        ("8w", 4_838_400),
        ("0.25s", 0.25),
        ("1830000d", 158_112_000_000),
    ],
)
def test_a_length_is_a_number_and_a_unit(text: str, seconds: float) -> None:
    assert length_s(text) == seconds


@pytest.mark.parametrize(
    "text",
    ["", "soon", "0h", "0.0d", "-1h", "1 h", "1y", "h", "1e9s", "\u0661h", "1h1m", "1.5h", "1830001d", "99999999d"],
)
def test_what_is_none_is_said(text: str) -> None:
    assert length_s(text) is None


@given(st.integers(1, 3_155_760_000_000))
def test_what_is_shown_is_read_again(milliseconds: int) -> None:
    assert length_s(length_text(milliseconds / 1000)) == pytest.approx(milliseconds / 1000)
