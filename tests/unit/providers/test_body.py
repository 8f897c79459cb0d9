from __future__ import annotations

import base64
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rushes.providers.body import ENCODED_AT_ONCE_BYTES, Inline, JsonBody


async def sent(document: object) -> bytes:
    body = JsonBody(document)
    whole = b"".join([piece async for piece in body])
    assert len(whole) == body.size_bytes
    return whole


@given(st.binary(max_size=100), st.binary(max_size=100), st.text(max_size=20))
async def test_media_stand_in_the_document_as_base64(first: bytes, second: bytes, text: str) -> None:
    document = {"a": [{"data": Inline(first)}, text, {"data": Inline(second, "data:image/png;base64,")}]}
    encoded = [base64.b64encode(content).decode() for content in (first, second)]
    assert json.loads(await sent(document)) == {
        "a": [{"data": encoded[0]}, text, {"data": f"data:image/png;base64,{encoded[1]}"}]
    }


@pytest.mark.parametrize("more", [-1, 0, 1, 2, ENCODED_AT_ONCE_BYTES])
async def test_large_media_join_without_padding(more: int) -> None:
    content = bytes(range(251)) * (ENCODED_AT_ONCE_BYTES // 251 + 1)
    content = content[: ENCODED_AT_ONCE_BYTES + more] if more <= 2 else content * 2
    assert json.loads(await sent({"data": Inline(content)})) == {"data": base64.b64encode(content).decode()}


async def test_a_body_can_be_sent_again() -> None:
    body = JsonBody({"data": Inline(b"abc")})
    assert [piece async for piece in body] == [piece async for piece in body]


async def test_a_document_without_media_is_plain_json() -> None:
    assert await sent({"seed": 0, "prompt": "ü"}) == b'{"seed":0,"prompt":"\\u00fc"}'


def test_what_is_not_json_is_an_error() -> None:
    with pytest.raises(TypeError):
        JsonBody({"x": object()})
    with pytest.raises(ValueError, match="JSON"):
        JsonBody({"x": float("nan")})


def test_media_do_not_show() -> None:
    assert repr(Inline(b"secret picture")) == "Inline(14 bytes)"
