"""GET /models with filters, over a socket."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from tests.fixtures.fronts import Front, running_front

MODELS = "/api/v1/models"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def front(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Front]:
    async with running_front(Path(tmp_path_factory.mktemp("models"))) as front:
        yield front


pytestmark = pytest.mark.asyncio(loop_scope="module")


async def ids(front: Front, query: str) -> list[str]:
    """The models of the answer, as `provider/id`."""
    answer = await front.ask("GET", f"{MODELS}?{query}")
    assert answer.status == 200, answer.json
    return [model["full_id"] for provider in answer.json for model in provider["models"]]


async def test_filters_leave_the_models_that_meet_all_of_them(front: Front) -> None:
    found = await ids(front, "inputs=input_image,last_frame&resolution=4k&audio=true&alive=true&provider=runway")
    assert found == ["runway/gemini_omni_flash_1.1", "runway/seedance2", "runway/kling3.0_4k", "runway/klingO3_4k"]
    assert await ids(front, "inputs=input_image&inputs=last_frame&resolution=4k&provider=runway") == found
    assert await ids(front, "provider=luma&audio=true") == []
    assert (await front.ask("GET", f"{MODELS}?provider=luma&audio=true")).json == []


async def test_the_cheapest_comes_first_among_providers_and_within_them(front: Front) -> None:
    found = await ids(front, "provider=runway&max_usd_per_second=0.15&sort=price")
    assert found[:2] == ["runway/gen4_turbo", "runway/veo3.1_fast"]
    answer = await front.ask("GET", f"{MODELS}?sort=price")
    assert answer.json[0]["id"] == "animatic"
    assert {provider["total"] for provider in answer.json} == {len(provider["models"]) for provider in answer.json}


async def test_without_filters_every_provider_is_there(front: Front) -> None:
    plain, empty = await front.ask("GET", MODELS), await front.ask("GET", f"{MODELS}?resolution=&sort=")
    assert plain.json == empty.json
    assert {"google", "runway", "luma", "openrouter", "animatic"} <= {provider["id"] for provider in plain.json}


@pytest.mark.parametrize(
    ("query", "field", "words"),
    [
        ("resolution=8k", "resolution", "resolution '8k' is not known; it is one of '360p', "),
        ("audio=yes", "audio", "audio 'yes' is not known; it is one of 'true', 'false'"),
        ("inputs=sketch", "inputs", "it is one of 'input_image', 'last_frame'"),
        ("provider=acme", "provider", "provider 'acme' is not known; it is one of "),
        ("max_usd_per_second=cheap", "max_usd_per_second", "it is a number of dollars from 0, such as 0.10"),
        ("max_price=1", "max_price", "max_price"),
    ],
)
async def test_a_filter_that_cannot_be_meant_is_named_with_what_is_allowed(
    front: Front, query: str, field: str, words: str
) -> None:
    answer = await front.ask("GET", f"{MODELS}?{query}")
    assert answer.status == 400
    assert words in answer.json["detail"]
    assert field in answer.json["detail"]
