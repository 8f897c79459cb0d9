"""The catalogue as OpenRouter lists models, and as a client of OpenRouter reads such a list: our own adapter."""

from __future__ import annotations

import pytest

from rushes.api.openrouter.models import openrouter_model, pricing_skus
from rushes.catalogue.model import Audio, Model
from rushes.providers.openrouter.listing import entry_of
from tests.fixtures.catalogue import shipped_catalogue

MODELS = shipped_catalogue().models()


@pytest.mark.parametrize("model", MODELS, ids=lambda model: f"{model.provider}/{model.id}")
def test_a_client_of_openrouter_reads_what_the_model_offers(model: Model) -> None:
    found = entry_of(openrouter_model("x", model))
    assert found.get("resolutions", []) == list(model.resolutions)
    assert found.get("aspect_ratios", []) == list(model.aspect_ratios)
    assert found.get("durations_s", []) == sorted(model.durations_s)
    assert found["seed"] is model.seed
    assert (found["audio"] == "never") is (model.audio is Audio.NEVER)


def test_a_price_is_read_again_as_it_was_or_is_not_told_at_all() -> None:
    told = [model for model in MODELS if pricing_skus(model)]
    assert len(told) > len(MODELS) // 3
    for model in told:
        read = {frozenset(row.items()) for row in entry_of(openrouter_model("x", model))["prices"]}
        rows = (price.model_dump(exclude_defaults=True, exclude={"token_fps"}) for price in model.prices)
        assert read == {frozenset(row.items()) for row in rows}, model.id


def test_a_model_has_the_sizes_that_its_ratios_and_resolutions_are() -> None:
    veo = shipped_catalogue().find("google", "veo-3.1-generate-001")
    assert veo is not None
    assert openrouter_model("x", veo)["supported_sizes"] == [
        "1280x720", "720x1280", "1920x1080", "1080x1920", "3840x2160", "2160x3840",
    ]  # fmt: skip
