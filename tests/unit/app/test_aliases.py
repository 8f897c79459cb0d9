"""The operator's names for models lead somewhere, or the service does not start."""

from __future__ import annotations

import json

import pytest

from rushes.app.aliases import model_aliases
from rushes.catalogue.load import load
from rushes.errors import StartupError
from rushes.providers.openai_shape import FLAVORS, Server
from rushes.settings import load_settings

MINE = Server(name="my-gpu", flavor=FLAVORS["openai"], base_url="http://127.0.0.1:8000/v1")
CATALOGUE = load().extended(MINE.entry, [])


def written(monkeypatch: pytest.MonkeyPatch, aliases: dict[str, str], *, discovering: bool = False) -> dict[str, str]:
    monkeypatch.setenv("RUSHES_MODEL_ALIASES", json.dumps(aliases))
    return dict(model_aliases(load_settings(), CATALOGUE, [MINE] if discovering else []))


def test_an_alias_leads_to_a_model(monkeypatch: pytest.MonkeyPatch) -> None:
    aliases = {"sora-2": "google/veo-3.1-generate-001", "draft": "animatic/storyboard"}
    assert written(monkeypatch, aliases) == aliases


def test_a_server_that_has_not_answered_yet_may_have_any_model(monkeypatch: pytest.MonkeyPatch) -> None:
    aliases = {"sora-2": "my-gpu/Wan-AI/Wan2.2"}
    assert written(monkeypatch, aliases, discovering=True) == aliases
    with pytest.raises(StartupError, match="which does not exist"):
        written(monkeypatch, aliases)


@pytest.mark.parametrize(
    ("alias", "name", "words"),
    [
        ("sora-2", "veo-3.1-generate-001", "as provider/ID"),
        ("sora-2", "google/", "as provider/ID"),
        ("", "google/veo-3.1-generate-001", "as provider/ID"),
        ("sora-2", "nobody/veo", "provider 'nobody'"),
        ("sora-2", "google/veo-9", "'google/veo-9', which does not exist"),
    ],
)
def test_one_that_leads_nowhere_stops_the_start(
    monkeypatch: pytest.MonkeyPatch, alias: str, name: str, words: str
) -> None:
    with pytest.raises(StartupError, match=words):
        written(monkeypatch, {alias: name})
