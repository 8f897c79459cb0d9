"""The idempotency key of a request that starts something."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from starlette.requests import Request

from rushes.domain.job import Job
from rushes.jobs.idempotency import HEADER, Once, check_key, hash_body


async def idempotency_of(
    request: Request, route: str, content: dict[str, Any], answer_of: Callable[[Job], str]
) -> Once | None:
    """The request under its `Idempotency-Key`, or None if it has none. Raises InvalidRequest for an invalid key."""
    key = request.headers.get(HEADER)
    if key is None:
        return None
    # Hashing 60 MB of media takes a tenth of a second.
    body_hash = await asyncio.to_thread(hash_body, content)
    return Once(route=route, key=check_key(key), body_hash=body_hash, answer_of=answer_of)
