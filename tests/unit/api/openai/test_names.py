"""Which model a name means there."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import pytest

from rushes.api.openai.names import SHUT_DOWN, model_named
from rushes.api.services import Services
from rushes.catalogue.load import Catalogue, load
from rushes.clock import SystemClock
from rushes.errors import ModelNotFound
from tests.fixtures.new_jobs import clip_model

CATALOGUE = load()


def services(
    catalogue: Catalogue = CATALOGUE,
    *,
    served: dict[str, str | None] | None = None,
    aliases: dict[str, str] | None = None,
) -> Services:
    parts: dict[str, Any] = {
        "catalogue": catalogue,
        "served_apis": served or {"animatic": None},
        "model_aliases": aliases or {},
        "clock": SystemClock(),
    }
    return cast(Services, SimpleNamespace(**parts))


@pytest.mark.parametrize("name", ["veo-3.1-generate-001", "google/veo-3.1-generate-001", "anything", ""])
def test_a_name_that_is_neither_an_alias_nor_openais_stays_as_it_is(name: str) -> None:
    assert model_named(services(), name) == name


def test_an_alias_is_followed_also_where_no_model_is_named() -> None:
    given = services(aliases={"sora-2": "google/veo-3.1-generate-001"})
    assert model_named(given, "sora-2") == model_named(given, None) == "google/veo-3.1-generate-001"
    with pytest.raises(ModelNotFound):
        model_named(given, "sora-2-pro")


@pytest.mark.parametrize("name", sorted(SHUT_DOWN))
def test_a_server_that_has_openais_model_serves_it(name: str) -> None:
    entry = CATALOGUE.find_provider("animatic")
    assert entry is not None
    assert model_named(services(Catalogue([entry], [clip_model(id=name, provider="animatic")])), name) == name


@pytest.mark.parametrize(
    ("served", "words"),
    [
        ({"animatic": None}, r"such as 'animatic/storyboard' \("),
        ({"animatic": None, "google": "vertex"}, r"such as 'google/veo-3.1\S*' or 'animatic/storyboard' \("),
    ],
)
def test_what_is_no_more_is_refused_with_models_that_can_be_had(served: dict[str, str | None], words: str) -> None:
    with pytest.raises(ModelNotFound, match=words):
        model_named(services(served=served), None)
