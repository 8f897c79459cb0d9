"""Requests to a service: the key, the time limits, the retries, and failures as errors of the client."""

from __future__ import annotations

import asyncio
import io
import json
import os
import random
import time
from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC
from email.utils import parsedate_to_datetime
from typing import Any

import aiohttp
from yarl import URL

from rushes.client.errors import ClientError, NotConfigured, Refused, UnexpectedAnswer, Unreachable, refused

CONNECT_S = 10
ANSWER_S = 120
"""How long a service may be silent. It fetches media given by URL before it answers, so this is long."""
LARGEST_ANSWER_BYTES = 256 * 1024**2
RETRIES = 3
FIRST_BACKOFF_S = 0.2
LONGEST_BACKOFF_S = 5.0
LONGEST_RETRY_AFTER_S = 30.0
"""A refusal with a longer Retry-After is raised at once, so that the caller can decide."""
RETRIED_STATUSES = frozenset({429, 502, 503, 504})
PERMANENT_CODES = frozenset({"no_credentials"})
"""Codes of refusals that a retry cannot change, although their status is retried."""


class Http:
    """Sends requests to one service, and repeats those that are safe to repeat.

    Raises NotConfigured for an invalid address.
    """

    def __init__(self, base_url: str, api_key: str | None, *, retries: int = RETRIES) -> None:
        self.base_url = service_url(base_url)
        self._api_key = api_key
        self._retries = retries
        self._session: aiohttp.ClientSession | None = None

    async def close(self) -> None:
        """Close all connections; the next request opens new ones."""
        if self._session is not None:
            await self._session.close()
            self._session = None

    @property
    def session(self) -> aiohttp.ClientSession:
        """The open session; it adds no key to a request."""
        if self._session is None:
            timeout = aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_S, sock_read=ANSWER_S)
            self._session = aiohttp.ClientSession(timeout=timeout)
        return self._session

    async def get(self, path: str, query: Mapping[str, str | int] | None = None, *, retries: int | None = None) -> Any:
        """The JSON at `path`. Raises Unreachable, UnexpectedAnswer, Refused."""
        return await self.repeated(lambda: self._once("GET", path, query=query), retries=retries)

    async def send(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str | int] | None = None,
        body: object = None,
        data: object = None,
        headers: Mapping[str, str] = {},
    ) -> Any:
        """The JSON of the answer, None if it is empty. Sent once, because a repetition may not be safe."""
        return await self._once(method, path, query=query, body=body, data=data, headers=headers)

    async def repeated(self, once: Callable[[], Awaitable[Any]], *, retries: int | None = None) -> Any:
        """The answer of `once`, which is called again after temporary errors. For requests that are safe to repeat."""
        for attempt in range(self._retries if retries is None else retries):
            try:
                return await once()
            except (Unreachable, Refused) as error:
                if not may_pass(error):
                    raise
                await asyncio.sleep(backoff_s(attempt, error))
        return await once()

    async def _once(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str | int] | None = None,
        body: object = None,
        data: object = None,
        headers: Mapping[str, str] = {},
    ) -> Any:
        response, text = await self._answer(method, path, query=query, body=body, data=data, headers=headers)
        return _content(self.base_url, response, text)

    async def exchange(self, path: str, data: bytes, headers: Mapping[str, str]) -> tuple[int, bytes]:
        """Post this text once: the status and the text of the answer, whatever they say. Raises Unreachable."""
        # As a stream, because sent at once a large text would hold the event loop up.
        response, text = await self._answer("POST", path, data=io.BytesIO(data), headers=headers)
        return response.status, text

    async def _answer(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str | int] | None = None,
        body: object = None,
        data: object = None,
        headers: Mapping[str, str] = {},
    ) -> tuple[aiohttp.ClientResponse, bytes]:
        url = URL(self.base_url + path, encoded=True).with_query(query)
        key = {} if self._api_key is None else {"Authorization": f"Bearer {self._api_key}"}
        try:
            async with self.session.request(
                method, url, json=body, data=data, headers={**key, **headers}, allow_redirects=False
            ) as response:
                return response, await _bounded(response)
        except (aiohttp.ClientError, TimeoutError, OSError) as exc:
            raise Unreachable(f"cannot reach {self.base_url}: {reason(exc)}") from exc


