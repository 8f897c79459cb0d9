"""The providers as settings have them: options that adapters declare, and keys from the usual variables."""

from __future__ import annotations

import json
from typing import Any

import pytest

from rushes.app.providers import Providers, configured_providers
from rushes.clock import SystemClock
from rushes.errors import StartupError
from rushes.providers.credentials import KeyTerms
from rushes.providers.registry import declarations
from rushes.settings import load_settings
from tests.fixtures.upstreams.vertex import Vertex

AWS = {
    "AWS_ACCESS_KEY_ID": "AKIAFAKEFAKEFAKEFAKE",
    "AWS_SECRET_ACCESS_KEY": "fake-secret-fake-secret",
    "AWS_REGION": "us-west-2",
}


def service_account() -> str:
    return Vertex().service_account()


def configured() -> Providers:
    return configured_providers(load_settings(), SystemClock())


def key_of(provider: str) -> str | None:
    pinned = configured().keyring.of(provider)
    return pinned[0].credential.secret if pinned else None


@pytest.fixture(autouse=True)
def no_usual_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    for declared in declarations().values():
        for shape in declared.credentials:
            for name in (*shape.variables, *shape.read_variables):
                monkeypatch.delenv(name, raising=False)


def test_awss_usual_variables_are_a_key_where_a_bucket_is_set(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in AWS.items():
        monkeypatch.setenv(name, value)
    assert key_of("bedrock") is None
    monkeypatch.setenv("RUSHES_PROVIDERS__BEDROCK__BUCKET", "films")
    key = key_of("bedrock")
    assert key is not None
    assert json.loads(key) == {
        "access_key_id": "AKIAFAKEFAKEFAKEFAKE",
        "secret_access_key": "fake-secret-fake-secret",
        "region": "us-west-2",
        "bucket": "films",
    }


def test_our_own_settings_win_over_awss_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in AWS.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("RUSHES_PROVIDERS__BEDROCK__BUCKET", "films")
    monkeypatch.setenv("RUSHES_PROVIDERS__BEDROCK__LOCATION", "us-east-1")
    key = key_of("bedrock")
    assert key is not None
    assert json.loads(key)["region"] == "us-east-1"
    own = json.dumps({**json.loads(key), "region": "eu-west-1"})
    monkeypatch.setenv("RUSHES_PROVIDERS__BEDROCK__API_KEY", own)
    assert key_of("bedrock") == own


def test_a_usual_variable_is_the_key_unless_our_own_setting_has_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GOOGLE_API_KEY", "the-second-choice")
    assert key_of("google") == "the-second-choice"
    monkeypatch.setenv("GEMINI_API_KEY", "the-first-choice")
    assert key_of("google") == "the-first-choice"
    monkeypatch.setenv("RUSHES_PROVIDERS__GOOGLE__API_KEY", "our-own-setting")
    assert key_of("google") == "our-own-setting"


def test_the_settings_that_can_hold_a_key_are_named() -> None:
    assert configured().setting_names("google") == (
        "RUSHES_PROVIDERS__GOOGLE__API_KEY",
        "GEMINI_API_KEY",
        "GOOGLE_API_KEY",
    )


def use_keys(monkeypatch: pytest.MonkeyPatch, *keys: dict[str, Any], provider: str = "GOOGLE") -> None:
    monkeypatch.setenv(f"RUSHES_PROVIDERS__{provider}__KEYS", json.dumps(keys))


def test_one_api_key_is_a_pool_of_one_named_default(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RUSHES_PROVIDERS__GOOGLE__API_KEY", "our-own-setting")
    (pinned,) = configured().keyring.of("google")
    assert (pinned.name, pinned.terms) == ("default", KeyTerms())


def test_a_list_of_keys_is_a_pool_of_both_kinds_in_its_order(monkeypatch: pytest.MonkeyPatch) -> None:
    use_keys(
        monkeypatch,
        {"key": "the-first-key", "name": "first", "weight": 3, "models": ["gemini-*"], "in_flight": 5},
        {"key": service_account(), "name": "account", "requests_per_minute": 60},
        {"key": "the-old-key", "name": "old", "enabled": False},
    )
    keyring = configured().keyring
    first, second = keyring.of("google")
    assert (first.name, first.api, first.credential.kind) == ("first", "gemini", "api_key")
    assert first.terms == KeyTerms(weight=3, models=("gemini-*",), in_flight=5)
    assert (second.name, second.api, second.credential.kind) == ("account", "vertex", "service_account")
    old = keyring.named("google", "old")
    assert old is not None
    assert not old.terms.enabled


def test_a_list_of_keys_wins_over_the_usual_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GEMINI_API_KEY", "the-usual-choice")
    use_keys(monkeypatch, {"key": "of-the-list"})
    assert key_of("google") == "of-the-list"


ONE = {"key": "secret-of-one", "name": "one"}
TWO = {"key": "secret-of-two", "name": "two"}


@pytest.mark.parametrize(
    ("keys", "said"),
    [
        ([], "[providers.google]: keys is an empty list"),
        ([ONE, {**TWO, "name": "one"}], "two keys have the name 'one'"),
        ([{"key": "secret-of-one"}, {"key": "secret-of-two"}], "two keys have the name 'default'"),
        ([ONE, {**TWO, "key": "secret-of-one"}], "'one' and 'two' hold the same key"),
        ([{**ONE, "weight": 0}, {**TWO, "weight": 0}], "every enabled key has weight 0"),
        ([{**ONE, "weight": -1}], "keys.0.weight (RUSHES_PROVIDERS__GOOGLE__KEYS__0__WEIGHT): Input should be greater"),
        ([{**ONE, "requests_per_minute": 0}], "keys.0.requests_per_minute"),
        ([{**ONE, "in_flight": -5}], "keys.0.in_flight"),
        ([{**ONE, "models": []}], "keys.0.models"),
        ([{**ONE, "name": ""}], "keys.0.name"),
        ([{**ONE, "wieght": 2}], "keys.0.wieght"),
        ([{"name": "one"}], "keys.0.key"),
        ([{**ONE, "key": "short"}], "[[providers.google.keys]] 'one': key is not a key"),
        ([{**ONE, "name": "secret-of-one"}], "a key is its own name"),
    ],
)
def test_a_list_of_keys_that_cannot_be_meant_stops_the_start(
    monkeypatch: pytest.MonkeyPatch, keys: list[dict[str, Any]], said: str
) -> None:
    use_keys(monkeypatch, *keys)
    with pytest.raises(StartupError) as caught:
        configured()
    assert said in caught.value.message
    assert "secret-of" not in caught.value.message


def test_api_key_beside_a_list_of_keys_stops_the_start(monkeypatch: pytest.MonkeyPatch) -> None:
    use_keys(monkeypatch, ONE)
    monkeypatch.setenv("RUSHES_PROVIDERS__GOOGLE__API_KEY", "our-own-setting")
    with pytest.raises(StartupError, match="api_key and keys are both set"):
        configured()


def test_a_provider_without_keys_takes_no_list(monkeypatch: pytest.MonkeyPatch) -> None:
    use_keys(monkeypatch, ONE, provider="ANIMATIC")
    with pytest.raises(StartupError, match="'animatic' needs no key"):
        configured()


def test_what_has_no_effect_in_a_list_is_a_warning(monkeypatch: pytest.MonkeyPatch) -> None:
    use_keys(monkeypatch, {**ONE, "models": ["gemini-omni-*", "sora-*"], "enabled": False})
    pattern, disabled = sorted(configured().complaints())
    assert pattern == "[[providers.google.keys]] 'one': models has 'sora-*', which matches no model of 'google'"
    assert disabled.startswith("every key of 'google' has enabled = false")


def test_an_adapter_gets_the_options_that_it_declares(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RUSHES_PROVIDERS__GOOGLE__BASE_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("RUSHES_PROVIDERS__GOOGLE__PROJECT", "123456")
    monkeypatch.setenv("RUSHES_PROVIDERS__GOOGLE__API_KEY", "secret-of-ours")
    options = configured().options["google"]
    assert options.model_dump(exclude_none=True) == {"base_url": "http://127.0.0.1:9", "project": "123456"}


@pytest.mark.parametrize(
    ("variable", "said"),
    [
        ("RUSHES_PROVIDERS__GOOGLE__LOCATOIN", "locatoin is not an option of 'google'; did you mean location?"),
        ("RUSHES_PROVIDERS__ANIMATIC__APIKEY", "apikey is not an option of 'animatic'; did you mean api_key?"),
        ("RUSHES_PROVIDERS__ACME__BASE_URL", "there is no provider 'acme'"),
        ("RUSHES_PROVIDERS__GOOGLE__KIND", "'google' is a provider already"),
    ],
)
def test_an_option_that_no_adapter_declares_stops_the_start(
    monkeypatch: pytest.MonkeyPatch, variable: str, said: str
) -> None:
    value = "openai" if variable.endswith("KIND") else "value-not-to-be-shown"
    monkeypatch.setenv(variable, value)
    with pytest.raises(StartupError) as caught:
        configured()
    assert said in caught.value.message
    assert "not-to-be-shown" not in caught.value.message


def test_a_server_of_an_unknown_kind_stops_the_start(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RUSHES_PROVIDERS__MY_GPU__KIND", "grpc")
    with pytest.raises(StartupError, match="kind 'grpc' is not known"):
        configured()


def test_every_catalogue_file_has_an_adapter_and_every_adapter_a_file() -> None:
    found = configured()
    assert set(found.catalogue.providers) == set(found.declared)
