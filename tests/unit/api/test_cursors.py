"""Cursors: opaque to callers, and refused unless we made them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rushes.api.cursors import cursor_of, seq_of
from rushes.errors import InvalidRequest


@given(st.integers(min_value=0, max_value=10**18 - 1))
def test_a_cursor_leads_back_to_its_place(seq: int) -> None:
    assert seq_of(cursor_of(seq)) == seq


@given(st.text())
def test_any_other_text_is_refused_by_name(text: str) -> None:
    try:
        seq = seq_of(text)
    except InvalidRequest as refusal:
        assert [field.field for field in refusal.fields] == ["cursor"]  # noqa: PT017 - most texts are refused, not all
    else:
        assert seq >= 0


@pytest.mark.parametrize("cursor", ["", "djI6MQ", "djE6LTE", "djE6", "djE6" + "OTk5" * 10, "\u00e9", "*"])
def test_acursor_of_another_version_or_place_is_refused(cursor: str) -> None:
    with pytest.raises(InvalidRequest, match="cursor"):
        seq_of(cursor)
