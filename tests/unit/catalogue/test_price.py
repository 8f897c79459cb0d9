"""List prices, exact."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from rushes.catalogue.check import complete
from rushes.catalogue.load import load
from rushes.catalogue.model import Model
from rushes.catalogue.price import estimate, estimate_usd
from rushes.domain.request import InputMedia, Role, VideoRequest, VideoTask

CATALOGUE = load()


@pytest.mark.parametrize(
    ("model_id", "request_", "usd"),
    [
        ("veo-3.0-generate-001", VideoRequest("a"), "3.20"),
        ("veo-3.0-generate-001", VideoRequest("a", generate_audio=False), "1.60"),
        ("veo-3.1-generate-001", VideoRequest("a", resolution="4k", n=2), "9.60"),
        ("veo-3.1-fast-generate-001", VideoRequest("a", resolution="1080p", generate_audio=False), "0.80"),
        ("veo-3.1-lite-generate-001", VideoRequest("a", duration_s=6, n=3), "0.90"),
        ("gemini-omni-1.2-flash", VideoRequest("a", duration_s=7, n=10), "7.00"),
    ],
)
def test_seconds_times_videos_times_list_price(model_id: str, request_: VideoRequest, usd: str) -> None:
    model = CATALOGUE.find("google", model_id)
    assert model is not None
    assert estimate_usd(model, complete(model, request_, test=False)) == Decimal(usd)


def test_an_unknown_price_or_length_has_no_estimate() -> None:
    model = CATALOGUE.models("google")[0]
    assert estimate_usd(model, VideoRequest("a")) is None
    assert estimate_usd(model.model_copy(update={"prices": ()}), VideoRequest("a", duration_s=8)) is None


def test_free_is_not_unknown() -> None:
    model = CATALOGUE.models("animatic")[0]
    assert estimate_usd(model, VideoRequest("a", duration_s=8)) == Decimal(0)


def priced(*prices: dict[str, object], **entry: object) -> Model:
    content = {
        "id": "kite", "provider": "acme", "name": "Kite", "prompt_chars": 100, "usual_s": 1, "source": "test",
        "checked": "2026-11-22", "resolutions": ["480p", "720p"], "aspect_ratios": ["16:9", "4:3"],
        "durations_s": ["4-10"], "prices": prices, **entry,
    }  # fmt: skip
    return Model.model_validate(content)


def file(role: Role, length_s: float | None = None) -> InputMedia:
    return InputMedia(role, f"inputs/{role}", "video/mp4", 1, "00", length_s)


def usd(model: Model, **options: Any) -> Decimal | None:
    return estimate_usd(model, VideoRequest("a", **options))


def test_a_price_by_the_video_does_not_grow_with_its_length() -> None:
    model = priced({"duration_s": 10, "usd_per_video": Decimal("0.56")}, {"usd_per_video": Decimal("0.28")})
    assert usd(model, duration_s=6, n=2) == Decimal("0.56")
    assert usd(model, duration_s=10) == Decimal("0.56")


def test_a_price_by_the_token_follows_the_pixels() -> None:
    model = priced(
        {"video_input": True, "counts_input_s": True, "usd_per_million_tokens": Decimal("6.40")},
        {"usd_per_million_tokens": Decimal("10.70")},
        sizes={"720p": {"16:9": "1280x720", "4:3": "1112x834"}},
        inputs={"reference_video": 1},
    )
    # 1280 x 720 x 24 x 5 / 1024 = 108,000 tokens, as in the provider's own example.
    assert usd(model, resolution="720p", aspect_ratio="16:9", duration_s=5) == Decimal("1.1556")
    assert usd(model, resolution="720p", aspect_ratio="4:3", duration_s=4) == Decimal("0.93030615")
    given = (file(Role.REFERENCE_VIDEO, 2.5),)
    assert usd(model, resolution="720p", aspect_ratio="16:9", duration_s=5, media=given) == Decimal("1.0368")
    # A ratio that follows from the input: the largest of the resolution.
    assert usd(model, resolution="720p", aspect_ratio="adaptive", duration_s=5) == usd(
        model, resolution="720p", aspect_ratio="4:3", duration_s=5
    )


def test_videos_that_are_given_may_have_a_rate_of_their_own() -> None:
    model = priced({"usd_per_s": Decimal("0.20"), "usd_per_input_s": Decimal("0.10")}, inputs={"reference_video": 2})
    assert usd(model, duration_s=4, media=(file(Role.REFERENCE_VIDEO, 1.5), file(Role.REFERENCE_VIDEO, 2))) == Decimal(
        "1.15"
    )
    assert usd(model, duration_s=4) == Decimal("0.80")


def test_images_beyond_the_free_ones_are_charged() -> None:
    model = priced(
        {"usd_per_s": Decimal("0.08"), "usd_per_input_image": Decimal("0.04"), "free_input_images": 5},
        inputs={"reference_image": 9},
    )
    assert usd(model, duration_s=5, media=(file(Role.REFERENCE_IMAGE),) * 5) == Decimal("0.40")
    assert usd(model, duration_s=5, media=(file(Role.REFERENCE_IMAGE),) * 7, n=2) == Decimal("0.96")


def test_a_video_costs_at_least_the_minimum() -> None:
    model = priced({"usd_per_s": Decimal("0.10"), "least_usd": Decimal("0.56")})
    assert usd(model, duration_s=4, n=2) == Decimal("1.12")
    assert usd(model, duration_s=8) == Decimal("0.80")


def test_an_edit_is_as_long_as_its_video_and_until_it_is_read_as_long_as_it_may_be() -> None:
    model = priced(
        {"task": "edit", "usd_per_s": Decimal("0.07")},
        inputs={"video": 1},
        tasks={"edit": {"durations_s": [], "most_s": 15}},
    )
    edit = {"video_task": VideoTask.EDIT}
    assert usd(model, media=(file(Role.VIDEO, 8.7),), **edit) == Decimal("0.609")
    assert usd(model, media=(file(Role.VIDEO),), **edit) == Decimal("1.05")
    assert usd(model, media=(file(Role.VIDEO, 8.7),), video_task=VideoTask.EXTEND, duration_s=5) is None


def test_the_lines_of_an_estimate_add_up() -> None:
    model = priced({"usd_per_s": Decimal("0.05"), "usd_per_input_image": Decimal("0.002")}, inputs={"input_image": 1})
    found = estimate(model, VideoRequest("a", duration_s=4, n=3, media=(file(Role.INPUT_IMAGE),)))
    assert found is not None
    assert [(one.unit, one.quantity, one.usd_each) for one in found.charges_of_one] == [
        ("second", Decimal(4), Decimal("0.05")),
        ("input_image", Decimal(1), Decimal("0.002")),
    ]
    assert found.usd == Decimal("0.606")
