"""The address guard: a stranger's URL may lead to the public internet only, unless the operator permits more.

Every address is checked at the moment of connecting, and the address that was checked is the one connected to: a name
that resolves to something else a second later cannot win.
"""

from __future__ import annotations

import ipaddress
import re
import socket
from collections.abc import Iterable
from typing import Final

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult
from aiohttp.client_proto import ResponseHandler
from aiohttp.client_reqrep import ConnectionKey
from yarl import URL

from rushes.errors import NameRefused, RefusedAddress, StartupError
from rushes.net.lookups import NameLookups
from rushes.net.urls import exact_url
from rushes.shared_places import LOOKUPS, SharedPlace

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network

MAX_URL_CHARS: Final = 8192
WEB_PORTS: Final = frozenset({80, 443})
FIRST_UNPRIVILEGED_PORT: Final = 1024
MOST_IDLE: Final = 100
"""How many connections are kept open for a next request."""

# The IANA special-purpose registries (iana.org, "iana-ipv4-special-registry", checked 2026-11-22), and one public
# address that is a cloud's own metadata service. Written out because `is_global` differs between Python releases.
NOT_PUBLIC_V4: Final = tuple(
    ipaddress.IPv4Network(network)
    for network in (
        "0.0.0.0/8",  # this network, unspecified
        "10.0.0.0/8",  # private
        "100.64.0.0/10",  # carrier-grade NAT
        "127.0.0.0/8",  # loopback
        "168.63.129.16/32",  # Azure's platform service, reachable from its virtual machines only
        "169.254.0.0/16",  # link-local, cloud metadata
        "172.16.0.0/12",  # private
        "192.0.0.0/24",  # protocol assignments
        "192.0.2.0/24",  # documentation
        "192.31.196.0/24",  # AS112
        "192.52.193.0/24",  # AMT
        "192.88.99.0/24",  # 6to4 relays
        "192.168.0.0/16",  # private
        "192.175.48.0/24",  # AS112
        "198.18.0.0/15",  # benchmarking
        "198.51.100.0/24",  # documentation
        "203.0.113.0/24",  # documentation
        "224.0.0.0/4",  # multicast
        "240.0.0.0/4",  # reserved, broadcast
    )
)

# Only 2000::/3 is handed out at all. That leaves loopback, unspecified, link-local, unique local (fc00::/7), multicast,
# and the IPv4 addresses in disguise ::/96, ::ffff:0:0/96 and 64:ff9b::/96 (NAT64) outside.
PUBLIC_V6: Final = ipaddress.IPv6Network("2000::/3")
NOT_PUBLIC_V6: Final = tuple(
    ipaddress.IPv6Network(network)
    for network in (
        "2001::/23",  # protocol assignments: Teredo, benchmarking, ORCHID
        "2001:db8::/32",  # documentation
        "2002::/16",  # 6to4: an IPv4 address in disguise
        "2620:4f:8000::/48",  # AS112
        "3fff::/20",  # documentation
    )
)

