"""What GET /models says of a model."""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest

from rushes.catalogue.load import Catalogue, load
from rushes.catalogue.model import Audio, Model
from rushes.domain.request import Role
from rushes.views.model import ModelView, model_view
from tests.fixtures.new_jobs import clip_model

TODAY = date(2026, 11, 22)
SHIPPED = load()


def view(*models: Model, served: dict[str, str | None] | None = None, today: date = TODAY) -> ModelView:
    """The first of these models as callers see it."""
    return model_view(Catalogue([], models), served or {}, models[0], today)


def google(model_id: str, served: dict[str, str | None] | None = None) -> ModelView:
    model = SHIPPED.find("google", model_id)
    assert model is not None
    return model_view(SHIPPED, served or {}, model, TODAY)


@pytest.mark.parametrize("model", SHIPPED.models(), ids=lambda model: f"{model.provider}/{model.id}")
def test_every_shipped_model_can_be_shown(model: Model) -> None:
    shown = model_view(SHIPPED, {}, model, TODAY)
    assert shown.full_id == f"{model.provider}/{model.id}"
    assert set(shown.defaults) <= {*shown.allowed, "n"}
    assert ModelView.model_validate_json(shown.model_dump_json()) == shown


@pytest.mark.parametrize(("audio", "values"), [
    (Audio.OPTIONAL, [True, False]), (Audio.ALWAYS, [True]), (Audio.NEVER, [False]),
])  # fmt: skip
def test_allowed_names_what_generate_audio_takes(audio: Audio, values: list[bool]) -> None:
    assert view(clip_model(audio=audio)).allowed["generate_audio"] == values


def test_capabilities_follow_from_the_inputs() -> None:
    assert view(clip_model()).capabilities == ["text_to_video"]
    assert view(clip_model(inputs={Role.INPUT_IMAGE: 1, Role.VIDEO: 1})).capabilities == [
        "text_to_video",
        "image_to_video",
        "video_extension",
    ]


def test_a_model_is_retired_from_its_day_on() -> None:
    model = clip_model(retired=date(2026, 6, 30))
    assert view(model, today=date(2026, 6, 29)).status == "available"
    assert view(model, today=date(2026, 6, 30)).status == "retired"


def test_credentials_are_those_of_its_provider() -> None:
    assert view(clip_model(), served={"scripted": None}).has_credentials
    assert not view(clip_model(), served={"animatic": None}).has_credentials


def test_a_successor_that_is_retired_too_is_followed() -> None:
    first = clip_model(retired=date(2026, 1, 1), successors={"any": "second"})
    second = clip_model(id="second", retired=date(2026, 2, 1), successors={"any": "third"})
    assert view(first, second, clip_model(id="third")).successor == "third"


def test_a_successor_is_named_before_the_model_retires() -> None:
    first = clip_model(retired=date(2027, 1, 1), successors={"any": "second"})
    assert view(first, clip_model(id="second")).successor == "second"


def test_no_successor_is_named_where_the_last_one_is_retired() -> None:
    first = clip_model(retired=date(2026, 1, 1), successors={"any": "second"})
    assert view(first, clip_model(id="second", retired=date(2026, 2, 1))).successor is None


@pytest.mark.parametrize(
    ("served", "successor"),
    [
        ({}, None),
        ({"google": "gemini"}, "gemini-omni-1.2-flash"),
        ({"google": "vertex"}, "veo-3.1-generate-001"),
    ],
)
def test_the_api_in_use_decides_on_the_successor(served: dict[str, Any], successor: str | None) -> None:
    shown = google("veo-3.0-generate-001", served)
    assert shown.successor == successor
    assert shown.successors == {"gemini": "gemini-omni-1.2-flash", "vertex": "veo-3.1-generate-001"}


def test_prices_keep_the_order_that_decides() -> None:
    prices = google("veo-3.0-generate-001").prices
    assert [(price.generate_audio, price.usd_per_second) for price in prices] == [(True, 0.4), (False, 0.2)]
