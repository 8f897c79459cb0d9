"""JSON as JavaScript writes it, so that what is parsed and written again is the same text."""

from __future__ import annotations

import json
from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel

from rushes.json_text import json_bytes, whole


class Model(BaseModel):
    cost: float
    name: str


@dataclass
class Shape:
    cost: float
    many: list[float]


# The right column is what node prints for JSON.stringify of the number.
SPELLINGS = [
    (0.0, "0"), (-0.0, "0"), (8.0, "8"), (-1.0, "-1"), (3.2, "3.2"), (1e16, "10000000000000000"),
    (1e20, "100000000000000000000"), (1e21, "1e+21"), (1.5e300, "1.5e+300"), (1e-6, "0.000001"), (1e-7, "1e-7"),
    (1.25e-10, "1.25e-10"), (123456789012345680000.0, "123456789012345680000"), (0.1 + 0.2, "0.30000000000000004"),
    (5e-324, "5e-324"), (1.7976931348623157e308, "1.7976931348623157e+308"), (100.0, "100"),
]  # fmt: skip


@pytest.mark.parametrize(("number", "spelling"), SPELLINGS)
def test_numbers_are_spelled_as_javascript_spells_them(number: float, spelling: str) -> None:
    assert json_bytes({"a": [number], "b": number}) == f'{{"a":[{spelling}],"b":{spelling}}}'.encode()


def test_models_and_dataclasses_are_written_alike() -> None:
    assert json_bytes(Model(cost=2.0, name="a")) == b'{"cost":2,"name":"a"}'
    assert json_bytes(Shape(2.0, [1.0, 1.5])) == b'{"cost":2,"many":[1,1.5]}'


def test_text_that_looks_like_a_number_is_left() -> None:
    content = {"a:1.0,": '"8.0", \\"2.0, [3.0]', "b": "1e5", "c": 1.0}
    assert json.loads(json_bytes(content)) == {**content, "c": 1}
    assert b'"1e5"' in json_bytes(content)


def test_whole_numbers_beyond_64_bits_survive() -> None:
    assert json_bytes({"a": 2**70, "b": 1.0}) == b'{"a":%d,"b":1}' % 2**70


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_every_number_keeps_its_value_and_spelling(number: float) -> None:
    text = json_bytes([number])
    assert float(json.loads(text)[0]) == number
    assert b".0]" not in text


@given(st.recursive(st.none() | st.booleans() | st.floats(allow_nan=False, allow_infinity=False)
                    | st.integers(-(2**53), 2**53) | st.text(st.characters(exclude_categories=["Cs"])),
                    lambda inner: st.lists(inner) | st.dictionaries(st.text(st.characters(exclude_categories=["Cs"])),
                                                                    inner)))  # fmt: skip
def test_contents_survive(content: object) -> None:
    # As JavaScript reads it, where every number is a double.
    assert json.loads(json_bytes(content), parse_int=float) == content


def test_a_whole_number_is_an_integer() -> None:
    assert repr(whole(8.0)) == repr(whole(8)) == "8"
    assert whole(0.5) == 0.5
