"""Which AWS keys are taken as a credential, and that a refusal never shows them."""

from __future__ import annotations

import json
from typing import Any

import pytest

from rushes.errors import InvalidRequest
from rushes.net.redact import scrub
from rushes.providers.bedrock.account import Account, account_of
from rushes.providers.credentials import Keyring, Pinned
from rushes.providers.registry import declarations

KEYS = {
    "access_key_id": "AKIAFAKEFAKEFAKEFAKE",
    "secret_access_key": "fake/SECRET+key0123456789abcdefghijklmnop",
    "region": "us-west-2",
    "bucket": "films-of-ours",
}
SERVICE_ACCOUNT = {
    "type": "service_account",
    "client_email": "a@b.iam.gserviceaccount.com",
    "private_key": "x",
    "private_key_id": "1",
    "project_id": "p",
}


KEYRING = Keyring({name: declared.credentials for name, declared in declarations().items()})


def recognised(provider: str, secret: str) -> Pinned:
    return KEYRING.recognise(provider, secret, field="byok_api_key")


def test_aws_keys_are_known_by_their_names() -> None:
    pinned = recognised("bedrock", json.dumps(KEYS))
    assert pinned.credential.kind == "aws"
    assert KEYRING.callers("bedrock", json.dumps(KEYS)).kind == pinned.credential.kind
    assert account_of(pinned.credential) == Account(**KEYS)


def test_a_session_token_may_come_along() -> None:
    token = "FwoGZXIvYXdzEFAKE//session+token=="
    assert account_of(recognised("bedrock", json.dumps({**KEYS, "session_token": token})).credential).session_token == (
        token
    )


@pytest.mark.parametrize(
    "change",
    [
        {"credential_process": "rm -rf /"},
        {"profile": "default"},
        {"role_arn": "arn:aws:iam::123456789012:role/x"},
        {"endpoint_url": "http://169.254.169.254"},
        {"type": "aws"},
        {"region": "us-west-2.example.com/"},
        {"region": ""},
        {"bucket": "Films"},
        {"bucket": "films/../others"},
        {"bucket": None},
        {"secret_access_key": "short"},
        {"access_key_id": ["AKIAFAKEFAKEFAKEFAKE"]},
        {"session_token": None},
    ],
)
def test_what_is_not_exactly_aws_keys_is_refused_without_being_shown(change: dict[str, Any]) -> None:
    with pytest.raises(InvalidRequest) as caught:
        recognised("bedrock", json.dumps({**KEYS, **change}))
    assert "byok_api_key" in caught.value.message
    assert KEYS["secret_access_key"] not in str(vars(caught.value))
    assert all(str(value) not in caught.value.message for value in change.values() if value not in ("", None, "aws"))


@pytest.mark.parametrize("secret", ["a-plain-api-key", "{", "[1]", "{}", json.dumps(SERVICE_ACCOUNT)])
def test_other_shapes_are_not_for_bedrock(secret: str) -> None:
    with pytest.raises(InvalidRequest, match="access_key_id, secret_access_key, region and bucket"):
        recognised("bedrock", secret)


def test_aws_keys_are_not_for_google() -> None:
    with pytest.raises(InvalidRequest):
        recognised("google", json.dumps(KEYS))
    assert recognised("google", json.dumps(SERVICE_ACCOUNT)).api == "vertex"


def test_each_secret_part_is_kept_out_of_messages() -> None:
    secret = json.dumps({**KEYS, "session_token": "FwoGZXIvYXdzEFAKEFAKE"})
    for part in ("AKIAFAKEFAKEFAKEFAKE", KEYS["secret_access_key"], "FwoGZXIvYXdzEFAKEFAKE"):
        assert part not in scrub(f"refused {part}!", (secret,))
    account = account_of(recognised("bedrock", secret).credential)
    assert KEYS["secret_access_key"] not in repr(account)
