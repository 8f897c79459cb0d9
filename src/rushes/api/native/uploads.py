"""POST /uploads: large media in, a reference out that is usable wherever media is."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import Response

from rushes.api.answers import json_response
from rushes.api.authentication import Authenticated
from rushes.api.native.answers import problems
from rushes.api.uploads import Upload, received, upload_view

router = APIRouter()

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


@router.post(
    "/uploads",
    summary="Upload media",
    response_model=Upload,
    responses=problems(400, 401, 413, 415, 422, 503),
    openapi_extra=BODY_SCHEMA,
)
async def upload(request: Request, caller: Authenticated) -> Response:
    """Takes an image, video or audio as the body itself, or as the one file of a form; equal bytes are stored once."""
    stored = await received(request, caller, request.headers.get("content-type", ""))
    return json_response(upload_view(stored))
