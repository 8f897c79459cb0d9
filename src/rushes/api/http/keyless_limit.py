"""A limit on requests without a good key, for each address: what needs no key could else be asked for without end."""

from __future__ import annotations

import ipaddress
import re
import time
from collections import OrderedDict
from collections.abc import Callable
from functools import lru_cache
from http import HTTPStatus
from typing import Final

from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from rushes.api.errors import Refusal, problem_of
from rushes.errors import RateLimited

MOST_ADDRESSES: Final = 10_000
IPV6_NETWORK_BITS: Final = 64
"""What one customer of a provider has at least; single addresses there cost nothing."""
PROBES: Final = frozenset({"/healthz", "/readyz", "/metrics"})
KEY_HEADERS: Final = frozenset({b"authorization", b"x-api-key", b"x-goog-api-key"})
KEY_PARAMETER: Final = re.compile(rb"(?:^|&)key=[^&]")
"""Google's clients may send the key in the query."""
OTHER_CREDENTIALS: Final = ("/media/", "/uploads/", "/console")
"""Under these a signature in the query or a session stands for a key; only what they refuse is counted."""


class KeylessLimit:
    """Counts requests that end without a caller, and refuses them where an address has made too many.

    A request with a key is always looked at, because an address may be that of a proxy for many; if its key is bad, it
    is answered 429 in place of its refusal.
    """

    def __init__(
        self,
        app: ASGIApp,
        refusal: Refusal = problem_of,
        *,
        per_minute: int,
        now_s: Callable[[], float] = time.monotonic,
    ) -> None:
        self._app = app
        self._refusal = refusal
        self._per_minute = per_minute
        self._now_s = now_s
        self._left: OrderedDict[str, tuple[float, float]] = OrderedDict()
        """By address: how many requests it may make, and when that was so."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"] in PROBES:
            await self._app(scope, receive, send)
            return
        address = address_of(scope)
        is_used_up = self._left_for(address) < 1
        may_be_known = scope["path"].startswith(OTHER_CREDENTIALS) or has_key(scope)
        if is_used_up and not may_be_known:
            await self._refuse(scope, receive, send, address)
            return
        status = 0
        is_bad_key = False

        async def send_unless_used_up(message: Message) -> None:
            nonlocal status, is_bad_key
            if message["type"] == "http.response.start":
                status = message["status"]
                # Google's surface answers a bad key with 400.
                is_bad_key = status == HTTPStatus.UNAUTHORIZED or scope["state"].get("key_is_bad", False)
            if not (is_used_up and is_bad_key):
                await send(message)

        await self._app(scope, receive, send_unless_used_up)
        is_refused = is_bad_key or status in (HTTPStatus.FORBIDDEN, HTTPStatus.NOT_FOUND)
        has_caller = scope["state"].get("caller") is not None
        if not has_caller and (is_refused or not scope["path"].startswith(OTHER_CREDENTIALS)):
            self._left[address] = (max(0.0, self._left_for(address) - 1), self._now_s())
            self._left.move_to_end(address)
            if len(self._left) > MOST_ADDRESSES:
                self._left.popitem(last=False)
        if is_used_up and is_bad_key:
            await self._refuse(scope, receive, send, address)

    def _left_for(self, address: str) -> float:
        known = self._left.get(address)
        if known is None:
            return self._per_minute
        left, at_s = known
        return min(self._per_minute, left + (self._now_s() - at_s) * self._per_minute / 60)

    async def _refuse(self, scope: Scope, receive: Receive, send: Send, address: str) -> None:
        wait_s = max(1.0, (1 - self._left_for(address)) * 60 / self._per_minute)
        error = RateLimited(
            f"This address has sent more than {self._per_minute} requests a minute without a valid key; send a key, or "
            "wait",
            retry_after_s=wait_s,
        )
        await self._refusal(Request(scope), error)(scope, receive, send)


def has_key(scope: Scope) -> bool:
    """Whether the request brings something that may be a key."""
    for name, _ in scope["headers"]:
        if name in KEY_HEADERS:
            return True
    return KEY_PARAMETER.search(scope.get("query_string", b"")) is not None


def address_of(scope: Scope) -> str:
    """The client's address; of IPv6 its network of 64 bits."""
    return network_of(scope["client"][0] if scope.get("client") else "")


@lru_cache(MOST_ADDRESSES)
def network_of(host: str) -> str:
    """An IPv4 address as it is; of an IPv6 address its network of 64 bits."""
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return host
    if address.version == 4:
        return host
    if address.ipv4_mapped is not None:
        return str(address.ipv4_mapped)
    return str(ipaddress.ip_network((address, IPV6_NETWORK_BITS), strict=False))
