"""Networks can be written as people write them, and a wrong one stops the start."""

from __future__ import annotations

import json

import pytest

from rushes.errors import StartupError
from rushes.net.client import HttpClient, Sink
from rushes.settings import load_settings


@pytest.mark.parametrize(
    "written", ["127.0.0.0/8,10.1.0.0/16", " 127.0.0.0/8 , 10.1.0.0/16 ,", '["127.0.0.0/8", "10.1.0.0/16"]']
)
def test_allowed_networks_are_a_list_or_separated_by_commas(monkeypatch: pytest.MonkeyPatch, written: str) -> None:
    monkeypatch.setenv("RUSHES_NET_ALLOW__INPUTS", written)
    allow = load_settings().net_allow
    assert allow.inputs == ("127.0.0.0/8", "10.1.0.0/16")
    assert allow.webhooks == allow.results == ()


@pytest.mark.parametrize("written", ["[1]", "[", "127.0.0.1/99", "localhost"])
def test_a_network_that_is_none_stops_the_start(monkeypatch: pytest.MonkeyPatch, written: str) -> None:
    monkeypatch.setenv("RUSHES_NET_ALLOW__INPUTS", written)
    with pytest.raises(StartupError):
        HttpClient(allow={Sink.INPUTS: load_settings().net_allow.inputs})


def test_no_private_network_is_allowed_unless_somebody_says_so() -> None:
    assert load_settings().net_allow.inputs == ()


AWS = {
    "AWS_ACCESS_KEY_ID": "AKIAFAKEFAKEFAKEFAKE",
    "AWS_SECRET_ACCESS_KEY": "fake-secret-fake-secret",
    "AWS_REGION": "us-west-2",
}


def test_awss_usual_variables_are_a_key_where_a_bucket_is_set(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in AWS.items():
        monkeypatch.setenv(name, value)
    assert load_settings().provider_key("bedrock") is None
    monkeypatch.setenv("RUSHES_PROVIDERS__BEDROCK__BUCKET", "films")
    key = load_settings().provider_key("bedrock")
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
    key = load_settings().provider_key("bedrock")
    assert key is not None
    assert json.loads(key)["region"] == "us-east-1"
    monkeypatch.setenv("RUSHES_PROVIDERS__BEDROCK__API_KEY", "{}")
    assert load_settings().provider_key("bedrock") == "{}"


def test_options_of_a_provider_hold_nothing_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RUSHES_PROVIDERS__BEDROCK__API_KEY", "secret")
    monkeypatch.setenv("RUSHES_PROVIDERS__BEDROCK__STORAGE_URL", "http://127.0.0.1:9")
    assert load_settings().provider_options("bedrock") == {"storage_url": "http://127.0.0.1:9"}


def test_limits_and_origins_are_read_from_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RUSHES_LIMITS__QUEUED_JOBS", "7")
    monkeypatch.setenv("RUSHES_CORS_ORIGINS", "https://a.example, http://127.0.0.1:3000")
    settings = load_settings()
    assert settings.limits.model_dump() == {"requests_per_minute": None, "jobs_in_flight": None, "queued_jobs": 7}
    assert settings.cors_origins == ("https://a.example", "http://127.0.0.1:3000")


@pytest.mark.parametrize(
    "origin", ["a.example", "https://a.example/app", "https://*.example", "null", "ftp://a.example"]
)
def test_what_is_no_origin_is_refused_by_name(monkeypatch: pytest.MonkeyPatch, origin: str) -> None:
    monkeypatch.setenv("RUSHES_CORS_ORIGINS", origin)
    with pytest.raises(StartupError, match="CORS_ORIGINS"):
        load_settings()


@pytest.mark.parametrize("value", ["0", "-1", "many"])
def test_a_senseless_limit_is_refused_by_name(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    monkeypatch.setenv("RUSHES_LIMITS__REQUESTS_PER_MINUTE", value)
    with pytest.raises(StartupError, match="RUSHES_LIMITS__REQUESTS_PER_MINUTE"):
        load_settings()


def test_the_bootstrap_key_is_not_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RUSHES_BOOTSTRAP_KEY", "s" * 40)
    assert "s" * 40 not in repr(load_settings())
