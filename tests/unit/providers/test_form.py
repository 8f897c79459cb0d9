"""A form is whole, as long as announced, and nothing in it reaches out of its part."""

from __future__ import annotations

from email.parser import BytesParser
from email.policy import HTTP

from hypothesis import given
from hypothesis import strategies as st

from rushes.providers.body import Inline, JsonBody
from rushes.providers.form import SENT_AT_ONCE_BYTES, FormBody, Part


async def whole(form: FormBody) -> bytes:
    return b"".join([piece async for piece in form])


def values(form: FormBody, sent: bytes) -> list[bytes]:
    message = BytesParser(policy=HTTP).parsebytes(f"Content-Type: {form.content_type}\r\n\r\n".encode() + sent)
    payloads = [part.get_payload(decode=True) for part in message.iter_parts()]
    return [payload for payload in payloads if isinstance(payload, bytes)]


@given(st.lists(st.binary(max_size=200), max_size=4))
async def test_its_length_is_known_before_it_is_sent(contents: list[bytes]) -> None:
    form = FormBody([Part("file", content, file_name="a.bin") for content in contents])
    assert len(await whole(form)) == form.size_bytes


async def test_it_can_be_sent_again() -> None:
    form = FormBody([Part("prompt", "x"), Part("json", JsonBody({"a": Inline(b"abc")}))])
    assert await whole(form) == await whole(form)


async def test_a_json_document_stands_in_it_as_text() -> None:
    form = FormBody([Part("image_reference", JsonBody({"image_url": Inline(b"abc", "data:image/png;base64,")}))])
    sent = await whole(form)
    assert values(form, sent) == [b'{"image_url":"data:image/png;base64,YWJj"}']
    assert len(sent) == form.size_bytes


async def test_a_large_file_is_sent_in_pieces() -> None:
    form = FormBody([Part("file", bytes(3 * SENT_AT_ONCE_BYTES + 1), file_name="a.bin")])
    assert max([len(piece) async for piece in form]) == SENT_AT_ONCE_BYTES


async def test_a_name_cannot_leave_its_quotes() -> None:
    sent = await whole(FormBody([Part('a"\r\nX: 1', "v")]))
    assert b'name="a%22%0D%0AX: 1"' in sent


async def test_two_forms_have_two_boundaries() -> None:
    assert FormBody([]).content_type != FormBody([]).content_type


def test_the_content_does_not_show() -> None:
    assert "hush" not in repr(Part("prompt", "hush"))
