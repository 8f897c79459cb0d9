"""The parts of a form come out whole, wherever the body is cut into chunks."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rushes.api.http.multipart import MOST_PARTS, file_of, parts_of
from rushes.errors import InvalidRequest

TYPE = "multipart/form-data; boundary=line"


def form(*parts: tuple[str, bytes], end: bytes = b"--line--\r\n") -> bytes:
    body = b"".join(
        b"--line\r\nContent-Disposition: form-data; " + disposition.encode() + b"\r\n\r\n" + content + b"\r\n"
        for disposition, content in parts
    )
    return body + end


def extracted(body: bytes, piece: int = 1000, content_type: str = TYPE) -> bytes:
    async def chunks() -> AsyncGenerator[bytes, None]:
        for at in range(0, len(body), piece):
            yield body[at : at + piece]

    async def collect() -> bytes:
        return b"".join([part async for part in file_of(content_type, chunks())])

    return asyncio.run(collect())


@given(content=st.binary(max_size=200), piece=st.integers(1, 120))
def test_the_files_bytes_are_unchanged(content: bytes, piece: int) -> None:
    body = form(('name="purpose"', b"input"), ('name="file"; filename="a.png"', content))
    assert extracted(body, piece) == content


def test_a_part_named_file_needs_no_file_name() -> None:
    assert extracted(form(('name="file"', b"abc"))) == b"abc"


@pytest.mark.parametrize("piece", [1, 7, 10_000])
@pytest.mark.parametrize(
    ("body", "words"),
    [
        (form(('name="purpose"', b"input")), "no file"),
        (form(('name="file"; filename="a"', b"1"), ('name="more"; filename="b"', b"2")), "more than one"),
        (form(('name="file"; filename="a"', b"1"), end=b""), "last boundary"),
        (b"not a form", "cannot be separated"),
        (b"", "no file"),
        (form((f'name="{"x" * 20_000}"', b"1")), "cannot be separated"),
        (form(('name="x"', bytes(70_000))), "larger"),
    ],
)
def test_a_body_without_one_whole_file_is_refused(body: bytes, words: str, piece: int) -> None:
    with pytest.raises(InvalidRequest, match=words):
        extracted(body, piece)


@pytest.mark.parametrize("piece", [1, 7, 10_000])
@pytest.mark.parametrize(
    ("disposition", "is_file", "has_media_type"),
    [
        ('name="input_reference"; filename="a.png"', True, False),
        ("name=\"input_reference\"; filename*=UTF-8''a%20b.png", True, False),
        ("name=\"input_reference\"; FileName* = utf-8''a.png\r\nContent-Type: image/png", True, True),
        ('name="input_reference"\r\nContent-Type: Image/PNG', False, True),
        ('name="video"\r\ncontent-type: video/mp4; codecs="avc1"', False, True),
        ('name="prompt"\r\nContent-Type: text/plain; charset=utf-8', False, False),
        ('name="input_reference"; filename=""', True, False),
    ],
)
def test_a_part_with_a_name_or_a_media_type_is_told_apart(
    disposition: str, is_file: bool, has_media_type: bool, piece: int
) -> None:
    async def seen() -> list[tuple[bool, bool, bytes]]:
        return [
            (part.is_file, part.has_media_type, b"".join([chunk async for chunk in part.chunks]))
            async for part in parts_of(TYPE, in_pieces(form((disposition, b"abc"), ('name="n"', b"1")), piece))
        ]

    assert asyncio.run(seen()) == [(is_file, has_media_type, b"abc"), (False, False, b"1")]


@pytest.mark.parametrize("piece", [1, 7, 10_000])
def test_a_file_without_name_and_bytes_counts_as_not_given(piece: int) -> None:
    empty = ('name="file"; filename=""\r\nContent-Type: application/octet-stream', b"")
    with pytest.raises(InvalidRequest, match="no file"):
        extracted(form(empty), piece)
    assert extracted(form(empty, ('name="file"; filename="a"', b"abc"), empty), piece) == b"abc"


async def in_pieces(body: bytes, piece: int) -> AsyncGenerator[bytes, None]:
    for at in range(0, len(body), piece):
        yield body[at : at + piece]


def test_a_form_without_a_boundary_is_refused() -> None:
    with pytest.raises(InvalidRequest, match="boundary"):
        extracted(b"", content_type="multipart/form-data")


def read(body: bytes, piece: int, *, skip: frozenset[int] = frozenset()) -> list[tuple[str, bool, bytes]]:
    """Every part of a form, but for the content of those that are skipped."""

    async def chunks() -> AsyncGenerator[bytes, None]:
        for at in range(0, len(body), piece):
            yield body[at : at + piece]

    async def collect() -> list[tuple[str, bool, bytes]]:
        found: list[tuple[str, bool, bytes]] = []
        async for part in parts_of(TYPE, chunks()):
            skipped = len(found) in skip
            content = b"" if skipped else b"".join([chunk async for chunk in part.chunks])
            found.append((part.name, part.is_file, content))
        return found

    return asyncio.run(collect())


PARTS = st.lists(
    st.tuples(st.sampled_from(["prompt", "a[b]", "c[]"]), st.booleans(), st.binary(max_size=60)), max_size=6
)


@given(parts=PARTS, piece=st.integers(1, 200), skip=st.frozensets(st.integers(0, 5)))
def test_every_part_comes_out_as_it_went_in_whatever_is_skipped(
    parts: list[tuple[str, bool, bytes]], piece: int, skip: frozenset[int]
) -> None:
    body = form(*((f'name="{name}"' + '; filename="f"' * is_file, content) for name, is_file, content in parts))
    expected = [
        (name, is_file, b"" if place in skip else content) for place, (name, is_file, content) in enumerate(parts)
    ]
    assert read(body, piece, skip=skip) == expected


def test_a_form_of_endless_parts_is_refused() -> None:
    parts = [(f'name="{number}"', b"") for number in range(MOST_PARTS + 1)]
    with pytest.raises(InvalidRequest, match="more than 200 parts"):
        read(form(*parts), 1000)
