"""URLs as their writers wrote them: a signature covers the bytes, so no byte is changed that may stand in a URL."""

from __future__ import annotations

import re
from typing import Final
from urllib.parse import urljoin

from yarl import URL

PARTS: Final = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://([^/?#]*)([^?#]*)(\?[^#]*)?(?:#.*)?", re.DOTALL)
ABSOLUTE: Final = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:")
MAY_NOT_STAND: Final = re.compile(r"""[^!#$%&'()*+,\-./0-9:;=?@A-Z\[\]_a-z~]""")
"""What RFC 3986 has no place for in a path or a query. A percent sign that begins no escape stays as signed."""


def exact_url(text: str) -> URL:
    """The URL with its path and query as written. Only what may not stand in a URL is percent-encoded.

    The host is lower-cased and punycoded, as resolving it needs. A fragment is dropped.
    Raises ValueError for text that is not an absolute URL with a host.
    """
    parts = PARTS.fullmatch(text)
    if parts is None:
        raise ValueError("not an absolute URL")
    scheme, authority, path, query = parts.groups()
    base = URL(f"{scheme}://{authority}")
    if not base.raw_host:
        raise ValueError("the URL has no host")
    # Raises for a port out of range.
    base.port  # noqa: B018
    if query == "?":
        # The library drops the question mark of an empty query, but leaves a path as it is.
        path = f"{_encoded(path) or '/'}?"
        return URL.build(scheme=base.scheme, authority=base.raw_authority, path=path, encoded=True)
    return URL(f"{base.scheme}://{base.raw_authority}{_encoded(path) or '/'}{_encoded(query or '')}", encoded=True)


def joined(here: URL, target: str) -> URL:
    """Where a redirect from `here` to `target` leads, as written. Raises ValueError if `target` is not a URL."""
    if PARTS.fullmatch(target) is not None:
        return exact_url(target)
    if ABSOLUTE.match(target):
        raise ValueError("not a URL of the web")
    if target.startswith("//"):
        return exact_url(f"{here.scheme}:{target}")
    target = target.partition("#")[0]
    whole = urljoin(str(here), target)
    # An empty query is lost there.
    return exact_url(f"{whole}?" if target.endswith("?") and not whole.endswith("?") else whole)


def _encoded(text: str) -> str:
    return MAY_NOT_STAND.sub(
        lambda found: "".join(f"%{byte:02X}" for byte in found[0].encode("utf-8", "surrogateescape")), text
    )
