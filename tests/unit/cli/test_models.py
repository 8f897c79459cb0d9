from __future__ import annotations

from typing import Any

import pytest

from rushes.cli.models import price, shipped
from rushes.client import Model


def model(**fields: Any) -> Model:
    return Model.from_json({"id": "m", "provider": "p", "allowed": {}, **fields})


@pytest.mark.parametrize(
    ("prices", "said"),
    [
        ([], "unknown"),
        ([0], "free"),
        ([0.4], "$0.4"),
        ([0.4, 0.2, 0.4], "$0.2-0.4"),
        ([0, 0.1], "$0-0.1"),
    ],
)
def test_a_price_is_one_figure_or_a_range(prices: list[float], said: str) -> None:
    assert price(model(prices=[{"usd_per_second": one} for one in prices])) == said


def test_the_shipped_models_read_like_a_service_s() -> None:
    by_id = {each.id: each for each in shipped()}
    assert by_id["storyboard"].audio == (True, False)
    assert by_id["veo-3.0-generate-001"].is_retired
    assert by_id["veo-3.1-generate-001"].resolutions == ("720p", "1080p", "4k")
