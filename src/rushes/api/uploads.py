"""Receiving a file that is uploaded, as the body itself or as the one file of a form."""

from __future__ import annotations

from collections.abc import AsyncGenerator

from pydantic import BaseModel, Field
from starlette.requests import Request

from rushes.accounts.keys import Caller
from rushes.accounts.revocations import while_valid
from rushes.api.http.multipart import file_of
from rushes.api.services import services_of
from rushes.errors import BodyTooLarge, WrongContentType
from rushes.intake.body import refuse_encoding
from rushes.media.input_store import StoredInput
from rushes.media.inputs import MIB, MOST_UPLOAD_BYTES
from rushes.shared_places import UPLOADS
from rushes.views.times import rfc3339

WRAPPING_BYTES = MIB
"""How much larger than its file a multipart body may be."""
OTHER_BODIES = frozenset({"application/json", "application/x-www-form-urlencoded"})
"""Types of bodies that are no file. Beside these the bytes say what a file is, as everywhere."""


class Upload(BaseModel):
    """A stored file. `content_type` is what its bytes say; an image has no `duration`, audio no size."""

    upload_id: str
    reference: str = Field(description="What to give as input_image, last_frame, reference_image or video.")
    content_type: str
    size_bytes: int
    sha256: str
    width: int | None
    height: int | None
    duration: float | None
    expires_at: str


def upload_view(stored: StoredInput) -> Upload:
    """What callers see of a file that was taken in."""
    return Upload(
        upload_id=stored.id,
        reference=stored.id,
        content_type=stored.content_type,
        size_bytes=stored.size_bytes,
        sha256=stored.sha256,
        width=stored.width,
        height=stored.height,
        duration=stored.duration_s,
        expires_at=rfc3339(stored.keep_until),
    )


async def received(request: Request, caller: Caller, content_type: str) -> StoredInput:
    """The file that the body of this content type brings, stored as an upload of this caller.

    Raises WrongContentType, EncodedBody, BodyTooLarge, UnusableInput, InputQuotaReached, AccountBusy or Overloaded;
    NotAuthenticated once the key is no longer valid.
    """
    request.state.body_unread = True
    refuse_encoding(request)
    media_type = content_type.partition(";")[0].strip().lower()
    is_form = media_type == "multipart/form-data"
    if media_type in OTHER_BODIES or media_type.startswith("text/"):
        raise WrongContentType(
            f"The body must be image/*, video/*, audio/*, application/octet-stream or multipart/form-data, not "
            f"'{media_type[:100]}'"
        )
    announced = request.headers.get("content-length", "")
    size_bytes = int(announced) if announced.isdecimal() else None
    if size_bytes is not None and size_bytes > MOST_UPLOAD_BYTES + (WRAPPING_BYTES if is_form else 0):
        raise BodyTooLarge(f"The body is larger than the {MOST_UPLOAD_BYTES // MIB} MiB that an upload may have")
    body = _body(request)
    services = services_of(request)
    with services.places[UPLOADS].take(caller.account_id), services.revocations.watch(caller.key_id) as key:
        body = while_valid(body, key)
        return await services.inputs.upload(
            caller.tenant, file_of(content_type, body) if is_form else body, None if is_form else size_bytes
        )


async def _body(request: Request) -> AsyncGenerator[bytes, None]:
    async for chunk in request.stream():
        if chunk:
            yield chunk
    request.state.body_unread = False
