"""Base64 comes out as it went in, however it was written; anything else is refused by its field's name."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import time
from urllib.parse import quote_from_bytes

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rushes.errors import InvalidRequest
from rushes.media import encoded
from rushes.media.encoded import decode, decode_data_url, is_data_url


async def decoded(text: str) -> bytes:
    return b"".join([piece async for piece in decode(text, "input_image")])


@given(
    content=st.binary(max_size=300),
    urlsafe=st.booleans(),
    padded=st.booleans(),
    line=st.integers(1, 80),
    piece=st.integers(1, 50),
)
def test_every_way_of_writing_it_is_read(content: bytes, urlsafe: bool, padded: bool, line: int, piece: int) -> None:
    text = (base64.urlsafe_b64encode if urlsafe else base64.b64encode)(content).decode()
    text = text if padded else text.rstrip("=")
    text = "\r\n".join(text[at : at + line] for at in range(0, len(text), line))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(encoded, "PIECE_CHARS", piece)
        assert asyncio.run(decoded(text)) == content


@pytest.mark.parametrize("piece", [1, 2, 3, 4, 5, 1000])
@pytest.mark.parametrize(
    "text",
    ["!!!!", "QUJ", "A", "QUJDR", "QQ==QUJD", "QQ=Q", "Q===", "====", "=", "QUJD=", "QUJD====", "QQ==\n=", "äöüß",
     "QUJD\x00QUJD", "QU.D", "＝＝＝＝", "\ud800AAA"],
)  # fmt: skip
async def test_broken_base64_is_refused(monkeypatch: pytest.MonkeyPatch, text: str, piece: int) -> None:
    monkeypatch.setattr(encoded, "PIECE_CHARS", piece)
    if text == "QUJ":
        assert await decoded(text) == b"AB"
        return
    with pytest.raises(InvalidRequest) as caught:
        await decoded(text)
    assert [field.field for field in caught.value.fields] == ["input_image"]


@given(st.text(max_size=40), st.integers(1, 8))
def test_any_text_is_decoded_or_refused_and_nothing_else(text: str, piece: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(encoded, "PIECE_CHARS", piece)
        with contextlib.suppress(InvalidRequest):
            asyncio.run(decoded(text))


async def in_data_url(url: str) -> bytes:
    assert is_data_url(url)
    return b"".join([piece async for piece in decode_data_url(url, "video")])


@pytest.mark.parametrize("piece", [1, 2, 3, 5, 1000])
@pytest.mark.parametrize(
    "url",
    [
        "data:image/png;base64,QUJD",
        "DATA:IMAGE/JPG;BASE64,QUJD",
        "data:image/png;charset=utf-8;base64,QUJD",
        "data:;base64,QUJD",
        "data:image/png; base64,QUJD",
        "data:image/png;base64 ,QUJD",
        "data:image/png ;  base64 ,QUJD",
        " data:image/png;base64,QUJD",
        "\n\tdata:image/png;base64,QUJD",
        "data:undefined;base64,QUJD",
        "data:image/*;base64,QU JD",
        "data:image/png;base64,%51%55%4a%44",
        "data:image/png;base64,QUJD%0A",
        "data:image/png;base64,QU%4AD",
        "data:,ABC",
        "data:image/png,%41%42%43",
        "data:image/png,A%42C",
        "data:text/plain;base64x,ABC",
        "data:image/png;base64,QUJD#poster",
        "data:,ABC#,%41",
    ],
)
async def test_a_data_url_is_read_as_browsers_read_it(monkeypatch: pytest.MonkeyPatch, url: str, piece: int) -> None:
    monkeypatch.setattr(encoded, "PIECE_CHARS", piece)
    assert await in_data_url(url) == b"ABC"


@given(content=st.binary(max_size=200), piece=st.integers(1, 40), in_base64=st.booleans())
def test_a_percent_encoded_payload_comes_out_as_it_went_in(content: bytes, piece: int, in_base64: bool) -> None:
    payload = base64.b64encode(content) if in_base64 else content
    url = f"data:image/png{';base64' if in_base64 else ''},{quote_from_bytes(payload, safe='')}"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(encoded, "PIECE_CHARS", piece)
        assert asyncio.run(in_data_url(url)) == content


@pytest.mark.parametrize("url", ["data:", "data:image/png;base64", "data:image/png;base64,Q", "data:;base64,%zz"])
async def test_a_data_url_without_a_file_is_refused(url: str) -> None:
    with pytest.raises(InvalidRequest, match="video"):
        await in_data_url(url)


async def test_decoding_a_large_file_lets_others_run() -> None:
    text = "QUJD" * (4 * 1024**2)
    turns = 0

    async def count() -> None:
        nonlocal turns
        while True:
            await asyncio.sleep(0)
            turns += 1

    counting = asyncio.create_task(count())
    began = time.perf_counter()
    size_bytes = 0
    async for piece in decode(text, "video"):
        size_bytes += len(piece)
    counting.cancel()
    assert size_bytes == 12 * 1024**2
    assert turns > 32, time.perf_counter() - began
