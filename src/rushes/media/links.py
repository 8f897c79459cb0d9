"""Signed links that expire: a client with one may fetch that path, with no key, until it expires."""

from __future__ import annotations

import base64
import enum
import hashlib
import hmac
import re
from collections.abc import Sequence

_EXPIRES = re.compile(r"[0-9]{1,12}")


class LinkState(enum.Enum):
    """What a link is worth."""

    VALID = "valid"
    EXPIRED = "expired"
    FORGED = "forged"


class LinkSigner:
    """Signs with the first key and accepts every key, so that keys can be rotated while links are out.

    The keys are derived for this purpose alone. The signature covers the path, not the host.
    """

    __slots__ = ("_keys",)

    def __init__(self, keys: Sequence[bytes]) -> None:
        if not keys:
            raise ValueError("A link signer needs at least one key.")
        self._keys = tuple(_Key(key) for key in keys)

    def sign(self, path: str, expires_at_s: int) -> str:
        """The query string that makes `path` fetchable before `expires_at_s` (seconds since 1970)."""
        expires = str(expires_at_s)
        # Digits and base64's safe alphabet: nothing needs to be escaped.
        return f"expires={expires}&signature={self._keys[0].signature(path, expires)}"

    def verify(self, path: str, expires: str | None, signature: str | None, now_s: float) -> LinkState:
        """What the link's two query values are worth for `path`; absent or senseless: FORGED, no error."""
        if expires is None or signature is None or not _EXPIRES.fullmatch(expires):
            return LinkState.FORGED
        given = signature.encode("utf-8", "replace")
        # The text is compared, not the bytes it decodes to: base64 has several spellings of the same bytes.
        matches = [hmac.compare_digest(key.signature(path, expires).encode(), given) for key in self._keys]
        if not any(matches):
            return LinkState.FORGED
        return LinkState.VALID if now_s < int(expires) else LinkState.EXPIRED


class _Key:
    """A key that is taken in once: a page of jobs has dozens of signatures."""

    __slots__ = ("_begun",)

    def __init__(self, key: bytes) -> None:
        self._begun = hmac.new(key, digestmod=hashlib.sha256)

    def signature(self, path: str, expires: str) -> str:
        # `expires` is digits alone, so the last line break always divides the two.
        message = self._begun.copy()
        message.update(f"{path}\n{expires}".encode("utf-8", "surrogatepass"))
        return base64.urlsafe_b64encode(message.digest()).rstrip(b"=").decode()
