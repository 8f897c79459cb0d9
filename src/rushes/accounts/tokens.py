"""Access tokens, for clients that exchange their API key for one. No token is stored.

A token names its key and the time it expires, and it is signed. The key is read from the database for every request,
so that a token is refused from the moment its key is revoked or expires.
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
    """Signs with the first secret key and accepts every one, so that the keys can be rotated while tokens are in use.

    The keys are derived for this purpose alone.
    """

    __slots__ = ("_keys",)

    def __init__(self, keys: Sequence[bytes]) -> None:
        if not keys:
            raise ValueError("A token signer needs at least one key.")
        self._keys = tuple(keys)

    def issue(self, key_id: str, now_s: float) -> str:
        """A token for the API key of this id that expires LIFETIME_S after now (seconds since 1970)."""
        claim = f"{key_id}.{int(now_s) + LIFETIME_S}"
        return f"{PREFIX}{claim}.{_signature(self._keys[0], claim)}"

    def key_id_of(self, token: str, now_s: float) -> str:
        """The id of the API key behind the token. Raises NotAuthenticated if the token is forged or has expired."""
        parts = _TOKEN.fullmatch(token)
        if parts is None:
            raise _refused()
        key_id, expires, signature = parts.groups()
        # The texts are compared, because base64 has several spellings of the same bytes.
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
    return NotAuthenticated("This access token is not valid; exchange an API key for a new one")
