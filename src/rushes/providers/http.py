"""What the adapters of HTTP providers share: calls to the configured origin, and downloads of results."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from typing import Final

import aiohttp
import pydantic_core
from yarl import URL

from rushes.clock import Clock, SystemClock
from rushes.errors import (
    MediaError,
    OutputInvalid,
    OutputLost,
    ProviderUnavailable,
    RefusedAddress,
    StartupError,
    UnexpectedResponse,
)
from rushes.net.client import REDIRECTS, HttpClient, Sink, TimeLimits, same_origin
from rushes.net.retry_after import retry_after_s
from rushes.net.urls import exact_url, joined
from rushes.providers.body import JsonBody
from rushes.providers.failure import LONGEST_RETRY_AFTER_S, SHOWN_CHARS, Raw, Reply
from rushes.providers.form import FormBody

JSON_LIMIT_BYTES: Final = 1024 * 1024
DOWNLOAD_LIMIT_BYTES: Final = 4 * 1024**3
CHUNK_BYTES: Final = 256 * 1024
MAX_REDIRECTS: Final = 5
NOT_VIDEO_TYPES: Final = ("text/", "application/json", "application/xml", "application/problem+json")


# The upload of a large body does not count as `read_s`, which begins with the last byte sent.
SUBMIT: Final = TimeLimits(connect_s=10, read_s=60, total_s=300)
POLL: Final = TimeLimits(connect_s=10, read_s=30, total_s=60)
DOWNLOAD: Final = TimeLimits(connect_s=10, read_s=60, total_s=3600)


@dataclass(frozen=True, slots=True)
class CallLimits:
    """How long each kind of call may take."""

    submit: TimeLimits = SUBMIT
    poll: TimeLimits = POLL
    download: TimeLimits = DOWNLOAD


class Origin:
    """A provider's configured base URL: the only place that its credentials are sent to."""

    def __init__(
        self,
        client: HttpClient,
        base_url: str,
        *,
        provider: str,
        limits: CallLimits | None = None,
        clock: Clock | None = None,
    ) -> None:
        self._client = client
        self._provider = provider
        self._limits = limits or CallLimits()
        self._clock = clock or SystemClock()
        self._base = base_url.rstrip("/")
        try:
            self.origin = URL(self._base).origin()
        except ValueError as exc:
            raise StartupError(f"the base URL '{base_url}' of {provider} is not an http(s) URL") from exc

    def url(self, path: str) -> URL:
        """The URL of a path (percent-encoded, with its query) at this origin."""
        return URL(self._base + path, encoded=True)

    async def submit(self, path: str, *, headers: Mapping[str, str], document: object) -> Reply:
        """POST a JSON document that may cost money; it is sent once, on a connection of its own.

        A reply of any status is returned. Raises ProviderUnavailable, its `accepted` False if the connection was
        never made and None if the request may have arrived.
        """
        return await self._submit(path, headers, JsonBody(document), "application/json")

    async def submit_form(self, path: str, *, headers: Mapping[str, str], form: FormBody) -> Reply:
        """The same for a form."""
        return await self._submit(path, headers, form, form.content_type)

    async def _submit(
        self, path: str, headers: Mapping[str, str], body: JsonBody | FormBody, content_type: str
    ) -> Reply:
        sent = {**headers, "Content-Type": content_type, "Content-Length": str(body.size_bytes)}
        try:
            async with self._client.open_trusted(
                "POST", self.url(path), headers=sent, body=body, limits=self._limits.submit, fresh=True
            ) as response:
                reply = await self._read(response, JSON_LIMIT_BYTES)
        except aiohttp.ClientResponseError:
            # Its repr shows the request's headers, the key among them.
            raise self._unknown("answered with something that is not HTTP") from None
        except (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError, aiohttp.InvalidURL) as exc:
            raise ProviderUnavailable(
                f"{self._provider} cannot be reached; nothing was submitted", accepted=False
            ) from exc
        except TimeoutError as exc:
            raise self._unknown("did not answer the submission in time") from exc
        except (aiohttp.ClientError, OSError, _TooLongError) as exc:
            raise self._unknown("broke off while it answered the submission") from exc
        if reply.is_success and not isinstance(reply.body, dict):
            raise self._unknown("answered the submission with something that is not a JSON object")
        return reply

    async def call(
        self,
        method: str,
        path: str,
        *,
        headers: Mapping[str, str],
        body: bytes | None = None,
        limit_bytes: int = JSON_LIMIT_BYTES,
        sieve: Callable[[bytes], bytes] | None = None,
    ) -> Reply:
        """A call that is safe to repeat; a reply of any status is returned.

        If a reply is too large to hold, `sieve` returns the part of each piece to keep. Only that part counts for
        `limit_bytes`.
        Raises ProviderUnavailable if no reply comes, UnexpectedResponse if it is not HTTP or exceeds `limit_bytes`.
        """
        try:
            async with self._client.open_trusted(
                method, self.url(path), headers=headers, body=body, limits=self._limits.poll, fresh=method != "GET"
            ) as response:
                reply = await self._read(response, limit_bytes, sieve)
        except aiohttp.ClientResponseError:
            raise UnexpectedResponse(f"{self._provider} answered with something that is not HTTP") from None
        except _TooLongError as exc:
            raise UnexpectedResponse(f"{self._provider} answered with more than {limit_bytes} bytes") from exc
        except TimeoutError as exc:
            raise ProviderUnavailable(f"{self._provider} did not answer in time") from exc
        except (aiohttp.ClientError, OSError) as exc:
            raise ProviderUnavailable(f"{self._provider} cannot be reached or broke off its answer") from exc
        return reply

    async def deliver(self, url: str, form: FormBody) -> None:
        """POST a file to the address that the provider named for it. No credential goes along.

        The address passes the guard if it is not of this origin. Raises ProviderUnavailable with `accepted` False:
        files are sent before anything is submitted.
        """
        headers = {"Content-Type": form.content_type, "Content-Length": str(form.size_bytes)}
        try:
            target = exact_url(url)
            opened = (
                self._client.open_trusted("POST", target, headers=headers, body=form, limits=self._limits.submit)
                if same_origin(target, self.origin)
                else self._client.open_guarded(
                    url,
                    sink=Sink.RESULTS,
                    method="POST",
                    headers=headers,
                    body=form,
                    limits=self._limits.submit,
                    max_redirects=0,
                )
            )
            async with opened as response:
                if 200 <= response.status < 300:
                    return
                status = f"HTTP {response.status}"
        except RefusedAddress as exc:
            raise ProviderUnavailable(
                f"{self._provider}'s address for uploads cannot be used: {exc.message}; "
                "if the address is meant, permit it for results (RUSHES_NET_ALLOW)",
                accepted=False,
                provider_error=exc.code,
            ) from exc
        except (TimeoutError, aiohttp.ClientError, OSError, ValueError) as exc:
            raise ProviderUnavailable(f"a file could not be uploaded to {self._provider}", accepted=False) from exc
        raise ProviderUnavailable(
            f"{self._provider} did not take an uploaded file ({status})", accepted=False, provider_error=status
        )

    async def download(
        self, url: str | URL, *, headers: Mapping[str, str], limit_bytes: int = DOWNLOAD_LIMIT_BYTES
    ) -> AsyncGenerator[bytes, None]:
        """The bytes of a finished video in chunks of at most 256 KiB; `headers` (the key) go to this origin only.

        Any other URL is a stranger's and passes the address guard, and so does every redirect. Raises OutputLost for a
        404 or 410, OutputInvalid past `limit_bytes`, ProviderUnavailable for all else: a 403 may be an expired link,
        for which a poll gives a fresh one, or a key that lost its rights for a while.
        """
        with self._download_failures():
            async with self._open_result(exact_url(url) if isinstance(url, str) else url, headers) as response:
                async for chunk in self._checked_chunks(response, limit_bytes, NOT_VIDEO_TYPES):
                    yield chunk

    async def stream(
        self,
        method: str,
        path: str,
        *,
        headers: Mapping[str, str],
        body: bytes | None = None,
        limit_bytes: int = DOWNLOAD_LIMIT_BYTES,
    ) -> AsyncGenerator[bytes, None]:
        """A reply with a video somewhere in it, in pieces as `download` gives them and with the same errors."""
        with self._download_failures():
            async with self._client.open_trusted(
                method,
                self.url(path),
                headers={"Accept-Encoding": "identity", **headers},
                body=body,
                limits=self._limits.download,
                fresh=method != "GET",
            ) as response:
                async for chunk in self._checked_chunks(response, limit_bytes, ()):
                    yield chunk

    async def messages(
        self, path: str, *, headers: Mapping[str, str], limit_bytes: int = JSON_LIMIT_BYTES
    ) -> AsyncGenerator[object, None]:
        """The JSON messages of a WebSocket until it ends; others are skipped. Raises ProviderUnavailable."""
        try:
            async with self._client.open_socket(
                self.url(path), headers=headers, limits=self._limits.poll, message_limit_bytes=limit_bytes
            ) as socket:
                async for message in socket:
                    if message.type is not aiohttp.WSMsgType.TEXT:
                        continue
                    try:
                        content = pydantic_core.from_json(message.data, allow_inf_nan=False)
                    except ValueError:
                        continue
                    yield content
        except aiohttp.ClientResponseError:
            # Its repr shows the request's headers, the key among them.
            raise ProviderUnavailable(f"{self._provider} opens no WebSocket at '{path.partition('?')[0]}'") from None
        except (TimeoutError, aiohttp.ClientError, OSError) as exc:
            raise ProviderUnavailable(f"the WebSocket of {self._provider} cannot be reached or broke off") from exc

    @contextmanager
    def _download_failures(self) -> Iterator[None]:
        try:
            yield
        except aiohttp.ClientResponseError:
            raise ProviderUnavailable(f"{self._provider}'s file server does not speak HTTP") from None
        except RefusedAddress as exc:
            raise ProviderUnavailable(
                f"{self._provider}'s result cannot be fetched: {exc.message}; "
                "if the address is meant, permit it for results (RUSHES_NET_ALLOW)",
                provider_error=exc.code,
            ) from exc
        except TimeoutError as exc:
            raise ProviderUnavailable(f"the download from {self._provider} stalled") from exc
        except (aiohttp.ClientError, OSError, ValueError) as exc:
            raise ProviderUnavailable(f"the download from {self._provider} failed or was cut short") from exc

    @asynccontextmanager
    async def _open_result(self, url: URL, headers: Mapping[str, str]) -> AsyncIterator[aiohttp.ClientResponse]:
        # Identity, because Content-Length must count the video's own bytes.
        plain = {"Accept": "video/*, */*;q=0.5", "Accept-Encoding": "identity"}
        for _ in range(MAX_REDIRECTS):
            if not same_origin(url, self.origin):
                break
            # Trusted also where the guard would refuse it: people run model servers beside us.
            async with self._client.open_trusted(
                "GET", url, headers={**plain, **headers}, limits=self._limits.download
            ) as response:
                location = response.headers.get("Location")
                if response.status not in REDIRECTS or location is None:
                    yield response
                    return
            url = joined(url, location)
        async with self._client.open_guarded(
            str(url), sink=Sink.RESULTS, headers=plain, limits=self._limits.download, max_redirects=MAX_REDIRECTS
        ) as response:
            yield response

    async def _checked_chunks(
        self, response: aiohttp.ClientResponse, limit_bytes: int, refused_types: tuple[str, ...]
    ) -> AsyncIterator[bytes]:
        if response.status in (404, 410):
            raise OutputLost(f"{self._provider} no longer has the result (HTTP {response.status})")
        if response.status != 200:
            raise ProviderUnavailable(
                f"{self._provider} answered the download with HTTP {response.status}",
                provider_error=f"HTTP {response.status}",
                retry_after_s=_retry_after_s(response, self._clock.now_ms()),
            )
        expected = response.content_length
        if expected is not None and expected > limit_bytes:
            raise _too_large(self._provider, limit_bytes)
        received = 0
        while chunk := await response.content.read(CHUNK_BYTES):
            if received == 0 and response.content_type.startswith(refused_types) and not _begins_a_video(chunk):
                raise ProviderUnavailable(
                    f"{self._provider} delivered '{response.content_type[:60]}' in place of the video",
                    provider_error=response.content_type[:60],
                )
            received += len(chunk)
            if received > limit_bytes:
                raise _too_large(self._provider, limit_bytes)
            yield chunk
        if received == 0 or (
            expected is not None and received != expected and "Content-Encoding" not in response.headers
        ):
            raise ProviderUnavailable(
                f"the download from {self._provider} was cut short: {received} bytes of {expected or 'a video'}"
            )

    async def _read(
        self, response: aiohttp.ClientResponse, limit_bytes: int, sieve: Callable[[bytes], bytes] | None = None
    ) -> Reply:
        content = bytearray()
        while chunk := await response.content.read(CHUNK_BYTES):
            content += chunk if sieve is None else sieve(chunk)
            if len(content) > limit_bytes:
                raise _TooLongError
        body: object
        try:
            body = pydantic_core.from_json(bytes(content), allow_inf_nan=False)
        except ValueError:
            body = Raw(bytes(content[:SHOWN_CHARS]).decode("utf-8", errors="replace"))
        return Reply(response.status, body, _retry_after_s(response, self._clock.now_ms()))

    def _unknown(self, what: str) -> ProviderUnavailable:
        return ProviderUnavailable(f"{self._provider} {what}; whether it was accepted is not known", accepted=None)


class _TooLongError(Exception):
    """A reply exceeds what we read."""


def _too_large(provider: str, limit_bytes: int) -> MediaError:
    return OutputInvalid(f"the result at {provider} is larger than {limit_bytes} bytes, the most that is stored")


def _begins_a_video(start: bytes) -> bool:
    return start[4:8] == b"ftyp" or start.startswith((b"\x1aE\xdf\xa3", b"RIFF", b"OggS"))


def _retry_after_s(response: aiohttp.ClientResponse, now_ms: int) -> float | None:
    return retry_after_s(response.headers.get("Retry-After"), now_ms=now_ms, longest_s=LONGEST_RETRY_AFTER_S)
