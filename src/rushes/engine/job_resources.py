"""What a worker hands to the code that carries one job out."""

from __future__ import annotations

from dataclasses import dataclass, field

from rushes.catalogue.model import Model
from rushes.clock import SteadyClock
from rushes.engine.breaker import Breaker
from rushes.engine.claims import LeaseStore
from rushes.media.output_store import OutputStore
from rushes.providers.base import Credential, Provider, ReadMedia


@dataclass(frozen=True, slots=True)
class Tools:
    """What carrying a job out needs besides the job. `poll_interval_s` replaces every pace, for development;
    `retention_s` is how long finished videos are kept, None for ever.
    """

    leases: LeaseStore
    provider: Provider
    model: Model
    credential: Credential
    read_media: ReadMedia
    outputs: OutputStore
    clock: SteadyClock
    breaker: Breaker = field(default_factory=Breaker)
    poll_interval_s: float | None = None
    retention_s: float | None = None
