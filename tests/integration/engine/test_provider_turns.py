"""Polls and downloads take turns by account, and submissions do not wait."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from typing import Any

from rushes.domain.progress import Handle, Progress, Submission, Working
from rushes.engine.provider_turns import ProviderInTurn
from rushes.providers.base import NO_CREDENTIAL, Provider
from rushes.shared_places import PROVIDER_CONNECTIONS as DECLARED
from rushes.shared_places import Declaration, SharedPlace, SharedPlaces

PLACE = Declaration("calls", "Calls", "calls", most=3, share=2, kept=1, queue=10)


class Hanging(Provider):
    """Counts the calls that have begun, and ends none before it is told to."""

    name = "hanging"

    def __init__(self) -> None:
        self.begun = 0
        self.end = asyncio.Event()

    async def submit(self, *_: Any, **__: Any) -> Submission:
        return Submission({})

    async def poll(self, handle: Handle, **_: Any) -> Progress:
        self.begun += 1
        await self.end.wait()
        return Working()

    async def fetch(self, *_: Any, **__: Any) -> AsyncGenerator[bytes, None]:
        self.begun += 1
        await self.end.wait()
        yield b"video"


async def _download(provider: Provider) -> bytes:
    return b"".join([chunk async for chunk in provider.fetch({}, None, credential=NO_CREDENTIAL)])  # type: ignore[arg-type]


async def test_the_calls_of_one_account_leave_room_for_another() -> None:
    provider, place = Hanging(), SharedPlace(PLACE)
    hostile, other = (ProviderInTurn(provider, place, name) for name in ("hostile", "other"))
    calls = [asyncio.create_task(_download(hostile)) for _ in range(5)]
    await asyncio.sleep(0.01)
    assert provider.begun == 2
    poll = asyncio.create_task(other.poll({}, credential=NO_CREDENTIAL))
    await asyncio.sleep(0.01)
    assert provider.begun == 3
    submission = await hostile.submit(None, None, attempt_id="", credential=NO_CREDENTIAL, read_media=None)  # type: ignore[arg-type]
    assert submission == Submission({})
    provider.end.set()
    assert await asyncio.gather(*calls) == [b"video"] * 5
    await poll
    assert place.held == place.waiting == 0


def test_each_provider_has_a_place_of_its_own() -> None:
    places = SharedPlaces()
    assert places.of(DECLARED, "google") is places.of(DECLARED, "google")
    assert places.of(DECLARED, "google") is not places.of(DECLARED, "kling")
    assert "provider_connections:google" in {place.declaration.name for place in places}
