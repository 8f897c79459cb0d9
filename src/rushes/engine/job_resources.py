"""What a worker hands to the code that runs one job."""

from __future__ import annotations

from dataclasses import dataclass, field

from rushes.catalogue.model import Model
from rushes.clock import SteadyClock
from rushes.engine.breaker import Breaker
from rushes.engine.storage_health import StorageHealth
from rushes.media.output_store import OutputStore
from rushes.providers.base import Credential, Provider, ReadMedia


@dataclass(frozen=True, slots=True)
class JobResources:
    """What running a job needs besides the job.

    `poll_interval_s` replaces every pace, for development. `retention_s` is how long finished videos are kept; None
    means that they are not deleted.
    """

    provider: Provider
    model: Model
    credential: Credential
    read_media: ReadMedia
    outputs: OutputStore
    clock: SteadyClock
    breaker: Breaker = field(default_factory=Breaker)
    storage_health: StorageHealth = field(default_factory=StorageHealth)
    poll_interval_s: float | None = None
    retention_s: float | None = None
