"""Which models meet a wish, and what a second of them costs."""

from __future__ import annotations

from datetime import date
from decimal import Decimal

import pytest

from rushes.catalogue.choices import FILTERS, Wish, least_usd_per_s, wish_of
from rushes.catalogue.load import load
from rushes.catalogue.model import Model
from rushes.domain.request import Role, VideoTask
from rushes.errors import UnsupportedOption

CATALOGUE = load()
TODAY = date(2026, 11, 30)


def entry(provider: str, model_id: str) -> Model:
    model = CATALOGUE.find(provider, model_id)
    assert model is not None
    return model


@pytest.mark.parametrize(
    ("provider", "model_id", "options", "usd"),
    [
        ("google", "veo-3.1-generate-001", {}, "0.20"),
        ("google", "veo-3.1-generate-001", {"audio": True}, "0.40"),
        ("google", "veo-3.1-generate-001", {"audio": True, "resolution": "4k"}, "0.60"),
        ("runway", "aleph2", {}, "0.28"),
        ("runway", "wan3", {}, None),
        ("luma", "ray-3.2", {"resolution": "720p"}, "0.06"),
        ("luma", "ray-3.2", {"resolution": "720p", "task": VideoTask.EDIT}, "0.216"),
        ("luma", "ray-3.2", {"resolution": "360p"}, None),
    ],
)
def test_a_second_costs_the_least_that_the_wish_allows(
    provider: str, model_id: str, options: dict[str, object], usd: str | None
) -> None:
    found = least_usd_per_s(entry(provider, model_id), **options)  # type: ignore[arg-type]
    assert found == (None if usd is None else Decimal(usd))


def test_a_price_by_the_token_is_one_by_the_second_too() -> None:
    usd = least_usd_per_s(entry("openrouter", "bytedance/seedance-2.5"), resolution="720p")
    # 1280 x 720 x 24 / 1024 tokens a second.
    assert usd == Decimal(21600) * Decimal("10.7") / 1_000_000


def names(**written: str) -> list[str]:
    models = wish_of(written, CATALOGUE).met(CATALOGUE.models(), TODAY)
    return [f"{model.provider}/{model.id}" for model in models]


def test_every_part_of_a_wish_narrows_what_is_left() -> None:
    assert names() == [f"{model.provider}/{model.id}" for model in CATALOGUE.models()]
    everywhere = names(inputs="input_image,last_frame", resolution="4k", audio="true", alive="true")
    assert "runway/seedance2" in everywhere
    assert "runway/gen4.5" not in everywhere
    assert names(inputs="input_image,last_frame", resolution="4k", audio="true", alive="true", provider="runway") == [
        name for name in everywhere if name.startswith("runway/")
    ]
    assert "google/veo-3.0-generate-001" in names(alive="false")
    assert "google/veo-3.0-generate-001" not in names(alive="true")
    assert "luma/ray-3.2" in names(video_task="edit", audio="false")
    assert "xai/grok-imagine-video" not in names(video_task="edit", audio="false")


def test_a_model_of_unknown_price_is_too_dear_and_sorts_last() -> None:
    assert "runway/wan3" not in names(max_usd_per_second="1000")
    ranked = names(provider="runway", sort="price")
    assert ranked[0] == "runway/gen4_turbo"
    assert set(ranked[-15:]) >= {"runway/wan3", "runway/kling_4"}
    wish = Wish(by_price=True)
    known = [least_usd_per_s(model) for model in wish.met(CATALOGUE.models(), TODAY)]
    priced = [usd for usd in known if usd is not None]
    assert priced == sorted(priced)
    assert known[: len(priced)] == priced


def test_inputs_go_by_the_names_of_roles_and_of_fields() -> None:
    assert wish_of({"inputs": "reference_videos, reference_audio"}, CATALOGUE).inputs == {
        Role.REFERENCE_VIDEO, Role.REFERENCE_AUDIO,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("name", "value", "allowed"),
    [
        ("provider", "acme", "'google'"),
        ("inputs", "input_image,sketch", "'last_frame'"),
        ("video_task", "dub", "'extend', 'edit', 'upscale'"),
        ("resolution", "8k", "'720p'"),
        ("audio", "yes", "'true', 'false'"),
        ("alive", "1", "'true', 'false'"),
        ("sort", "name", "'catalogue', 'price'"),
        ("max_usd_per_second", "cheap", "such as 0.10"),
        ("max_usd_per_second", "-1", "such as 0.10"),
        ("max_usd_per_second", "nan", "such as 0.10"),
        ("max_usd_per_second", "1" * 400, "such as 0.10"),
    ],
)
def test_a_value_that_is_not_known_is_named_with_what_is_allowed(name: str, value: str, allowed: str) -> None:
    with pytest.raises(UnsupportedOption) as caught:
        wish_of({name: value}, CATALOGUE)
    assert caught.value.field == name
    assert name in FILTERS
    assert allowed in caught.value.message
    assert value.rpartition(",")[2][:20] in caught.value.message
