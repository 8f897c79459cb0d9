"""What health checks and metrics ask of a process, whichever part of the service it is."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from starlette.requests import HTTPConnection

from rushes.decoding.sandbox import Protection
from rushes.engine.breaker import Circuit, CircuitHealth
from rushes.engine.credential_pool import CredentialHealth
from rushes.telemetry.scrape import Scrape

ANSWERS: Final = "answers"
ACCEPTS: Final = "accepts"
STORES: Final = "stores"
WORKS: Final = "works"
"""The parts of a process that `/readyz` judges one by one."""


@dataclass(frozen=True, slots=True)
class Condition:
    """Why the process is not ready, or None; and what keeps each part from working, or None for one that works."""

    trouble: str | None
    parts: Mapping[str, str | None]


@dataclass(frozen=True, slots=True)
class ProcessStatus:
    """The signs of life of this process, whose `role` is `all`, `api` or `worker`.

    `condition` says what works; `workers_alive` how many workers the whole service has now;
    `breakers` the circuits of this process that have seen trouble; `decoding` the kernel's walls around the processes
    that decode files, None while that is not known.
    """

    role: str
    condition: Callable[[], Awaitable[Condition]]
    workers_alive: Callable[[], Awaitable[int]]
    breakers: Callable[[], Mapping[Circuit, CircuitHealth]]
    credentials: Callable[[], Sequence[CredentialHealth]]
    """The operator's credentials as this process has met them; none in one that calls no provider."""
    decoding: Callable[[], Protection | None]
    scrape: Scrape
    metrics_token: str | None
    server_troubles: Callable[[], Mapping[str, str]]
    """By name: the own servers that cannot run what is configured for them, or could not be asked yet, and why."""
    metrics_have_a_port: bool = False
    """Whether `/metrics` is answered on a port of its own, and there alone."""


def process_status_of(connection: HTTPConnection) -> ProcessStatus:
    """The signs of life of the process that answers this request."""
    process_status: ProcessStatus = connection.app.state.process_status
    return process_status
