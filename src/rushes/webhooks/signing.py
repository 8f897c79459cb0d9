"""Signatures and secrets of the Standard Webhooks specification (standardwebhooks.com, checked 2026-11-22)."""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
from collections.abc import Sequence

PREFIX = "whsec_"
SECRET_BYTES = 32
"""The specification asks for 24 to 64 bytes."""


def new_secret() -> str:
    """A new secret: `whsec_` and 32 random bytes in base64."""
    return PREFIX + base64.b64encode(secrets.token_bytes(SECRET_BYTES)).decode()


def signed_headers(message_id: str, timestamp_s: int, body: bytes, signing_secrets: Sequence[str]) -> dict[str, str]:
    """The headers with which a receiver that knows one of the secrets can verify the body.

    The id is the same in every attempt, so that receivers can drop repetitions. The time is that of the attempt, so
    that they can drop a recorded message that is sent again later.
    """
    content = f"{message_id}.{timestamp_s}.".encode() + body
    signatures = [_sign(content, secret) for secret in signing_secrets]
    return {
        "webhook-id": message_id,
        "webhook-timestamp": str(timestamp_s),
        "webhook-signature": " ".join(f"v1,{signature}" for signature in signatures),
    }


def _sign(content: bytes, secret: str) -> str:
    key = base64.b64decode(secret.removeprefix(PREFIX))
    return base64.b64encode(hmac.new(key, content, hashlib.sha256).digest()).decode()
