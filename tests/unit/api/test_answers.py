"""How shapes become JSON."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rushes.domain.job import Status
from rushes.json_text import json_bytes

VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


@dataclass(slots=True, kw_only=True)
class Shape:
    """Something to answer."""

    status: Status
    value: Any


@given(VALUES)
def test_a_shape_is_answered_as_it_is(value: Any) -> None:
    text = json_bytes(Shape(status=Status.FAILED, value=value))
    # As JavaScript reads it, where every number is a double.
    assert json.loads(text, parse_int=float) == {"status": "failed", "value": value}


@pytest.mark.parametrize("number", [2**64, -(2**70)])
def test_a_number_beyond_64_bits_is_answered_whole(number: int) -> None:
    assert json.loads(json_bytes(Shape(status=Status.PENDING, value={"seed": number})))["value"] == {"seed": number}