# Hosts that some parser reads as an IPv4 address: 2130706433, 0x7f.1, 0177.0.0.1, 127.1
ENDS_IN_NUMBER: Final = re.compile(r"(?:^|\.)(?:[0-9]+|0x[0-9a-f]*)$")
HOST_NAME: Final = re.compile(r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?(?:\.[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?)*")
UNSAFE_CHARS: Final = re.compile(r"[\x00-\x20\x7f\\]")
USER_PART: Final = re.compile(r"^[^/?#]*//[^/?#]*@")


def is_public(address: Address) -> bool:
    """Whether the address belongs to the public internet."""
    if isinstance(address, ipaddress.IPv4Address):
        return not any(address in network for network in NOT_PUBLIC_V4)
    return address in PUBLIC_V6 and not any(address in network for network in NOT_PUBLIC_V6)


class AddressGuard:
    """Says where a stranger's URL may lead; `allow` are CIDRs that are permitted besides the public internet."""

    def __init__(self, allow: Iterable[str] = ()) -> None:
        self._allow = tuple(_network(cidr) for cidr in allow)

    def check_url(self, text: str) -> URL:
        """The URL, if it is a plain http(s) one and its host is a name or a permitted address.

        A name is checked again, by what it resolves to, when it is connected to. Raises RefusedAddress.
        """
        url = _parsed(text)
        host = url.raw_host or ""
        if url.scheme not in ("http", "https"):
            raise RefusedAddress(f"the URL's scheme '{url.scheme[:20]}' is refused; give an http or https URL")
        if USER_PART.match(text) or url.raw_user is not None or url.raw_password is not None:
            raise RefusedAddress("a URL with a user name or password in it is refused")
        self._check_host(host)
        if url.port not in WEB_PORTS and not FIRST_UNPRIVILEGED_PORT <= (url.port or 0) <= 65535:
            raise RefusedAddress(
                f"port {url.port} of '{host}' is refused; give 80, 443 or one from {FIRST_UNPRIVILEGED_PORT} up"
            )
        return url

    def _check_host(self, host: str) -> None:
        if ":" in host:
            if "%" in host:
                raise RefusedAddress(f"'{host}' is refused: an address with a zone cannot be reached from here")
            self.check_address(host, host=host)
        elif ENDS_IN_NUMBER.search(host.rstrip(".")):
            self.check_address(host, host=host)
        elif len(host) > 253 or not HOST_NAME.fullmatch(host.removesuffix(".")):
            raise RefusedAddress(f"'{host[:100]}' is not a host name")

    def check_address(self, text: str, *, host: str) -> None:
        """Pass if the address is permitted. `host` is what the caller wrote, and all that the error shows.

        Raises RefusedAddress, also for any spelling of an address that is not the plain one.
        """
        try:
            address = ipaddress.ip_address(text)
        except ValueError:
            raise RefusedAddress(f"'{host}' is refused: write an address as four decimal numbers") from None
        if not is_public(address) and not any(
            address.version == network.version and address in network for network in self._allow
        ):
            raise _not_public(host)

    def connector(self, resolver: AbstractResolver | None = None, *, keeps_alive: bool = True) -> aiohttp.TCPConnector:
        """A connector that connects to permitted addresses only; `resolver` replaces the system's.

        It has no bound of its own, because it would make one account wait for another within the receiver's time.
        """

        def socket_for(address_info: aiohttp.AddrInfoType) -> socket.socket:
            # aiohttp does not send literal addresses through the resolver. Whatever way an address took, it passes
            # here with the very value that is connected to.
            family, kind, protocol, _, address = address_info
            self.check_address(str(address[0]), host="the host")
            return socket.socket(family, kind, protocol)

        return _FewIdle(
            resolver=GuardedResolver(self, resolver),
            socket_factory=socket_for,
            limit=0,
            force_close=not keeps_alive,
            # aiohttp would hand the failure of one account's lookup to all that wait for the same name.
            use_dns_cache=False,
        )


class _FewIdle(aiohttp.TCPConnector):
    """Keeps few unused connections open: strangers choose how many hosts there are."""

    def _release(self, key: ConnectionKey, protocol: ResponseHandler, *, should_close: bool = False) -> None:
        is_full = sum(len(kept) for kept in self._conns.values()) >= MOST_IDLE
        super()._release(key, protocol, should_close=should_close or is_full)


class GuardedResolver(AbstractResolver):
    """Resolves a name and refuses it if any of its addresses is not permitted: no name points half inside by chance."""

    def __init__(self, guard: AddressGuard, resolver: AbstractResolver | None = None) -> None:
        self._guard = guard
        self._resolver = resolver

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        """The name's addresses. Raises NameRefused if one is not permitted, or if it has no address.

        Both have one sentence and one treatment, so that a stranger cannot find out which names exist inside.
        """
        if self._resolver is None:
            self._resolver = NameLookups(SharedPlace(LOOKUPS))
        try:
            results = await self._resolver.resolve(host, port, family)
            for result in results:
                self._guard.check_address(result["host"], host=host)
        except (OSError, RefusedAddress):
            raise NameRefused(_not_public(host).message) from None
        return results

    async def close(self) -> None:
        """Release the resolver behind this one."""
        if self._resolver is not None:
            await self._resolver.close()


def _not_public(host: str) -> RefusedAddress:
    return RefusedAddress(f"'{host}' is refused: it does not lead to a public internet address")


def _network(cidr: str) -> Network:
    try:
        return ipaddress.ip_network(cidr)
    except ValueError as exc:
        raise StartupError(f"'{cidr}' is not a network in CIDR notation, such as 10.1.0.0/16 or 127.0.0.1/32") from exc


def _parsed(text: str) -> URL:
    if len(text) > MAX_URL_CHARS:
        raise RefusedAddress(f"the URL has {len(text)} characters; at most {MAX_URL_CHARS} are read")
    if UNSAFE_CHARS.search(text):
        raise RefusedAddress("the URL holds a space, a backslash or a control character; percent-encode it")
    try:
        # Parsed once: the object that is checked is the object that is sent.
        return exact_url(text)
    except ValueError as exc:
        raise RefusedAddress("the URL cannot be read; give one such as https://example.com/image.png") from exc
