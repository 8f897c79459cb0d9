"""POST /uploads: large media in, a reference out that is usable wherever media is."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from typing import Any

from fastapi import APIRouter, Request
from pydantic import BaseModel, Field
from starlette.responses import Response

from rushes.accounts.revocations import while_valid
from rushes.api.answers import json_response
from rushes.api.authentication import Authenticated
from rushes.api.http.multipart import file_of
from rushes.api.native.answers import problems
from rushes.api.services import services_of
from rushes.errors import BodyTooLarge, WrongContentType
from rushes.intake.body import refuse_encoding
from rushes.media.inputs import MIB, MOST_UPLOAD_BYTES
from rushes.shared_places import UPLOADS
from rushes.views.times import rfc3339

router = APIRouter()

WRAPPING_BYTES = MIB
"""How much larger than its file a multipart body may be."""

_BINARY: dict[str, Any] = {"schema": {"type": "string", "format": "binary"}}
_FORM: dict[str, Any] = {
    "schema": {
        "type": "object",
        "required": ["file"],
        "properties": {"file": {"type": "string", "format": "binary"}},
    }
}
BODY_SCHEMA: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {
            "application/octet-stream": _BINARY,
            "image/*": _BINARY,
            "video/*": _BINARY,
            "multipart/form-data": _FORM,
        },
    }
}

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


@router.post(
    "/uploads",
    summary="Upload media",
    response_model=Upload,
    responses=problems(400, 401, 413, 415, 422, 503),
    openapi_extra=BODY_SCHEMA,
)
async def upload(request: Request, caller: Authenticated) -> Response:
    """Takes an image, video or audio as the body itself, or as the one file of a form; equal bytes are stored once."""
    request.state.body_unread = True
    refuse_encoding(request)
    content_type = request.headers.get("content-type", "")
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
        stored = await services.inputs.upload(
            caller.tenant, file_of(content_type, body) if is_form else body, None if is_form else size_bytes
        )
    return json_response(
        Upload(
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
    )


async def _body(request: Request) -> AsyncGenerator[bytes, None]:
    async for chunk in request.stream():
        if chunk:
            yield chunk
    request.state.body_unread = False
