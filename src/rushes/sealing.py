"""Secrets at rest: sealed with a key that is not stored beside them."""

from __future__ import annotations

import base64
import secrets
from collections.abc import Sequence

from rushes.errors import RushesError

NONCE_BYTES = 12
VERSION = "v1"


class Unsealable(RushesError):
    """A sealed secret that none of our keys opens: the keys were changed, or the text was."""

    code = "unsealable"


class Sealer:
    """AES-256-GCM. Seals with the first key and opens with any, so that keys can be rotated while secrets are kept.

    A secret is bound to its `context` (the id of what it belongs to): moved elsewhere, it does not open.
    """

    __slots__ = ("_keys",)

    def __init__(self, keys: Sequence[bytes]) -> None:
        self._keys = tuple(keys)

    def seal(self, secret: str, context: str) -> str:
        """The sealed form of `secret`, as text."""
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM

        nonce = secrets.token_bytes(NONCE_BYTES)
        sealed = nonce + AESGCM(self._keys[0]).encrypt(nonce, secret.encode(), context.encode())
        return f"{VERSION}.{base64.urlsafe_b64encode(sealed).decode()}"

    def open(self, sealed: str, context: str) -> str:
        """The secret. Raises Unsealable, which says nothing of it."""
        from cryptography.exceptions import InvalidTag
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM

        version, _, text = sealed.partition(".")
        if version == VERSION:
            try:
                content = base64.urlsafe_b64decode(text)
            except ValueError:
                content = b""
            for key in self._keys:
                try:
                    return AESGCM(key).decrypt(content[:NONCE_BYTES], content[NONCE_BYTES:], context.encode()).decode()
                except (InvalidTag, ValueError):
                    continue
        raise Unsealable(f"The secret of '{context}' cannot be opened with the secret keys in force")
