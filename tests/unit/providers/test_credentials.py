"""Which secrets are taken for which provider, and what each opens. A refusal never shows the secret."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rushes.errors import InvalidRequest
from rushes.providers.base import Credential
from rushes.providers.credentials import LONGEST_SECRET, Keyring, Pinned
from rushes.providers.declaration import CredentialShape
from rushes.providers.registry import declarations

API_KEY = "AIzaNotARealKey0123456789"
ACCOUNT = {
    "type": "service_account",
    "client_email": "films@studio.iam.gserviceaccount.com",
    "private_key": "-----BEGIN PRIVATE KEY-----\nnot one\n-----END PRIVATE KEY-----\n",
    "private_key_id": "0123456789abcdef",
    "project_id": "studio",
}


SHAPES = {name: declared.credentials for name, declared in declarations().items()}
KEYRING = Keyring(SHAPES)


def recognise(secret: str) -> Pinned:
    return KEYRING.recognise("google", secret, field="byok_api_key")


def refusal(secret: str, provider: str = "google", shapes: tuple[CredentialShape, ...] | None = None) -> str:
    keyring = KEYRING if shapes is None else Keyring({provider: shapes})
    with pytest.raises(InvalidRequest) as caught:
        keyring.recognise(provider, secret, field="byok_api_key")
    (field,) = caught.value.fields
    assert field.field == "byok_api_key"
    assert field.message == caught.value.message
    return caught.value.message


def account(**changed: Any) -> str:
    return json.dumps({**ACCOUNT, **changed})


def test_an_api_key_opens_the_gemini_api() -> None:
    pinned = recognise(API_KEY)
    assert pinned == Pinned(Credential("api_key", API_KEY), "gemini")


def test_the_json_of_a_service_account_opens_vertex() -> None:
    pinned = recognise(account())
    assert (pinned.api, pinned.credential.kind) == ("vertex", "service_account")


@pytest.mark.parametrize("secret", [API_KEY, account(), "\n " + account()])
def test_what_was_recognised_is_the_same_credential_when_it_is_unsealed_and_known_as_the_callers(secret: str) -> None:
    recognised = recognise(secret).credential
    assert KEYRING.callers("google", secret) == replace(recognised, is_callers=True)


@pytest.mark.parametrize(
    "kind", ["external_account", "authorized_user", "impersonated_service_account", "", None, ["service_account"], 1]
)
def test_other_types_of_credential_file_are_refused(kind: object) -> None:
    assert "no other type is taken" in refusal(account(type=kind))


def test_a_file_that_names_a_command_to_run_is_refused() -> None:
    source = {"executable": {"command": "/bin/sh -c 'touch /tmp/owned'"}}
    assert "no other type is taken" in refusal(json.dumps({"type": "external_account", "credential_source": source}))


@pytest.mark.parametrize("name", ["client_email", "private_key", "private_key_id", "project_id"])
@pytest.mark.parametrize("value", ["", None, 7, {}])
def test_a_service_account_that_lacks_something_is_refused_by_its_name(name: str, value: object) -> None:
    assert f"lacks {name}," in refusal(account(**{name: value}))


@pytest.mark.parametrize("secret", ["{", '{"a": 1', "{}", '{"a":' * 3000, '{"a":' + "[" * 3000, "{\ud800}"])
def test_json_that_is_none_is_refused(secret: str) -> None:
    assert "must be an API key or JSON of type 'service_account'" in refusal(secret)


@pytest.mark.parametrize(
    "secret", ["", "short", "with a space", "line\nbreak12", "schlüssel1", "tab\tinside", "nul\0inside"]
)
def test_what_cannot_be_sent_as_a_key_is_refused(secret: str) -> None:
    assert "at least 8 printable characters" in refusal(secret)


@pytest.mark.parametrize("secret", ["k" * (LONGEST_SECRET + 1), account(filler="x" * LONGEST_SECRET)])
def test_a_secret_that_is_too_long_is_refused(secret: str) -> None:
    assert "longer than any key of 'google'" in refusal(secret)


def test_a_provider_that_needs_no_key_takes_none() -> None:
    assert "'animatic' needs no key" in refusal(API_KEY, "animatic")


def test_a_provider_takes_only_the_shapes_it_has() -> None:
    assert refusal(account(), shapes=SHAPES["google"][:1]) == "byok_api_key must be an API key for 'google'"


@given(secret=st.text(min_size=12, max_size=60).map(lambda text: "{" + text) | st.text(min_size=12, max_size=60))
def test_every_text_is_a_credential_or_refused_without_being_shown(secret: str) -> None:
    try:
        pinned = recognise(secret)
    except InvalidRequest as error:
        shown, taken = f"{error} {error!r} {error.fields}", secret
    else:
        shown, taken = repr(pinned), pinned.credential.secret
    assert secret not in shown
    assert taken == secret


def test_a_fingerprint_tells_keys_apart_and_nothing_of_them() -> None:
    one, same, other = (Pinned(Credential("api_key", key), "gemini") for key in (API_KEY, API_KEY, API_KEY + "x"))
    assert one.fingerprint == same.fingerprint != other.fingerprint
    assert one.fingerprint not in API_KEY
    assert len(one.fingerprint) == 12


def test_a_keyring_finds_the_key_of_a_api() -> None:
    gemini, vertex = (Pinned(Credential("api_key", f"key-of-{name}"), name) for name in ("gemini", "vertex"))
    keyring = Keyring(SHAPES, {"google": [vertex, gemini]})
    assert keyring.of("google") == (vertex, gemini)
    assert keyring.find("google", "gemini") is gemini
    assert keyring.find("google", None) is None
    assert keyring.of("acme") == ()
    assert list(keyring.providers) == ["google"]
