"""The one HTTP client: calls to origins that the operator configured, and guarded calls to anywhere else."""

from __future__ import annotations

from collections.abc import AsyncIterable, AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

import aiohttp
from aiohttp.abc import AbstractResolver
from yarl import URL

from rushes import __version__
from rushes.errors import RefusedAddress
from rushes.net.guard import AddressGuard
from rushes.net.lookups import OF_SERVICE, NameLookups, account
from rushes.net.urls import joined
from rushes.shared_places import LOOKUPS, SharedPlace

USER_AGENT: Final = f"rushes/{__version__}"
REDIRECTS: Final = frozenset({301, 302, 303, 307, 308})
BODY_HEADERS: Final = frozenset({"content-type", "content-length", "content-encoding"})
READ_BUFFER_BYTES: Final = 256 * 1024
MAX_HEADER_LINE_BYTES: Final = 16 * 1024
MAX_HEADERS: Final = 100

Body = bytes | AsyncIterable[bytes] | None


class Sink(StrEnum):
    """What a URL of a stranger is followed for; the operator may permit private networks for each."""

    INPUTS = "inputs"
    WEBHOOKS = "webhooks"
    RESULTS = "results"


@dataclass(frozen=True, slots=True)
class TimeLimits:
    """Seconds until connected, between two reads, and for the whole exchange (None: no limit)."""

    connect_s: float = 10
    read_s: float = 30
    total_s: float | None = 60


@dataclass(frozen=True, slots=True)
class OriginHeaders:
    """Headers that hold a credential, and the one origin (scheme, host and port) that may see them."""

    origin: URL
    headers: Mapping[str, str]

    def __repr__(self) -> str:
        return f"OriginHeaders({self.origin})"

    def headers_for(self, url: URL) -> Mapping[str, str]:
        """The headers for a request to `url`: none if it is of another origin."""
        return self.headers if same_origin(url, self.origin) else {}


def same_origin(one: URL, other: URL) -> bool:
    """Whether two URLs share scheme, host and port, however these are written."""
    return (one.scheme, one.raw_host, one.port) == (other.scheme, other.raw_host, other.port)


