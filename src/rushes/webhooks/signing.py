"""Secrets, and signatures by them: Standard Webhooks' (standardwebhooks.com, checked 2026-11-22) and OpenRouter's."""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
from collections.abc import Callable, Sequence

PREFIX = "whsec_"
SECRET_BYTES = 32
"""The specification asks for 24 to 64 bytes."""

SignedHeaders = Callable[[str, int, bytes, Sequence[str]], dict[str, str]]
"""From a message's id, the time in seconds, its body and the secrets, the headers that sign it."""


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


def openrouter_headers(
    message_id: str, timestamp_s: int, body: bytes, signing_secrets: Sequence[str]
) -> dict[str, str]:
    """The same as OpenRouter signs, for which the secret is a text and not base64.

    Receivers read the first signature only, so that of the newest secret comes first. Its id says which end of which
    job the message is about (OpenRouterTeam/docs, `video-generation-webhooks.mdx`, checked 2026-11-30).
    """
    content = f"{timestamp_s},".encode() + body
    signatures = [hmac.new(secret.encode(), content, hashlib.sha256).hexdigest() for secret in signing_secrets]
    return {
        "X-OpenRouter-Signature": ",".join([f"t={timestamp_s}", *(f"v1={signature}" for signature in signatures)]),
        "X-OpenRouter-Idempotency-Key": message_id,
    }


def _sign(content: bytes, secret: str) -> str:
    key = base64.b64decode(secret.removeprefix(PREFIX))
    return base64.b64encode(hmac.new(key, content, hashlib.sha256).digest()).decode()
