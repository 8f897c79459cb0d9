"""Networks can be written as people write them, and a wrong one stops the start."""

from __future__ import annotations

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
