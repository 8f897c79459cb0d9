"""One question over HTTP: a POST whose answer is a small JSON object."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

import aiohttp
from pydantic_core import from_json
from yarl import URL

from rushes.errors import GuardrailFailed
from rushes.net.client import HttpClient, TimeLimits

LARGEST_ANSWER_BYTES = 256 * 1024


async def post_json(
    client: HttpClient, url: str, body: bytes, headers: Mapping[str, str], *, timeout_s: float
) -> Mapping[str, Any]:
    """The object that the guardrail answers. Raises GuardrailFailed in words that name neither address nor content.

    The connection is a new one: a kept one may be closed just then, and no question is asked twice.
    """
    limits = TimeLimits(connect_s=timeout_s, read_s=timeout_s, total_s=timeout_s)
    sent = {"Content-Type": "application/json", "Accept": "application/json", **headers}
    try:
        async with (
            asyncio.timeout(timeout_s),
            client.open_trusted(
                "POST", URL(url, encoded=True), headers=sent, limits=limits, body=body, fresh=True
            ) as response,
        ):
            if response.status != 200:
                raise GuardrailFailed(f"it answered {response.status}")
            content = await _read(response)
    except TimeoutError:
        raise GuardrailFailed(f"it did not answer within {timeout_s:g} s") from None
    except (aiohttp.ClientError, OSError, ValueError) as exc:
        raise GuardrailFailed(_failure_of(exc)) from exc
    return _object(content)


async def _read(response: aiohttp.ClientResponse) -> bytes:
    content = bytearray()
    while chunk := await response.content.read(LARGEST_ANSWER_BYTES):
        content += chunk
        if len(content) > LARGEST_ANSWER_BYTES:
            response.close()
            raise GuardrailFailed(f"its answer is larger than {LARGEST_ANSWER_BYTES // 1024} KiB")
    return bytes(content)


def _object(content: bytes) -> Mapping[str, Any]:
    if not content.strip():
        raise GuardrailFailed("its answer is empty")
    try:
        found = from_json(content, allow_inf_nan=False)
    except ValueError:
        raise GuardrailFailed("its answer is not JSON") from None
    if not isinstance(found, dict):
        raise GuardrailFailed("its answer is not a JSON object")
    return found


def _failure_of(exc: Exception) -> str:
    match exc:
        case aiohttp.ClientConnectorCertificateError() | aiohttp.ClientSSLError():
            return "its certificate cannot be trusted"
        case aiohttp.ClientConnectorError():
            return "it could not be reached"
        case aiohttp.ServerDisconnectedError() | ConnectionResetError():
            return "it closed the connection without an answer"
        case aiohttp.ClientResponseError():
            return "its answer is not HTTP"
        case _:
            return "the connection to it failed"
