"""Access tokens: what a key is exchanged for by clients that log in first. Nothing is stored of them.

A token names its key and when it ends, and is signed. Whoever reads one looks the key up again, so that a token is
worth nothing from the moment its key is revoked or expires.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
from collections.abc import Sequence

from rushes.errors import NotAuthenticated

PREFIX = "rushes_token_"
LIFETIME_S = 24 * 3600

_TOKEN = re.compile(PREFIX + r"(key_[0-9a-z]{24})\.([0-9]{1,12})\.([A-Za-z0-9_-]{43})")


class TokenSigner:
    """Signs with the first key and accepts every key, so that keys can be rotated while tokens are out.

    The keys are derived for this purpose alone.
    """

    __slots__ = ("_keys",)

    def __init__(self, keys: Sequence[bytes]) -> None:
        if not keys:
            raise ValueError("A token signer needs at least one key.")
        self._keys = tuple(keys)

    def issue(self, key_id: str, now_s: float) -> str:
        """A token that speaks for the API key of this id for LIFETIME_S from now (seconds since 1970)."""
        claim = f"{key_id}.{int(now_s) + LIFETIME_S}"
        return f"{PREFIX}{claim}.{_signature(self._keys[0], claim)}"

    def key_id_of(self, token: str, now_s: float) -> str:
        """The id of the API key that the token speaks for. Raises NotAuthenticated if it is forged or has expired."""
        parts = _TOKEN.fullmatch(token)
        if parts is None:
            raise _refused()
        key_id, expires, signature = parts.groups()
        # The text is compared, not the bytes it decodes to: base64 has several spellings of the same bytes.
        matches = [hmac.compare_digest(_signature(key, f"{key_id}.{expires}"), signature) for key in self._keys]
        if not any(matches):
            raise _refused()
        if now_s >= int(expires):
            raise NotAuthenticated("This access token has expired; exchange the API key for a new one")
        return key_id


def _signature(key: bytes, claim: str) -> str:
    digest = hmac.new(key, claim.encode(), hashlib.sha256).digest()
    return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()


def _refused() -> NotAuthenticated:
    return NotAuthenticated("This access token is not one of ours; exchange an API key for one")
