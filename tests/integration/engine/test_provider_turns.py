"""Calls to a provider take turns by account: polls and downloads in the call, submissions before their intent."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from dataclasses import replace
from typing import Any

from rushes.domain.job import Job, State
from rushes.domain.progress import Handle, Progress, Submission, Working
from rushes.domain.request import InputMedia, Role, VideoRequest
from rushes.engine.job_resources import JobResources
from rushes.engine.provider_turns import ProviderInTurn, SubmissionTurns
from rushes.providers.base import NO_CREDENTIAL, Provider
from rushes.shared_places import PROVIDER_CONNECTIONS as DECLARED
from rushes.shared_places import SUBMITTED_MEDIA, Declaration, SharedPlace, SharedPlaces
from tests.fixtures.engine import Engine

PLACE = Declaration("calls", "Calls", "calls", most=3, share=2, kept=1, queue=10)


class Hanging(Provider):
    """Counts the calls that have begun, and ends none before it is told to."""

    name = "hanging"

    def __init__(self) -> None:
        self.begun = 0
        self.end = asyncio.Event()

    async def submit(self, *_: Any, **__: Any) -> Submission:
        return Submission({})

    async def find(self, *_: Any, **__: Any) -> Submission | None:
        self.begun += 1
        return None

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
    look_up = asyncio.create_task(other.find("att_1", credential=NO_CREDENTIAL))
    await asyncio.sleep(0.01)
    assert provider.begun == 3
    provider.end.set()
    assert await asyncio.gather(*calls) == [b"video"] * 5
    await poll
    assert await look_up is None
    assert place.held == place.waiting == 0


def test_each_provider_has_a_place_of_its_own() -> None:
    places = SharedPlaces()
    assert places.of(DECLARED, "google") is places.of(DECLARED, "google")
    assert places.of(DECLARED, "google") is not places.of(DECLARED, "kling")
    assert "provider_connections:google" in {place.declaration.name for place in places}


def asking(size_bytes: int) -> VideoRequest:
    """A request with one input file of this size."""
    media = InputMedia(Role.INPUT_IMAGE, "inputs/x", "image/png", size_bytes, sha256="x")
    return VideoRequest("A dog", media=(media,))


async def test_submissions_wait_for_memory_and_for_a_connection_and_leave_some_to_others() -> None:
    connections = SharedPlace(PLACE)
    memory = SharedPlace(Declaration("media", "Bytes", "bytes", most=100, share=60, kept=30, little=20, queue=10))
    hostile, other = (SubmissionTurns(connections, memory, name) for name in ("hostile", "other"))
    begun: list[str] = []
    end = asyncio.Event()

    async def submit(name: str, turn: SubmissionTurns, size_bytes: int) -> None:
        async with turn(asking(size_bytes)):
            begun.append(name)
            await end.wait()

    tasks = [asyncio.create_task(submit("hostile", hostile, 30)) for _ in range(4)]
    # Larger than what an account may hold: it goes once nothing else of the account does.
    tasks.append(asyncio.create_task(submit("huge", hostile, 1_000)))
    await asyncio.sleep(0)
    tasks.append(asyncio.create_task(submit("other", other, 20)))
    await asyncio.sleep(0.01)
    assert begun == ["hostile", "hostile", "other"]
    end.set()
    await asyncio.gather(*tasks)
    assert begun[-1] == "huge"
    assert memory.held == memory.waiting == connections.held == connections.waiting == 0


async def test_no_intent_is_recorded_before_the_turn_has_come(engine: Engine) -> None:
    connections = SharedPlace(PLACE)
    held = [connections.take("acct_1"), connections.take("acct_1")]
    turn = SubmissionTurns(connections, SharedPlace(SUBMITTED_MEDIA), "acct_1")

    async def resources_for(_: Job) -> JobResources:
        return replace(engine.resources(), submission_turn=turn)

    await engine.create()
    await engine.worker_with(resources_for).start(alone=True)
    await engine.clock.run_for(5)
    assert connections.waiting == 1
    assert await engine.attempts() == []
    held[0].release()
    await engine.clock.run_for(60)
    assert (await engine.job()).state is State.SUCCEEDED
    assert len(engine.provider.asked("submit")) == 1
