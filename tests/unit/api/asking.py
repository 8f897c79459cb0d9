"""Requests as the routes see them, made without a server."""

from __future__ import annotations

from collections.abc import Sequence

from starlette.requests import Request
from starlette.types import Message


def request_of(
    chunks: Sequence[bytes] = (), *, headers: dict[str, str] | None = None, request_id: str = "req_1"
) -> Request:
    """A POST whose body arrives in these chunks; reading past the last one is an error."""
    waiting: list[Message] = [
        {"type": "http.request", "body": chunk, "more_body": place < len(chunks) - 1}
        for place, chunk in enumerate(chunks)
    ]

    async def receive() -> Message:
        return waiting.pop(0)

    raw_headers = [(name.lower().encode(), value.encode()) for name, value in (headers or {}).items()]
    scope = {"type": "http", "method": "POST", "path": "/", "query_string": b"", "headers": raw_headers}
    return Request({**scope, "state": {"request_id": request_id}}, receive)
