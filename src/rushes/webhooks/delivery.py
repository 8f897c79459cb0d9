"""One attempt: POST a signed message to a receiver. The body of its answer is read up to a limit, and dropped."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass

import aiohttp

from rushes.clock import Clock
from rushes.errors import NameRefused, RefusedAddress
from rushes.net.client import HttpClient, Sink, TimeLimits
from rushes.net.retry_after import retry_after_s as wait_asked_for
from rushes.webhooks.schedule import LONGEST_RETRY_AFTER_S
from rushes.webhooks.signing import SignedHeaders, signed_headers

ATTEMPT_S = 15.0
"""The longest time for an answer. Standard Webhooks asks for 15 to 30 seconds (checked 2026-11-22)."""

LARGEST_ANSWER_BYTES = 64 * 1024
LONGEST_READ_S = 2.0
"""How long the body of an answer is read. It is not used, but a read body lets the connection be kept."""


@dataclass(frozen=True, slots=True)
class SendResult:
    """The result of one attempt: the status, or why there was no answer. `refused`: an address that we never call."""

    status: int | None
    error: str | None
    duration_ms: int
    retry_after_s: float | None = None
    refused: bool = False

    @property
    def is_success(self) -> bool:
        """Whether the receiver has accepted the message."""
        return self.error is None


class Sender:
    """Calls receivers through the address guard. Errors contain neither the address nor the body of the answer."""

    def __init__(self, client: HttpClient, clock: Clock, *, attempt_s: float = ATTEMPT_S) -> None:
        self._client = client
        self._clock = clock
        self._limits = TimeLimits(connect_s=min(10.0, attempt_s), read_s=attempt_s, total_s=attempt_s)

    async def send(
        self,
        url: str,
        message_id: str,
        body: bytes,
        signing_secrets: Sequence[str],
        *,
        account_id: str,
        traceparent: str | None = None,
        signed: SignedHeaders = signed_headers,
    ) -> SendResult:
        """Send once, as part of the given trace, if any. The caller bounds how many run at once.

        A failure of the receiver is in the result. Raises AccountBusy if nothing was sent because too many host names
        that the account gave are being resolved.
        """
        headers = {
            "Content-Type": "application/json",
            **signed(message_id, self._clock.now_ms() // 1000, body, signing_secrets),
        }
        if traceparent is not None:
            headers["traceparent"] = traceparent
        began = time.monotonic()
        status: int | None = None
        retry_after_s: float | None = None
        refused = False
        try:
            async with self._client.open_guarded(
                url,
                sink=Sink.WEBHOOKS,
                account_id=account_id,
                method="POST",
                headers=headers,
                body=body,
                limits=self._limits,
                max_redirects=0,
            ) as response:
                status = response.status
                retry_after_s = wait_asked_for(
                    response.headers.get("Retry-After"), now_ms=self._clock.now_ms(), longest_s=LONGEST_RETRY_AFTER_S
                )
                error = _error_of(status)
                duration_ms = _since(began)
                await _drop(response)
        except RefusedAddress as exc:
            # A name may lead elsewhere tomorrow, and may only be unknown for now.
            error, refused = exc.message, not isinstance(exc, NameRefused)
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as exc:
            error = _failure_of(exc, self._limits) if status is None else _error_of(status)
        return SendResult(
            status=status,
            error=error,
            duration_ms=duration_ms if status is not None else _since(began),
            retry_after_s=retry_after_s,
            refused=refused,
        )


def _since(began: float) -> int:
    return round((time.monotonic() - began) * 1000)


def _error_of(status: int) -> str | None:
    if 200 <= status < 300:
        return None
    if 300 <= status < 400:
        return f"the receiver answered {status}; redirects are not followed"
    return f"the receiver answered {status}"


def _failure_of(exc: Exception, limits: TimeLimits) -> str:
    match exc:
        case TimeoutError():
            return f"the receiver did not answer within {limits.total_s:g} s"
        case aiohttp.ClientConnectorCertificateError() | aiohttp.ClientSSLError():
            return "the receiver's certificate cannot be trusted"
        case aiohttp.ClientConnectorError():
            return "the receiver could not be reached"
        case aiohttp.ServerDisconnectedError() | ConnectionResetError():
            return "the receiver closed the connection without an answer"
        case aiohttp.ClientResponseError():
            return "the receiver's answer is not HTTP"
        case _:
            return "the connection to the receiver failed"


async def _drop(response: aiohttp.ClientResponse) -> None:
    """Read a small body that comes at once; close the connection for any other."""
    left = LARGEST_ANSWER_BYTES
    try:
        async with asyncio.timeout(LONGEST_READ_S):
            while left > 0 and (chunk := await response.content.read(left)):
                left -= len(chunk)
    except (aiohttp.ClientError, TimeoutError, OSError):
        response.close()
