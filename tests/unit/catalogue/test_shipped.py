"""What must hold of every entry that we ship, and of the one that the contract names."""

from __future__ import annotations

from datetime import date

import pytest

from rushes.catalogue.check import complete
from rushes.catalogue.choose import choose, served
from rushes.catalogue.load import load
from rushes.catalogue.model import Audio, Model
from rushes.catalogue.price import estimate_usd, price_for
from rushes.catalogue.succession import complete_for
from rushes.domain.request import InputMedia, MediaKind, Role, VideoRequest

CATALOGUE = load()
TODAY = date(2026, 11, 22)

every_model = pytest.mark.parametrize("model", CATALOGUE.models(), ids=lambda model: f"{model.provider}/{model.id}")


UNPRICED = {
    ("fal", "bytedance/seedance-2.0/mini"), ("fal", "google/gemini-omni-flash/v1.1"), ("fal", "fal-ai/veo3.1/lite"),
    ("fal", "fal-ai/wan/v2.7"), ("fal", "fal-ai/ltx-2.3"),
    ("replicate", "kwaivgi/kling-v3-omni-video"), ("replicate", "kwaivgi/kling-v2.6"),
    ("replicate", "kwaivgi/kling-v2.5-turbo-pro"), ("replicate", "minimax/hailuo-02"), ("replicate", "luma/ray-3.2"),
    ("replicate", "xai/grok-imagine-r2v"), ("replicate", "xai/grok-imagine-video-extension"),
    ("runway", "gemini_omni_flash_1.1"), ("runway", "h3_max"), ("runway", "kling2.5_turbo_pro"),
    ("runway", "kling3.0_standard"), ("runway", "kling3.0_pro"), ("runway", "kling3.0_4k"),
    ("runway", "klingO3_standard"), ("runway", "klingO3_pro"), ("runway", "klingO3_4k"), ("runway", "kling_4"),
    ("runway", "wan3"), ("runway", "wan3_prime"), ("runway", "happyhorse_1_0"), ("runway", "grok_imagine_1_5"),
    ("runway", "grok_imagine_1_5_lite"),
}  # fmt: skip
"""Models whose price is in none of our sources; a price that is not known is not guessed."""
UNPRICED_TIERS = {("luma", "ray-3.2", "360p")}

priced_model = pytest.mark.parametrize(
    "model",
    [model for model in CATALOGUE.models() if (model.provider, model.id) not in UNPRICED],
    ids=lambda model: f"{model.provider}/{model.id}",
)


def barest(model: Model) -> VideoRequest:
    """A prompt, and a file where the model needs one."""
    if not model.required_inputs:
        return VideoRequest("a kite")
    role = model.required_inputs[0]
    media = InputMedia(role, f"inputs/{role}", "video/mp4" if role.kind is MediaKind.VIDEO else "image/png", 1, "00", 2)
    task = next(iter(model.video_tasks), None) if role is Role.VIDEO else None
    return VideoRequest("a kite", media=(media,), video_task=task)


@every_model
def test_a_bare_prompt_is_accepted_and_everything_is_pinned(model: Model) -> None:
    completed = complete(model, barest(model), test=False)
    # A task may leave both as its video has them.
    assert completed.duration_s is not None or completed.video_task is not None
    assert completed.aspect_ratio is not None or not model.aspect_ratios or completed.video_task is not None
    assert completed.resolution is not None or not model.resolutions
    assert completed.generate_audio is not None


@priced_model
def test_a_bare_prompt_has_a_price(model: Model) -> None:
    assert estimate_usd(model, complete(model, barest(model), test=False)) is not None


def test_the_models_without_a_price_are_those_that_we_know_of() -> None:
    assert {(model.provider, model.id) for model in CATALOGUE.models() if not model.prices} == UNPRICED


@priced_model
def test_every_combination_of_listed_values_has_a_price(model: Model) -> None:
    sounds = {Audio.OPTIONAL: (True, False), Audio.ALWAYS: (True,), Audio.NEVER: (False,)}[model.audio]
    for resolution in model.resolutions:
        for audio in sounds:
            request = VideoRequest(
                "a kite", resolution=resolution, generate_audio=audio, duration_s=model.defaults.duration_s
            )
            priced = (model.provider, model.id, resolution) not in UNPRICED_TIERS
            assert (price_for(model, request) is not None) is priced


@every_model
def test_a_model_is_found_by_its_full_name(model: Model) -> None:
    assert choose(CATALOGUE, f"{model.provider}/{model.id}", None) is model
    assert choose(CATALOGUE, model.id, model.provider) is model


@pytest.mark.parametrize("api", ["gemini", "vertex"])
@pytest.mark.parametrize("model", CATALOGUE.models("google"), ids=lambda model: model.id)
def test_a_retired_model_of_google_is_served_on_both_apis_by_a_live_one(model: Model, api: str) -> None:
    if model.retired is None:
        assert model.apis
        return
    runs = served(model, api, TODAY, CATALOGUE)
    assert runs is not None
    assert runs.retired is None
    assert api in runs.apis
    complete_for(model, runs, VideoRequest("a kite"), test=False)


@pytest.mark.parametrize("aspect_ratio", ["16:9", "9:16", "1:1"])
@pytest.mark.parametrize("resolution", ["720p", "1080p"])
@pytest.mark.parametrize("role", [Role.INPUT_IMAGE, Role.LAST_FRAME, Role.REFERENCE_IMAGE, Role.VIDEO])
def test_a_test_key_may_ask_the_default_model_for_all_that_the_page_lists(
    aspect_ratio: str, resolution: str, role: Role
) -> None:
    roles = (Role.INPUT_IMAGE, role) if role is Role.LAST_FRAME else (role,)
    media = tuple(InputMedia(each, f"inputs/{each}", "image/png", 1, "00") for each in roles)
    request = VideoRequest(
        "a kite", aspect_ratio, resolution, negative_prompt="rain", generate_audio=False, seed=1, media=media
    )
    complete(choose(CATALOGUE, None, None), request, test=True)
