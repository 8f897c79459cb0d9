"""Checks that a webhook comes from the service: Standard Webhooks signatures, with the standard library alone.

https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
import time
from collections.abc import Mapping
from typing import Any

from rushes.client.errors import BadSignature, NotConfigured

SECRET_PREFIX = "whsec_"  # noqa: S105 - says what a secret looks like
TOLERANCE_S = 300


def verify(
    body: bytes | str,
    headers: Mapping[str, str],
    secret: str,
    tolerance_s: float = TOLERANCE_S,
    *,
    now_s: float | None = None,
) -> Any:
    """The JSON of the webhook, if `secret` made one of its signatures and it is not older than `tolerance_s`.

    Give the body as it arrived: JSON that was parsed and written again has other bytes. Header names can be in any
    case. `now_s` replaces the time of the clock. Raises BadSignature for a webhook that is not valid, and
    NotConfigured for an invalid secret.
    """
    key = _key_of(secret)
    given = {name.lower(): value for name, value in headers.items()}
    try:
        message_id, timestamp, signatures = (given[f"webhook-{name}"] for name in ("id", "timestamp", "signature"))
    except KeyError as exc:
        raise BadSignature(f"the header '{exc.args[0]}' is missing") from None
    content = body.encode() if isinstance(body, str) else bytes(body)
    signed = b".".join(
        (message_id.encode("utf-8", "surrogateescape"), timestamp.encode("utf-8", "surrogateescape"), content)
    )
    expected = base64.b64encode(hmac.digest(key, signed, hashlib.sha256))
    # After a rotation a message has two signatures for a day: with the old secret and with the new one.
    if not any(_is_signature(one, expected) for one in signatures.split(" ")):
        raise BadSignature("no signature of this webhook was made with the secret")
    _check_age(timestamp, tolerance_s, time.time() if now_s is None else now_s)
    try:
        return json.loads(content)
    except ValueError as exc:
        raise BadSignature("the webhook is signed, but its body is not JSON") from exc


def _key_of(secret: str) -> bytes:
    try:
        key = base64.b64decode(secret.removeprefix(SECRET_PREFIX), validate=True)
    except (binascii.Error, ValueError):
        key = b""
    if not key:
        raise NotConfigured(f"a webhook's secret is '{SECRET_PREFIX}' and base64 after it; this one is not")
    return key


def _is_signature(given: str, expected: bytes) -> bool:
    version, _, signature = given.partition(",")
    return version == "v1" and hmac.compare_digest(signature.encode("utf-8", "surrogateescape"), expected)


def _check_age(timestamp: str, tolerance_s: float, now_s: float) -> None:
    if not (timestamp.isascii() and timestamp.isdigit()):
        raise BadSignature("the header 'webhook-timestamp' is no number of seconds")
    if abs(now_s - int(timestamp)) > tolerance_s:
        raise BadSignature(f"the webhook was sent more than {tolerance_s:g} s ago, or a clock is wrong")
