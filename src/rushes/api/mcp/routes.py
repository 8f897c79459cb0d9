"""POST /mcp, and the links under which a file is sent once.

Neither is in the OpenAPI document, because MCP describes itself.
"""

from __future__ import annotations

from fastapi import APIRouter, Request
from starlette.responses import Response

from rushes.accounts.keys import Scope
from rushes.api.answers import json_response
from rushes.api.authentication import authenticate_any, authenticate_link
from rushes.api.mcp.endpoint import Endpoint, read_message
from rushes.api.services import services_of
from rushes.api.uploads import received, upload_view

router = APIRouter()


@router.post("/mcp", include_in_schema=False)
async def message_to_mcp(request: Request) -> Response:
    """One JSON-RPC message of an agent's client."""
    endpoint: Endpoint = request.app.state.mcp
    endpoint.hosts.check(request.headers)
    await authenticate_any(request)
    return await endpoint.answer(await read_message(request))


@router.put("/uploads/{name}", include_in_schema=False)
@router.post("/uploads/{name}", include_in_schema=False)
async def upload_by_link(
    request: Request, name: str, expires: str | None = None, signature: str | None = None
) -> Response:
    """Takes one file for the account whose key has made the link; the link is used up by a file that was stored."""
    services = services_of(request)
    request.state.body_unread = True
    link = services.upload_links.check(name, expires, signature, services.clock.now_ms())
    caller = await authenticate_link(request, link.key_id, Scope.GENERATE)
    async with services.upload_links.used(link):
        return json_response(upload_view(await received(request, caller, request.headers.get("content-type", ""))))
