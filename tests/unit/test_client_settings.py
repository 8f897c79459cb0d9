from __future__ import annotations

import pytest

from rushes.client_settings import DEFAULT_BASE_URL, load_client_settings


@pytest.fixture(autouse=True)
def clean(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("RUSHES_BASE_URL", raising=False)
    monkeypatch.delenv("RUSHES_API_KEY", raising=False)


def test_with_nothing_set_a_service_on_this_machine_is_meant() -> None:
    settings = load_client_settings()
    assert (settings.base_url, settings.api_key, settings.is_configured) == (DEFAULT_BASE_URL, None, False)


def test_what_is_given_wins_over_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RUSHES_BASE_URL", "http://env")
    monkeypatch.setenv("RUSHES_API_KEY", "env")
    assert load_client_settings().base_url == "http://env"
    settings = load_client_settings("http://given", "given")
    assert (settings.base_url, settings.api_key) == ("http://given", "given")


@pytest.mark.parametrize("empty", ["", "  "])
def test_an_empty_key_is_none(monkeypatch: pytest.MonkeyPatch, empty: str) -> None:
    monkeypatch.setenv("RUSHES_API_KEY", empty)
    assert load_client_settings().api_key is None


def test_the_key_is_not_in_the_repr() -> None:
    assert "secret" not in repr(load_client_settings("http://given", "secret"))