def service_url(text: str) -> str:
    """The address of the service without the path of its API. Raises NotConfigured for an invalid address."""
    try:
        url = URL(text)
        usable = url.scheme in ("http", "https") and bool(url.host) and url.user is None and not url.query_string
    except ValueError:
        usable = False
    if not usable:
        raise NotConfigured(f"'{text}' is not the address of a service, such as http://127.0.0.1:8080")
    # In the settings of other clients the path is part of the address, and people copy it from there.
    return text.rstrip("/").removesuffix("/api/v1").rstrip("/")


def may_pass(error: ClientError) -> bool:
    """Whether the same request may succeed a little later."""
    if not isinstance(error, Refused):
        return isinstance(error, Unreachable)
    is_soon = error.retry_after_s is None or error.retry_after_s <= LONGEST_RETRY_AFTER_S
    return error.status in RETRIED_STATUSES and error.code not in PERMANENT_CODES and is_soon


def backoff_s(attempt: int, error: Exception | None = None) -> float:
    """The seconds before the next attempt: doubling, with jitter, or the Retry-After of the service."""
    if isinstance(error, Refused) and error.retry_after_s is not None:
        return min(LONGEST_RETRY_AFTER_S, error.retry_after_s)
    # The exponent is bounded, because a watch over a long outage makes many attempts.
    return min(LONGEST_BACKOFF_S, FIRST_BACKOFF_S * 2.0 ** min(attempt, 10)) * random.uniform(0.75, 1.25)


def reason(exc: BaseException) -> str:
    """Why a connection failed, as the end of a sentence."""
    match exc:
        case aiohttp.ClientConnectorCertificateError() | aiohttp.ClientSSLError():
            return "its certificate cannot be trusted"
        case aiohttp.ClientConnectorDNSError():
            return "there is no host of this name"
        case aiohttp.ClientConnectorError() if exc.os_error.strerror and exc.os_error.errno:
            return _plain(exc.os_error)
        case aiohttp.ServerDisconnectedError() | aiohttp.ClientPayloadError() | ConnectionResetError():
            return "the connection was cut"
        case TimeoutError():
            return "it did not answer in time"
        case aiohttp.ClientResponseError():
            return "it does not speak HTTP"
        case OSError():
            return _plain(exc)
        case _:
            return str(exc) or type(exc).__name__


def _plain(exc: OSError) -> str:
    if isinstance(exc, ConnectionRefusedError):
        return "the connection was refused"
    text = os.strerror(exc.errno) if exc.errno is not None and exc.errno > 0 else str(exc)
    return text[:1].lower() + text[1:]


async def _bounded(response: aiohttp.ClientResponse) -> bytes:
    chunks: list[bytes] = []
    size_bytes = 0
    async for chunk in response.content.iter_any():
        size_bytes += len(chunk)
        if size_bytes > LARGEST_ANSWER_BYTES:
            raise UnexpectedAnswer(f"the answer is larger than {LARGEST_ANSWER_BYTES // 1024**2} MiB")
        chunks.append(chunk)
    return b"".join(chunks)


def _content(base_url: str, response: aiohttp.ClientResponse, text: bytes) -> Any:
    status = response.status
    if status == 204 or (status < 300 and not text):
        return None
    if 300 <= status < 400:
        target = response.headers.get("Location", "elsewhere")
        raise UnexpectedAnswer(f"{base_url} redirects to {target[:200]}; use the address that it redirects to")
    try:
        content = json.loads(text)
    except ValueError:
        content = None
    if status < 300:
        if content is None:
            raise UnexpectedAnswer(f"{base_url} is not a rushes service: its answer is not JSON")
        return content
    problem = content if isinstance(content, dict) else {}
    detail = problem.get("detail")
    suggestions = problem.get("suggestions")
    raise refused(
        status,
        detail if isinstance(detail, str) else f"{base_url} answered {status} {response.reason or ''}".rstrip(),
        code=str(problem.get("code") or f"http_{status}"),
        request_id=problem.get("request_id") or response.headers.get("X-Request-Id"),
        suggestions=[str(one) for one in suggestions] if isinstance(suggestions, list) else (),
        retry_after_s=retry_after_s(response.headers.get("Retry-After"), now_s=time.time()),
    )


def retry_after_s(text: str | None, *, now_s: float) -> float | None:
    """The seconds that a Retry-After header asks for; None if it is neither digits nor a date (RFC 9110, 10.2.3)."""
    if text is None:
        return None
    text = text.strip()
    if text.isascii() and text.isdigit():
        return float(text[:9])
    try:
        moment = parsedate_to_datetime(text)
    except ValueError:
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return max(0.0, moment.timestamp() - now_s)
