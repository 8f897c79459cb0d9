"""A server that answers with what a test puts in a queue and records what it was asked."""

from __future__ import annotations

from collections import deque
from typing import Any

from aiohttp import web

from tests.fixtures.upstreams.server import Recorded, Upstream


class Stub(Upstream):
    """Answers each request with the next reply of the queue; the last one stays for all that follow."""

    def __init__(self) -> None:
        super().__init__()
        self._replies: deque[tuple[int, Any]] = deque([(200, {})])

    def reply(self, *bodies: Any, status: int = 200) -> None:
        """Replace the queue by these bodies: bytes as they are, everything else as JSON."""
        self._replies = deque((status, body) for body in bodies)

    def take(self) -> list[Recorded]:
        """The requests since the last call."""
        requests, self.requests = self.requests, []
        return requests

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """Answer with the next reply."""
        status, body = self._replies.popleft() if len(self._replies) > 1 else self._replies[0]
        if isinstance(body, bytes):
            return web.Response(status=status, body=body, content_type="video/mp4")
        return web.json_response(body, status=status)
