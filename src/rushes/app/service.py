"""A process of the service, wired: the front that answers, the engine that works, or both on one foundation."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Any

import structlog
from starlette.types import ASGIApp

from rushes.api.application import build_probes
from rushes.api.process_status import ProcessStatus
from rushes.app.engine import Engine
from rushes.app.foundation import Foundation, opened_foundation
from rushes.app.front import Front
from rushes.app.guardrail import check_guardrail
from rushes.app.key_rotation import KeyRotation
from rushes.app.readiness import Readiness
from rushes.app.role import Role, check_role
from rushes.app.server_checks import ServerChecks
from rushes.db.migrate import outgrown
from rushes.decoding.box import BoxUnavailableError
from rushes.engine.breaker import Circuit, CircuitHealth
from rushes.engine.credential_pool import CredentialHealth
from rushes.errors import RushesError
from rushes.media.links import LinkSigner
from rushes.settings import Settings
from rushes.shared_places import SharedPlaces
from rushes.telemetry.loop import watch_loop
from rushes.telemetry.scrape import Scrape
from rushes.telemetry.store import TelemetryStore
from rushes.views.signed_links import Links

log = structlog.get_logger(__name__)

LOOK_S = 2.0
"""How often a process looks whether the database has been changed beyond it."""


@dataclass(frozen=True, slots=True)
class Running:
    """A process that runs: its HTTP side, and how to put it down before that is closed.

    `announce_stop` makes the process say that it is not ready, while it serves on. `drain` takes up no new jobs,
    answers requests that wait for a job, waits for answers to submits under way and gives the jobs back. `hurry` ends
    these waits.

    `until_outgrown` returns with the reason when this release may not go on with its database.
    """

    http: ASGIApp
    announce_stop: Callable[[], None]
    drain: Callable[[], Awaitable[None]]
    hurry: Callable[[], None]
    until_outgrown: Callable[[], Coroutine[Any, Any, str]]
    places: SharedPlaces
    """What all accounts share in this process."""
    probes: ASGIApp | None = None
    """Health checks and metrics, for the port of their own that the settings name."""


@asynccontextmanager
async def running_service(settings: Settings, role: Role = Role.ALL, *, own_url: str = "") -> AsyncIterator[Running]:
    """The service in this process, or the part of it that `role` names; `own_url` is where it listens.

    It works on one data directory and the database that the settings name.

    Raises StartupError if it cannot start. On leaving, unfinished jobs stay resumable.
    """
    check_role(settings, role)
    check_guardrail(settings)
    async with opened_foundation(settings, role) as base, AsyncExitStack() as closing:
        links = Links(
            LinkSigner(base.keys.derive("links")),
            base.clock,
            ttl_s=settings.link_ttl_s,
            public_url=settings.public_url,
            own_url=own_url,
        )
        checks = ServerChecks(base.catalogue, base.own, base.adapters, base.keyring, base.clock)
        await checks.at_start()
        for complaint in base.providers.complaints():
            log.warning("credentials_of_no_use", detail=complaint)
        engine = Engine(base, links) if role.works else None
        front = Front(base, links) if role.answers else None
        readiness = Readiness(base, role, None if engine is None else engine.worker)

        async def drain() -> None:
            readiness.announce_stop()
            if front is not None:
                front.watching.close()
            if engine is not None:
                await engine.worker.stop()

        rotation = KeyRotation(
            base.database, base.keys.ids, base.clock, shared=base.shared, valid_s=settings.link_ttl_s
        )
        await rotation.start()
        process_status = _process_status(base, role, engine, front, readiness, rotation, checks)
        if front is None:
            http = build_probes(process_status, base.metrics.answered, logs_requests=settings.log_requests)
        else:
            await front.prepare()
            http = front.http(process_status)
        if engine is not None:
            closing.push_async_callback(engine.worker.stop)
            await engine.worker.start(alone=not base.shared)
        loops = [
            base.moves.run(base.history),
            watch_loop(base.metrics),
            _test_decoding(base),
            rotation.run(),
            checks.run(),
        ]
        loops += [loop for half in (engine, front) if half is not None for loop in half.loops()]
        await closing.enter_async_context(_in_background(*loops))
        hurry = _nothing if engine is None else engine.worker.stop_waiting
        probes = None
        if settings.metrics_port is not None:
            probes = build_probes(process_status, base.metrics.answered, logs_requests=settings.log_requests)
        yield Running(http, readiness.announce_stop, drain, hurry, lambda: _until_outgrown(base), base.places, probes)


def _process_status(
    base: Foundation,
    role: Role,
    engine: Engine | None,
    front: Front | None,
    readiness: Readiness,
    rotation: KeyRotation,
    checks: ServerChecks,
) -> ProcessStatus:
    breakers = _no_breakers if engine is None else engine.breakers
    credentials = _no_credentials if engine is None else engine.credentials
    store = TelemetryStore(base.database)
    gauges: dict[tuple[str, str], Callable[[], float]] = {
        ("rushes_database_writes_waiting", "Writes not yet on the disk"): lambda: base.database.waiting,
        ("rushes_secret_keys_missing", "Secret keys that other processes sign with and this one does not have"): (
            lambda: len(rotation.missing)
        ),
    }
    for half in (engine, front):
        if half is not None:
            gauges |= half.gauges
    token = base.settings.metrics_token
    return ProcessStatus(
        role=role.value,
        condition=readiness.condition,
        workers_alive=store.workers_alive,
        breakers=breakers,
        credentials=credentials,
        decoding=lambda: base.box.protection,
        scrape=Scrape(base.metrics, store, breakers, gauges, base.places, readiness.gauges),
        server_troubles=lambda: checks.troubles,
        metrics_token=None if token is None else token.get_secret_value(),
        metrics_have_a_port=base.settings.metrics_port is not None,
    )


@asynccontextmanager
async def _in_background(*loops: Coroutine[Any, Any, None]) -> AsyncIterator[None]:
    """Run endless loops until this is left."""
    tasks = [asyncio.create_task(loop) for loop in loops]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _until_outgrown(base: Foundation) -> str:
    """The reason, once a newer release has changed the database so that this one would do harm."""
    while True:
        await base.clock.sleep(LOOK_S)
        # Not over the pulse, which the heartbeat may need just then.
        with contextlib.suppress(RushesError):
            reason = await outgrown(base.database)
            if reason is not None:
                return reason


async def _test_decoding(base: Foundation) -> None:
    """Find out at start which walls the kernel puts around decoding, and warn of those that it lacks."""
    try:
        protection = await base.box.test()
    except BoxUnavailableError as error:
        log.warning("decoding_unavailable", detail=str(error))
        return
    missing = [name for name, stands in protection.to_json().items() if not stands]
    if missing:
        log.warning("decoding_less_protected", missing=missing)


def _no_breakers() -> Mapping[Circuit, CircuitHealth]:
    """Who calls no provider knows nothing of them."""
    return {}


def _no_credentials() -> Sequence[CredentialHealth]:
    return ()


def _nothing() -> None:
    pass
