"""What a provider's list and the catalogue lack of each other."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Mapping
from datetime import date
from decimal import Decimal
from typing import Any

import pytest
from structlog.testing import capture_logs

from rushes.app.live_models import ListReading, compared, differences
from rushes.app.providers import configured_providers
from rushes.domain.output import Output
from rushes.domain.progress import Handle, Progress, Submission
from rushes.errors import ProviderUnavailable
from rushes.providers.base import Credential, Provider
from rushes.providers.openrouter.listing import entries_of
from rushes.settings import Settings
from tests.fixtures.catalogue import shipped_catalogue
from tests.fixtures.upstreams.openrouter_models import listed

TODAY = date(2026, 11, 30)
GOOGLE = shipped_catalogue().models("google")


def test_a_model_that_the_list_lacks_and_one_that_it_adds_are_named() -> None:
    found = compared(GOOGLE, "google", "gemini", ("gemini-omni-1.2-flash", "gemini-omni-1.3-flash"), TODAY)
    assert (found.missing, found.unknown) == (("gemini-omni-1.1-flash",), ("gemini-omni-1.3-flash",))


def test_a_list_with_every_model_that_lives_agrees() -> None:
    found = compared(GOOGLE, "google", "gemini", ("gemini-omni-1.2-flash", "gemini-omni-1.1-flash"), TODAY)
    assert (found.missing, found.unknown) == ((), ())


def test_models_of_another_api_and_retired_ones_are_not_missed() -> None:
    every = [model for model in GOOGLE if "vertex" in model.apis]
    ids = tuple(model.upstream_id("vertex") for model in every)
    assert compared(GOOGLE, "google", "vertex", ids, TODAY).missing == ()


def test_what_a_list_states_otherwise_is_said_field_by_field() -> None:
    omni = next(model for model in GOOGLE if model.id == "gemini-omni-1.2-flash")
    stated = {
        "id": omni.id, "resolutions": [*reversed(omni.resolutions)], "durations_s": [4, 8], "seed": not omni.seed,
        "prices": [{"usd_per_s": Decimal("0.50")}], "inputs": {"input_image": 1},
    }  # fmt: skip
    found = list(differences(GOOGLE, "gemini", [stated, {"id": "another"}]))
    assert [sentence.split(" is ")[0].partition(": ")[2] for sentence in found] == [
        "durations_s", "seed", "prices", "inputs",
    ]  # fmt: skip
    assert found[0].startswith("'gemini-omni-1.2-flash': durations_s is (4; 8) there and (3; 4; 5;")
    assert "prices is (usd_per_s 0.5) there" in found[2]


def test_the_shipped_entries_of_openrouter_are_those_of_its_list() -> None:
    models = shipped_catalogue().models("openrouter")
    entries = entries_of({"data": listed()})
    assert list(differences(models, None, entries)) == []
    found = compared(models, "openrouter", None, tuple(entry["id"] for entry in entries), TODAY)
    assert found.missing == ()
    assert found.unknown == (
        "alibaba/wan-2.6", "black-forest-labs/flux-video-upscale", "heygen/avatar-iv", "heygen/heygen-video-1",
    )  # fmt: skip


class Listing(Provider):
    """A provider whose list fails first and differs later."""

    name = "openrouter"

    def __init__(self) -> None:
        self.asked = 0

    async def list_entries(self, *, credential: Credential) -> tuple[Mapping[str, Any], ...]:
        self.asked += 1
        if self.asked == 1:
            raise ProviderUnavailable("the list is away")
        return ({"id": "google/veo-3.1", "seed": False}, {"id": "new/model"})

    async def submit(self, *given: object, **more: object) -> Submission:
        raise AssertionError

    async def poll(self, handle: Handle, *, credential: Credential) -> Progress:
        raise AssertionError

    async def fetch(self, handle: Handle, output: Output, *, credential: Credential) -> AsyncGenerator[bytes, None]:
        for chunk in (b"",):
            yield chunk


class Days:
    """A clock that counts its sleeps, and ends the third."""

    def __init__(self) -> None:
        self.slept_s: list[float] = []

    def now_ms(self) -> int:
        return 1_795_300_000_000

    async def sleep(self, seconds: float) -> None:
        self.slept_s.append(seconds)
        if len(self.slept_s) == 3:
            raise asyncio.CancelledError


async def test_a_list_is_read_at_the_start_and_daily_and_a_failure_again_in_an_hour() -> None:
    clock, adapter = Days(), Listing()
    settings = Settings.model_validate({"providers": {"openrouter": {"api_key": "openrouter-unit-0123"}}})
    providers = configured_providers(settings, clock)
    with capture_logs() as logged, pytest.raises(asyncio.CancelledError):
        await ListReading(providers, {("openrouter", None): adapter}, clock).run()
    assert (adapter.asked, clock.slept_s) == (3, [3600.0, 86_400.0, 86_400.0])
    assert [line["event"] for line in logged] == ["model_list_not_read", "model_list_differs", "model_list_differs"]
    assert logged[1]["unknown"] == ["new/model"]
    assert logged[1]["differing"] == ["'google/veo-3.1': seed is False there and True here"]
    assert "kwaivgi/kling-v3.0-pro" in logged[1]["missing"]
