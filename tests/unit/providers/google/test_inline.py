from __future__ import annotations

import base64
import json
from collections.abc import AsyncGenerator, Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rushes.errors import ProviderUnavailable
from rushes.providers.google.inline import Base64Pieces, FieldSieve, video_in

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["data", "x", "da", "data2", 'q"']) | st.text(), inner, max_size=4)
    ),
    max_leaves=12,
)


def in_pieces(content: bytes, sizes: list[int]) -> Iterator[bytes]:
    position = 0
    for size in sizes:
        yield content[position : position + size]
        position += size
    yield content[position:]


def with_numbers(value: Any, numbers: Iterator[int], found: list[str]) -> Any:
    if isinstance(value, list):
        return [with_numbers(item, numbers, found) for item in value]
    if not isinstance(value, dict):
        return value
    replaced = {}
    for name, item in value.items():
        if name == "data" and isinstance(item, str):
            found.append(item)
            number = next(numbers)
            replaced[name] = str(number) if item else ""
        else:
            replaced[name] = with_numbers(item, numbers, found)
    return replaced


@given(json_values, st.lists(st.integers(1, 9), max_size=40), st.booleans(), st.sampled_from([None, 1]))
def test_a_sieve_takes_out_the_field_wherever_the_pieces_break(
    value: Any, sizes: list[int], ascii_only: bool, indent: int | None
) -> None:
    document = json.dumps(value, ensure_ascii=ascii_only, indent=indent).encode("utf-8", errors="surrogatepass")
    found: list[str] = []
    expected = with_numbers(value, iter(range(100)), found)
    sieve = FieldSieve("data")
    kept = b"".join(sieve.keep(piece) for piece in in_pieces(document, sizes))
    assert json.loads(kept.decode("utf-8", errors="surrogatepass")) == expected
    for number, content in enumerate(found):
        sieve = FieldSieve("data", wanted=number)
        taken = b"".join(sieve.take(piece) for piece in in_pieces(document, sizes))
        assert json.loads(b'"' + taken + b'"') == content
        assert sieve.is_complete


@given(st.binary(max_size=200), st.lists(st.integers(1, 7), max_size=60), st.booleans())
def test_base64_in_pieces_decodes_to_the_same(content: bytes, sizes: list[int], escaped: bool) -> None:
    encoded = base64.b64encode(content)
    if escaped:
        encoded = encoded.replace(b"=", b"\\u003d").replace(b"/", b"\\/").replace(b"+", b"\\u002B")
    pieces = Base64Pieces()
    assert b"".join(pieces.decode(piece) for piece in in_pieces(encoded, sizes)) == content
    pieces.end()


@pytest.mark.parametrize("text", [b"AA", b"AAA", b"A", b"!AAA", b"AA=A", b"\\n\\n\\n\\nAAAA", b"AAAA\\x"])
def test_what_is_not_base64_is_an_error(text: bytes) -> None:
    def decode(pieces: Base64Pieces) -> None:
        pieces.decode(text)
        pieces.end()

    with pytest.raises(ValueError):
        decode(Base64Pieces())


class Reply:
    """A reply in pieces that knows how far it was read and whether it was closed."""

    def __init__(self, *pieces: bytes) -> None:
        self.pieces = pieces
        self.read = 0
        self.is_closed = False

    async def stream(self) -> AsyncGenerator[bytes, None]:
        try:
            for piece in self.pieces:
                self.read += 1
                yield piece
        finally:
            self.is_closed = True


async def video(reply: Reply, number: int = 0) -> bytes:
    return b"".join([chunk async for chunk in video_in(reply.stream(), field="data", number=number)])


async def test_a_reply_is_read_no_further_than_its_video() -> None:
    reply = Reply(b'{"data": "QU', b'JD"', b', "data": "never read"}')
    assert await video(reply) == b"ABC"
    assert (reply.read, reply.is_closed) == (2, True)


async def test_a_reply_is_closed_when_its_reader_leaves() -> None:
    reply = Reply(b'{"data": "QUJD', b"QUJD", b'"}')
    chunks = video_in(reply.stream(), field="data", number=0)
    await anext(chunks)
    await chunks.aclose()
    assert reply.is_closed


@pytest.mark.parametrize(
    "document", [b"", b"{}", b'{"data": "QUJD', b'{"data": 3}', b'{"data": "QUJ"}', b'{"data": "\xff"}']
)
async def test_a_video_that_is_not_there_whole_may_be_asked_for_again(document: bytes) -> None:
    with pytest.raises(ProviderUnavailable):
        await video(Reply(document))
