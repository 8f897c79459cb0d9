"""List prices, exact."""

from __future__ import annotations

from decimal import Decimal

import pytest

from rushes.catalogue.check import complete
from rushes.catalogue.load import load
from rushes.catalogue.price import estimate_usd
from rushes.domain.request import VideoRequest

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
