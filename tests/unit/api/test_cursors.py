"""Cursors: opaque to callers, and refused unless we made them."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rushes.api.cursors import cursor_of, place_of, seq_of
from rushes.errors import InvalidRequest

NUMBERS = st.integers(min_value=0, max_value=10**18 - 1)
READERS: list[Callable[[str], object]] = [seq_of, place_of]


@given(NUMBERS)
def test_a_cursor_leads_back_to_its_place(seq: int) -> None:
    assert seq_of(cursor_of(seq)) == seq


@given(NUMBERS, st.from_regex(r"[0-9A-Za-z_]{1,64}", fullmatch=True))
def test_a_cursor_with_an_id_leads_back_to_both(number: int, entry_id: str) -> None:
    assert place_of(cursor_of(number, entry_id)) == (number, entry_id)


@given(st.text(), st.sampled_from(READERS))
def test_any_other_text_is_refused_by_name(text: str, read: Callable[[str], object]) -> None:
    try:
        read(text)
    except InvalidRequest as refusal:
        assert [field.field for field in refusal.fields] == ["cursor"]  # noqa: PT017 - most texts are refused, not all


@pytest.mark.parametrize("read", READERS)
@pytest.mark.parametrize("cursor", ["", "djI6MQ", "djE6LTE", "djE6", "djE6" + "OTk5" * 10, "\u00e9", "*"])
def test_a_cursor_of_another_version_or_place_is_refused(cursor: str, read: Callable[[str], object]) -> None:
    with pytest.raises(InvalidRequest, match="cursor"):
        read(cursor)


def test_a_cursor_of_another_list_is_refused() -> None:
    with pytest.raises(InvalidRequest, match="this list"):
        seq_of(cursor_of(1, "key_a"))
    with pytest.raises(InvalidRequest, match="this list"):
        place_of(cursor_of(1))
