"""Which hosts a request to /mcp may name, and which web pages may send one: the guard against DNS rebinding.

A page of a stranger can have its own name lead to this machine. Its requests then name that host, and the browser adds
the page's origin. The specification asks servers to look at both (MCP 2026-07-28, Streamable HTTP, Security).
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Sequence
from urllib.parse import urlsplit

from starlette.datastructures import Headers

from rushes.catalogue.wording import shown
from rushes.errors import ForeignHost

ANY = "*"
PRIVATE_SUFFIXES = (".localhost", ".internal", ".local", ".home.arpa")
"""No stranger can register a public name that ends like this."""

_HOST = re.compile(r"(?P<name>[a-z0-9_](?:[a-z0-9._-]*[a-z0-9_])?|\[[0-9a-f:.]+\])\.?(?::(?P<port>[0-9]{1,5}))?")


class KnownHosts:
    """Knows the host of the public URL, the trusted names, IP addresses, and names that no stranger can own.

    A page may send requests if it comes from the host that the request names, from the public URL, or from an origin
    that CORS allows.
    """

    def __init__(self, public_url: str | None, trusted: Sequence[str] = (), origins: Sequence[str] = ()) -> None:
        self._names = {name.lower().rstrip(".") for name in trusted}
        self._origins = {origin.lower().rstrip("/") for origin in origins}
        if public_url is not None:
            parts = urlsplit(public_url.lower())
            self._names.add(parts.hostname or "")
            self._origins.add(f"{parts.scheme}://{parts.netloc}")

    def check(self, headers: Headers) -> None:
        """Raise ForeignHost for a request that may be a rebound one."""
        hosts = headers.getlist("host")
        if len(hosts) != 1 or not self._knows(hosts[0]):
            named = shown(", ".join(hosts))
            raise ForeignHost(
                f"The Host header {named} is not a name of this service; the operator can set RUSHES_PUBLIC_URL, or "
                "add the name to RUSHES_TRUSTED_HOSTS"
            )
        for origin in headers.getlist("origin"):
            if not self._may_send(origin.lower().rstrip("/"), hosts[0].lower()):
                raise ForeignHost(
                    f"Pages of {shown(origin)} may not call this service; the operator can add the origin to "
                    "RUSHES_CORS_ORIGINS"
                )

    def _knows(self, host: str) -> bool:
        parts = _HOST.fullmatch(host.lower())
        if parts is None:
            return False
        name = parts["name"]
        return name in self._names or "." not in name or name.endswith(PRIVATE_SUFFIXES) or _is_address(name)

    def _may_send(self, origin: str, host: str) -> bool:
        if ANY in self._origins or origin in self._origins:
            return True
        scheme, _, source = origin.partition("://")
        return scheme in ("http", "https") and source == host


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name.strip("[]"))
    except ValueError:
        return False
    return True
