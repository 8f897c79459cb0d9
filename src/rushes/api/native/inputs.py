"""Input files by signed link: how a guardrail gets what came with the request that it judges.

It is not in the OpenAPI document, because only who is given a link can call it.
"""

from __future__ import annotations

from datetime import UTC, datetime
from http import HTTPStatus

from fastapi import APIRouter, Request
from starlette.exceptions import HTTPException
from starlette.responses import Response

from rushes.api.content import linked_file
from rushes.api.http.ranges import ServedFile
from rushes.api.services import services_of
from rushes.errors import FileExpired
from rushes.media.links import LinkState
from rushes.media.sniff import extension_of

router = APIRouter()


@router.get("/media/inputs/{input_id}", include_in_schema=False)
async def fetch_input(
    request: Request, input_id: str, expires: str | None = None, signature: str | None = None
) -> Response:
    """The bytes that the model would get. Supports Range and conditional requests; needs no key, only the link.

    Where files are kept in S3 this may be a 307 to a link there.
    """
    services = services_of(request)
    if services.links.check(request.url.path, expires, signature) is not LinkState.VALID:
        raise HTTPException(HTTPStatus.FORBIDDEN, "This link is not one of ours, or it has expired")
    found = await services.inputs.find_by_link(input_id)
    gone = FileExpired("The input file is no longer kept")
    if found is None:
        raise gone
    file = ServedFile(
        key=found.file.key,
        size_bytes=found.file.size_bytes,
        sha256=found.file.sha256,
        content_type=found.file.content_type,
        filename=f"{found.file.id}{extension_of(found.file.content_type)}",
        last_modified=datetime.fromtimestamp(found.created_at / 1000, UTC),
    )
    try:
        return await linked_file(request, file, found.account_id, services.links.left_s(expires))
    except FileNotFoundError:
        raise gone from None
