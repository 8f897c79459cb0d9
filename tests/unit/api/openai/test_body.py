"""Bodies as they arrive: texts are bounded, files go to storage at once."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

import pytest

from rushes.accounts.keys import Caller, Mode
from rushes.accounts.revocations import Revocations
from rushes.api.openai import body as reading
from rushes.api.openai.body import MOST_FILES, read_fields
from rushes.clock import SystemClock
from rushes.errors import BodyTooLarge, InvalidRequest, UnknownField, WrongContentType
from rushes.intake.body import LARGEST_BODY_BYTES
from rushes.media.input_store import StoredInput
from rushes.media.inputs import MOST_VIDEO_BYTES
from rushes.shared_places import UPLOADS, SharedPlace

if TYPE_CHECKING:
    from rushes.accounts.key_store import KeyStore
from tests.fixtures.asking import request_of

REVOCATIONS = Revocations(cast("KeyStore", None), SystemClock())
"""Nothing is revoked: it is not running."""

CALLER = Caller("acct_1", "key_1", Mode.TEST)
FORM = "multipart/form-data; boundary=line"
END = b"--line--\r\n"


class FakeInputs:
    """Takes in whatever comes, and keeps it to be looked at."""

    def __init__(self) -> None:
        self.received: list[tuple[str, str, bytes]] = []

    async def receive(self, account_id: str, chunks: AsyncGenerator[bytes, None], field: str) -> StoredInput:
        content = b"".join([chunk async for chunk in chunks])
        self.received.append((account_id, field, content))
        return StoredInput(f"upload_{len(self.received)}", "k", "0" * 64, len(content), "image/png", 1, 1, None, 0)


def part(disposition: str, content: bytes = b"x") -> bytes:
    return b"--line\r\nContent-Disposition: form-data; " + disposition.encode() + b"\r\n\r\n" + content + b"\r\n"


async def read(
    *chunks: bytes, inputs: FakeInputs | None = None, headers: dict[str, str] | None = None
) -> dict[str, Any]:
    request = request_of(chunks, headers={"Content-Type": FORM, **(headers or {})})
    services = SimpleNamespace(
        inputs=inputs or FakeInputs(), places={UPLOADS: SharedPlace(UPLOADS)}, revocations=REVOCATIONS
    )
    request.scope["app"] = SimpleNamespace(state=SimpleNamespace(services=services))
    return await read_fields(request, CALLER)


async def test_files_are_stored_for_the_caller_and_texts_are_read() -> None:
    inputs = FakeInputs()
    given = await read(
        part('name="prompt"', b"a mole"),
        part('name="input_reference"; filename="a.png"', b"one"),
        part('name="reference_images[]"; filename="b.png"', b"two"),
        part('name="reference_images[]"; filename="c.png"', b"three"),
        part('name="input_references"; filename="d.png"', b"four"),
        part('name="input_references"; filename="e.png"', b"five") + part('name="seed"', b"7") + END,
        inputs=inputs,
    )
    assert [content for _, _, content in inputs.received] == [b"one", b"two", b"three", b"four", b"five"]
    assert {account for account, _, _ in inputs.received} == {CALLER.tenant}
    assert (given["prompt"], given["seed"], given["input_reference"].id) == ("a mole", 7, "upload_1")
    assert [file.id for file in given["reference_images"]] == ["upload_2", "upload_3"]
    assert [file.id for file in given["input_references"]] == ["upload_4", "upload_5"]


async def test_json_is_taken_as_it_is() -> None:
    assert await read(b'{"seconds": 4}', headers={"Content-Type": "application/json"}) == {"seconds": 4}


@pytest.mark.parametrize("content_type", ["", "text/plain", "application/x-www-form-urlencoded"])
async def test_other_types_are_refused(content_type: str) -> None:
    with pytest.raises(WrongContentType, match="multipart/form-data or application/json"):
        await read(b"", headers={"Content-Type": content_type})


async def test_a_body_that_announces_too_much_is_not_read() -> None:
    with pytest.raises(BodyTooLarge):
        await read(headers={"Content-Length": str(LARGEST_BODY_BYTES + MOST_VIDEO_BYTES + 1)})


async def test_texts_that_grow_too_large_are_not_read_to_their_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "LARGEST_BODY_BYTES", 1000)
    with pytest.raises(BodyTooLarge):
        await read(part('name="prompt"', b"x" * 600), part('name="negative_prompt"', b"x" * 401), b"never asked for")


@pytest.mark.parametrize(
    ("first", "error"),
    [
        (part('name="second"; filename="a"'), UnknownField),
        (part('name="second"'), UnknownField),
        (part('name="prompt"; filename="a"'), InvalidRequest),
        (part('name="input_reference[image_url]"; filename="a"'), InvalidRequest),
    ],
)
async def test_what_no_field_takes_is_refused_before_anything_is_stored(first: bytes, error: type[Exception]) -> None:
    inputs = FakeInputs()
    with pytest.raises(error):
        await read(first, part('name="input_reference"; filename="a"'), END, inputs=inputs)
    assert inputs.received == []


async def test_endless_files_are_refused() -> None:
    inputs = FakeInputs()
    with pytest.raises(InvalidRequest, match="one file too many"):
        await read(*[part('name="reference_images[]"; filename="a"')] * (MOST_FILES + 1), END, inputs=inputs)
    assert len(inputs.received) == MOST_FILES


async def test_a_file_beside_a_text_of_the_same_name_is_not_passed_over() -> None:
    given = await read(
        part('name="input_reference"', b"https://example.com/a.png"),
        part('name="input_reference"; filename="a"') + END,
    )
    assert len(given["input_reference"]) == 2
