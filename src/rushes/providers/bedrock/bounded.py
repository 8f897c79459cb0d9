"""boto3's HTTP session, but with bounds: boto3 reads a reply whole, however long it is and however long it takes.

Imported with boto3, by the first call.
"""

from __future__ import annotations

import time
from typing import Any, Final

from botocore.exceptions import HTTPClientError  # type: ignore[import-untyped]
from botocore.httpsession import URLLib3Session  # type: ignore[import-untyped]

from rushes.net.client import TimeLimits
from rushes.providers.http import CHUNK_BYTES, JSON_LIMIT_BYTES

FIRST_REFUSAL: Final = 300
"""From this status on a body says what is wrong, whatever the call would have streamed."""


class ReplyTooLongError(HTTPClientError):  # type: ignore[misc]
    """A reply exceeds what we read, in bytes or in time."""

    fmt = "the reply exceeds its limit"


class BoundedSession(URLLib3Session):  # type: ignore[misc]
    """Reads at most a megabyte of a document, and gives any reply up after `limits.total_s`."""

    def __init__(self, limits: TimeLimits, *, verify: str | bool, connections: int) -> None:
        super().__init__(
            timeout=(limits.connect_s, limits.read_s), verify=verify, max_pool_connections=connections, proxies={}
        )
        self._limits = limits

    def send(self, request: Any, **_of_the_event: object) -> Any:
        """The answer to a request. As a handler of boto3's event `before-send` it stands in for boto3's own session."""
        is_document = not request.stream_output
        request.stream_output = True
        ends_at = None if self._limits.total_s is None else time.monotonic() + self._limits.total_s
        response = super().send(request)
        body = _InTime(response.raw, ends_at)
        response.raw = body
        if is_document or response.status_code >= FIRST_REFUSAL:
            # Where boto3 keeps what it has read.
            response._content = _whole(body)  # noqa: SLF001
        return response


class _InTime:
    """A body that is read as it arrives, until it should have been here."""

    def __init__(self, raw: Any, ends_at: float | None) -> None:
        self._raw = raw
        self._ends_at = ends_at

    def read(self, most: int = CHUNK_BYTES) -> bytes:
        if self._ends_at is not None and time.monotonic() > self._ends_at:
            raise ReplyTooLongError
        # Not `read`, which waits until all of it is here, a byte a second if need be.
        piece: bytes = self._raw.read1(most)
        return piece

    def close(self) -> None:
        self._raw.close()

    def release(self) -> None:
        """Give the connection back, for another request."""
        self._raw.release_conn()


def _whole(body: _InTime) -> bytes:
    content = bytearray()
    try:
        while len(content) <= JSON_LIMIT_BYTES:
            piece = body.read()
            if not piece:
                body.release()
                return bytes(content)
            content += piece
    except BaseException:
        body.close()
        raise
    body.close()
    raise ReplyTooLongError
