"""How values are shown in sentences."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rushes.catalogue.wording import listed, shown


@pytest.mark.parametrize(
    ("value", "text"), [("16:9", "'16:9'"), (8, "8"), (True, "true"), (False, "false"), ("", "''")]
)
def test_a_value_is_shown_as_the_caller_wrote_it(value: object, text: str) -> None:
    assert shown(value) == text


@given(st.text())
def test_any_text_is_shown_short_printable_and_encodable(text: str) -> None:
    result = shown(text)
    assert len(result) <= 83
    assert result.isprintable()
    result.encode()


def test_a_huge_number_is_cut_like_a_text() -> None:
    assert len(shown(10**1000)) == 81


def test_values_are_listed_in_order() -> None:
    assert listed([8, "a", True]) == "8, 'a', true"
