"""Secrets at rest: encrypted with a key that is not stored beside them."""

from __future__ import annotations

import base64
import secrets
from collections.abc import Sequence

from rushes.errors import RushesError

NONCE_BYTES = 12
VERSION = "v1"


class Unsealable(RushesError):
    """No secret key in force opens this sealed secret: the keys or the text have changed."""

    code = "unsealable"


class Sealer:
    """AES-256-GCM. Seals with the first key and opens with any key, so that keys can be rotated.

    A secret is bound to its `context`, the id of the row it belongs to. In another row it does not open.
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
        """The secret. Raises Unsealable, whose text holds nothing of it."""
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