class HttpClient:
    """Opens connections when first needed and keeps them; close it once, when the service stops.

    Responses are read by the caller, who bounds them. Failures are aiohttp's own exceptions, which the caller
    translates; an address that the guard refuses is RefusedAddress.
    """

    def __init__(
        self,
        *,
        allow: Mapping[Sink, Sequence[str]] | None = None,
        resolver: Callable[[], AbstractResolver] | None = None,
        lookups: SharedPlace | None = None,
    ) -> None:
        """`allow` are the CIDRs permitted per sink besides the public internet; `resolver` makes one for tests.

        `lookups` is where accounts take turns with the names that they give.
        """
        self._guards = {sink: AddressGuard((allow or {}).get(sink, ())) for sink in Sink}
        self._make_resolver = resolver
        self._lookups = lookups or SharedPlace(LOOKUPS)
        self._sessions: dict[str, aiohttp.ClientSession] = {}

    def check_url(self, url: str, sink: Sink) -> URL:
        """The URL, if it may be followed as far as its text tells. Raises RefusedAddress."""
        return self._guards[sink].check_url(url)

    @asynccontextmanager
    async def open_trusted(
        self,
        method: str,
        url: URL,
        *,
        headers: Mapping[str, str],
        limits: TimeLimits,
        body: Body = None,
        fresh: bool = False,
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        """Call an origin that the operator configured, unguarded; a redirect is returned as it is.

        With `fresh` the connection is a new one. A kept connection may have been closed by the other side just
        when we write to it, and then it is not known whether a request was received: not for calls that cost money.
        """
        session = self._session("fresh" if fresh else "trusted")
        async with _send(session, method, url, headers, body, limits) as response:
            yield response

    @asynccontextmanager
    async def open_guarded(
        self,
        url: str,
        *,
        sink: Sink,
        account_id: str = OF_SERVICE,
        method: str = "GET",
        headers: Mapping[str, str] | None = None,
        credential: OriginHeaders | None = None,
        body: Body = None,
        limits: TimeLimits | None = None,
        max_redirects: int = 5,
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        """Call a URL of a stranger, following redirects; each step is checked like the first.

        `account_id` is the account that gave it. How many calls run at once is for the caller to bound.
        `credential` is shown to its own origin only, and a redirect from https to http is refused while it is set.
        After `max_redirects` the redirect itself is the response. Raises RefusedAddress, and AccountBusy if too many
        names of the account are being resolved.
        """
        account.set(account_id)
        guard = self._guards[sink]
        session = self._session(sink)
        plain = dict(headers or {})
        limits = limits or TimeLimits()
        here = guard.check_url(url)
        while True:
            secret = credential.headers_for(here) if credential is not None else {}
            async with _send(session, method, here, {**plain, **secret}, body, limits) as response:
                target = response.headers.get("Location")
                if response.status not in REDIRECTS or target is None or max_redirects == 0:
                    yield response
                    return
            max_redirects -= 1
            there = guard.check_url(_redirected(here, target))
            if credential is not None and here.scheme == "https" and there.scheme == "http":
                raise RefusedAddress(f"'{here.host}' redirects from https to http, which is refused")
            if method != "HEAD" and (response.status == 303 or (response.status in (301, 302) and method == "POST")):
                method, body = "GET", None
                plain = {name: value for name, value in plain.items() if name.lower() not in BODY_HEADERS}
            here = there

    @asynccontextmanager
    async def open_socket(
        self, url: URL, *, headers: Mapping[str, str], limits: TimeLimits, message_limit_bytes: int
    ) -> AsyncIterator[aiohttp.ClientWebSocketResponse]:
        """A WebSocket at an origin that the operator configured, unguarded. A redirect is an error.

        A message above the limit closes it. A peer that answers no ping within `read_s` counts as gone.
        """
        async with self._session("socket").ws_connect(
            url, headers=headers, heartbeat=limits.read_s, max_msg_size=message_limit_bytes
        ) as socket:
            yield socket

    async def close(self) -> None:
        """Close every connection."""
        sessions = list(self._sessions.values())
        self._sessions.clear()
        for session in sessions:
            await session.close()

    def _session(self, kind: str) -> aiohttp.ClientSession:
        session = self._sessions.get(kind)
        if session is None:
            session = self._sessions[kind] = aiohttp.ClientSession(
                trace_configs=[_without_redirects()] if kind == "socket" else None,
                connector=self._connector(kind),
                cookie_jar=aiohttp.DummyCookieJar(),
                headers={"User-Agent": USER_AGENT},
                # A proxy from the environment would make the connection for us, past the guard.
                trust_env=False,
                read_bufsize=READ_BUFFER_BYTES,
                max_line_size=MAX_HEADER_LINE_BYTES,
                max_field_size=MAX_HEADER_LINE_BYTES,
                max_headers=MAX_HEADERS,
            )
        return session

    def _connector(self, kind: str) -> aiohttp.TCPConnector:
        # No pool has a bound of its own: a wait for a connection would count for the other side's time to answer. What
        # calls takes its turn before it begins to count.
        if kind in ("fresh", "socket"):
            return aiohttp.TCPConnector(resolver=self._own_resolver(), limit=0, force_close=True)
        if kind == "trusted":
            return aiohttp.TCPConnector(resolver=self._own_resolver(), limit=0)
        # Each input comes from somewhere else, so its connection is not used again.
        return self._guards[Sink(kind)].connector(self._resolver(self._lookups), keeps_alive=kind != Sink.INPUTS)

    def _own_resolver(self) -> AbstractResolver:
        """For hosts of the operator's choice, whose lookups no account delays."""
        return self._resolver(SharedPlace(LOOKUPS, share=LOOKUPS.most))

    def _resolver(self, place: SharedPlace) -> AbstractResolver:
        return NameLookups(place) if self._make_resolver is None else self._make_resolver()


@asynccontextmanager
async def _send(
    session: aiohttp.ClientSession,
    method: str,
    url: URL,
    headers: Mapping[str, str],
    body: Body,
    limits: TimeLimits,
) -> AsyncIterator[aiohttp.ClientResponse]:
    timeout = aiohttp.ClientTimeout(total=limits.total_s, connect=limits.connect_s, sock_read=limits.read_s)
    async with session.request(
        method, url, headers=headers, data=body, timeout=timeout, allow_redirects=False
    ) as response:
        yield response


def _without_redirects() -> aiohttp.TraceConfig:
    """For calls whose redirects aiohttp would follow with every header, a key among them."""

    async def refuse(_session: object, _context: object, params: aiohttp.TraceRequestRedirectParams) -> None:
        params.response.close()
        raise aiohttp.ClientConnectionError("it redirects")

    config = aiohttp.TraceConfig()
    config.on_request_redirect.append(refuse)
    return config


def _redirected(here: URL, target: str) -> str:
    try:
        return str(joined(here, target))
    except ValueError as exc:
        raise RefusedAddress(f"'{here.host}' redirects to something that is not a URL") from exc
