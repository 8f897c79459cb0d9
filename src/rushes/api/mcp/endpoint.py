"""One message to /mcp: its host, key and size are looked at, and the SDK's server answers it.

The SDK is imported when the first message comes: it takes half a second and tens of megabytes.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import structlog
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Message, Receive, Scope, Send

from rushes.api.mcp.hosts import KnownHosts
from rushes.errors import InvalidRequest, NotJson
from rushes.intake.body import parsed, read_json_text

if TYPE_CHECKING:
    from mcp.server.streamable_http_manager import StreamableHTTPSessionManager

log = structlog.get_logger(__name__)

LARGEST_MESSAGE_BYTES = 4 * 1024**2
"""Media of a few megabytes may stand in a message; larger ones are uploaded."""


class Endpoint:
    """Starts the SDK's server when it is first wanted, and hands messages to it."""

    def __init__(self, hosts: KnownHosts) -> None:
        self.hosts = hosts
        self._wanted = asyncio.Event()
        self._manager: asyncio.Future[StreamableHTTPSessionManager] | None = None

    async def run(self) -> None:
        """Run the server from its first use until this is cancelled."""
        await self._wanted.wait()
        manager = await asyncio.to_thread(_imported)
        async with manager.run():
            self._ready().set_result(manager)
            await asyncio.Event().wait()

    async def answer(self, text: bytes) -> Response:
        """The answer to a message that was checked."""
        self._wanted.set()
        # Shielded: many wait for it, and one that leaves must not take it from the others.
        return _Answer(await asyncio.shield(self._ready()), text)

    def _ready(self) -> asyncio.Future[StreamableHTTPSessionManager]:
        if self._manager is None:
            self._manager = asyncio.get_running_loop().create_future()
        return self._manager


class _Answer(Response):
    """What the SDK answers, sent by itself."""

    def __init__(self, manager: StreamableHTTPSessionManager, text: bytes) -> None:
        super().__init__()
        self._manager = manager
        self._text = text

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        is_read = False

        async def read_again() -> Message:
            nonlocal is_read
            if is_read:
                return await receive()
            is_read = True
            return {"type": "http.request", "body": self._text, "more_body": False}

        await self._manager.handle_request(scope, read_again, send)


async def read_message(request: Request) -> bytes:
    """The body: one JSON-RPC message.

    Raises WrongContentType, EncodedBody, BodyTooLarge, NotJson, InvalidRequest, AccountBusy or Overloaded.
    """
    text = await read_json_text(request, LARGEST_MESSAGE_BYTES, "by the tool upload_media")
    try:
        content = await parsed(text)
    except InvalidRequest as exc:
        raise NotJson(exc.message) from exc
    if isinstance(content, list):
        raise InvalidRequest("A batch is not read; send each message in a request of its own")
    if not isinstance(content, dict) or content.get("jsonrpc") != "2.0":
        raise InvalidRequest('The body must be one JSON-RPC 2.0 message: an object with "jsonrpc": "2.0"')
    if "method" in content and not isinstance(content["method"], str):
        raise InvalidRequest("The method must be a text")
    return text


def _imported() -> StreamableHTTPSessionManager:
    from rushes.api.mcp.server import build_manager

    return build_manager(LARGEST_MESSAGE_BYTES)
