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
