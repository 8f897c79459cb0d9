"""What we sign, the specification's own library verifies."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from standardwebhooks.webhooks import Webhook, WebhookVerificationError

from rushes.webhooks.signing import PREFIX, new_secret, openrouter_headers, signed_headers

BODIES = st.dictionaries(st.text(), st.text() | st.integers()).map(lambda content: json.dumps(content).encode())


def now_s() -> int:
    """The library compares with the clock, so what is signed is signed now."""
    return int(datetime.now(UTC).timestamp())


@given(BODIES)
def test_the_official_library_verifies_the_body_with_each_secret_that_signed(body: bytes) -> None:
    ours = [new_secret(), new_secret()]
    headers = signed_headers("msg_1", now_s(), body, ours)
    for secret in ours:
        assert Webhook(secret).verify(body, headers) == json.loads(body)
    with pytest.raises(WebhookVerificationError):
        Webhook(new_secret()).verify(body, headers)


@pytest.mark.parametrize("changed", ["webhook-id", "webhook-timestamp", "body"])
def test_a_changed_message_is_not_verified(changed: str) -> None:
    secret, body = new_secret(), b'{"a": 1}'
    headers = signed_headers("msg_1", now_s(), body, [secret])
    if changed == "body":
        body = b'{"a": 2}'
    else:
        headers[changed] = "msg_2" if changed == "webhook-id" else str(now_s() - 1)
    with pytest.raises(WebhookVerificationError):
        Webhook(secret).verify(body, headers)


def test_the_signature_of_the_specifications_example_comes_out() -> None:
    # From the reference libraries' shared test vector (standard-webhooks/standard-webhooks, checked 2026-11-22).
    headers = signed_headers(
        "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, b'{"test": 2432232314}', ["whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"]
    )
    assert headers["webhook-signature"] == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


def test_secrets_are_as_long_as_the_specification_asks_and_never_the_same() -> None:
    made = {new_secret() for _ in range(100)}
    assert len(made) == 100
    assert {24 <= len(base64.b64decode(secret.removeprefix(PREFIX))) <= 64 for secret in made} == {True}


def test_openrouters_receivers_verify_the_newest_secret_as_they_are_told_to() -> None:
    secret, body = new_secret(), b'{"type": "video.generation.completed"}'
    headers = openrouter_headers("job_1-completed", 1_781_080_794, body, [secret, new_secret()])
    assert headers["X-OpenRouter-Idempotency-Key"] == "job_1-completed"
    # As the page on its webhooks does it: the first `t=` and the first `v1=` of a list with commas.
    parts = headers["X-OpenRouter-Signature"].split(",")
    timestamp = next(part for part in parts if part.startswith("t=")).removeprefix("t=")
    signature = next(part for part in parts if part.startswith("v1=")).removeprefix("v1=")
    assert timestamp == "1781080794"
    assert signature == hmac.new(secret.encode(), f"{timestamp},".encode() + body, hashlib.sha256).hexdigest()
    assert len(parts) == 3
