"""Reading a JSON body."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, ConfigDict

from rushes.errors import BodyTooLarge, FieldError, InvalidRequest, UnknownField, WrongContentType
from rushes.intake.body import (
    LARGEST_BODY_BYTES,
    MOST_ERRORS,
    _parsed,
    invalid_fields,
    read_json_object,
    refuse_unknown,
    shaped,
)
from tests.fixtures.asking import request_of

JSON = {"Content-Type": "application/json"}
MEBIBYTE = b" " * 1024**2


class Shape(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid")

    name: str
    count: int = 1


@pytest.mark.parametrize(
    "content_type", ["application/json", "Application/JSON", "application/json; charset=utf-8", "application/ld+json"]
)
async def test_json_by_any_of_its_names_is_read(content_type: str) -> None:
    request = request_of([b'{"a"', b": 1}"], headers={"Content-Type": content_type})
    assert await read_json_object(request) == {"a": 1}


async def test_a_body_of_no_stated_type_is_refused_unread() -> None:
    with pytest.raises(WrongContentType, match="of no stated type"):
        await read_json_object(request_of())


async def test_an_announced_size_is_refused_unread() -> None:
    headers = {**JSON, "Content-Length": str(LARGEST_BODY_BYTES + 1)}
    with pytest.raises(BodyTooLarge, match="64 MiB"):
        await read_json_object(request_of(headers=headers))


async def test_a_body_is_read_no_further_than_its_limit() -> None:
    limit = LARGEST_BODY_BYTES // len(MEBIBYTE)
    request = request_of([MEBIBYTE] * (limit + 1))
    request.scope["headers"] = request_of(headers=JSON).scope["headers"]
    with pytest.raises(BodyTooLarge):
        await read_json_object(request)


@pytest.mark.parametrize("text", [b"", b"{", b"[]", b"1", b"null", b'{"a": NaN}', b'{"a": -Infinity}', b"\xff"])
async def test_what_is_no_json_object_is_refused(text: bytes) -> None:
    with pytest.raises(InvalidRequest):
        await read_json_object(request_of([text], headers=JSON))


@given(st.dictionaries(st.text(st.characters(exclude_categories=["Cs"])), st.integers() | st.none() | st.booleans()))
async def test_any_json_object_is_read_as_it_was_written(content: dict[str, Any]) -> None:
    assert await read_json_object(request_of([json.dumps(content).encode()], headers=JSON)) == content


def test_an_unknown_name_is_refused_with_those_that_come_near() -> None:
    with pytest.raises(UnknownField, match="no field 'promt'; did you mean 'prompt'") as refusal:
        refuse_unknown(["seed", "promt"], ["prompt", "seed"])
    assert refusal.value.suggestions == ("prompt",)
    refuse_unknown(["seed"], ["prompt", "seed"])


def test_a_huge_unknown_name_is_shown_in_part() -> None:
    with pytest.raises(UnknownField) as refusal:
        refuse_unknown(["x" * 10_000], ["prompt"])
    assert len(refusal.value.message) < 200


def test_every_wrong_field_is_named_in_one_sentence() -> None:
    with pytest.raises(InvalidRequest) as refusal:
        shaped(Shape, {"name": 7, "count": "2"})
    assert [field.field for field in refusal.value.fields] == ["name", "count"]
    assert "name: " in refusal.value.message
    assert "count: " in refusal.value.message


def test_a_whole_number_is_an_integer_however_it_is_spelled() -> None:
    for count in (1, 1.0, 1e0):
        assert shaped(Shape, {"name": "x", "count": count}).count == 1


def test_errors_are_counted_and_cut() -> None:
    refusal = invalid_fields([FieldError("f" * 10_000, "m" * 10_000) for _ in range(10_000)])
    assert len(refusal.fields) == MOST_ERRORS
    assert len(refusal.message) < 20_000
    assert refusal.message.endswith("and 9980 more")


def test_a_byte_order_mark_is_read_past() -> None:
    assert _parsed(b'\xef\xbb\xbf{"a": 1}') == {"a": 1}


def test_a_value_is_never_changed_to_fit() -> None:
    for count in (True, "1", 1.5, float("inf")):
        with pytest.raises(InvalidRequest):
            shaped(Shape, {"name": "x", "count": count})


@pytest.mark.parametrize("value", ["0", "[]", "{}", '"x"', '{"a":[]}'])
async def test_a_body_of_endless_values_is_refused(value: str) -> None:
    # Each piece is harmless; it is refused while it arrives, before anything is parsed.
    pieces = [b'{"a":[', *[f"{value},".encode() * 20_000] * 4]
    with pytest.raises(InvalidRequest, match="more than 50000 values"):
        await read_json_object(request_of(pieces, headers=JSON))


async def test_a_large_file_in_a_body_counts_as_one_value() -> None:
    request = request_of([b'{"a": "', b"QUJD" * 2 * 1024**2, b'"}'], headers=JSON)
    assert len((await read_json_object(request))["a"]) == 8 * 1024**2
