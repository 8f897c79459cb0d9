"""What a worker hands to the code that runs one job."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field

from rushes.catalogue.model import Model
from rushes.clock import SteadyClock
from rushes.domain.request import VideoRequest
from rushes.engine.breaker import Breaker
from rushes.engine.credential_pool import JobKeys
from rushes.engine.storage_health import StorageHealth
from rushes.media.output_store import OutputStore
from rushes.providers.base import Credential, Provider, ReadMedia

SubmissionTurn = Callable[[VideoRequest], AbstractAsyncContextManager[None]]
"""Waits until this request may be submitted, and holds what it takes within the block."""


@asynccontextmanager
async def _at_once(_request: VideoRequest) -> AsyncIterator[None]:
    yield


@dataclass(slots=True)
class JobResources:
    """What running a job needs besides the job.

    `provider`, `credential` and `breaker` belong to the key that the job runs on; they change with `choose_key` alone.
    `keys` are those that it may be submitted with, None where there is no choice: on a caller's own key, or on none.

    `poll_interval_s` replaces every pace, for development. `retention_s` is how long finished videos are kept; None
    means that they are not deleted.
    """

    provider: Provider
    model: Model
    credential: Credential
    read_media: ReadMedia
    outputs: OutputStore
    clock: SteadyClock
    submission_turn: SubmissionTurn = _at_once
    breaker: Breaker = field(default_factory=Breaker)
    keys: JobKeys | None = None
    storage_health: StorageHealth = field(default_factory=StorageHealth)
    poll_interval_s: float | None = None
    retention_s: float | None = None

    @property
    def secrets(self) -> tuple[str, ...]:
        """What must not be shown."""
        return (self.credential.secret, *(() if self.keys is None else self.keys.secrets))

    @property
    def has_other_keys(self) -> bool:
        """Whether a job that is not accepted with this key can be submitted with another."""
        return self.keys is not None and self.keys.has_others

    def choose_key(self) -> bool:
        """Run on the key whose turn it is. Returns False, and changes nothing, if none can take the job now."""
        if self.keys is None:
            return True
        if not self.keys.choose(self.clock.steady_ms()):
            return False
        key = self.keys.current
        self.provider, self.credential, self.breaker = key.provider, key.pinned.credential, key.breaker
        return True

    def begin_call(self, *, may_choose: bool) -> int | None:
        """The breaker's number for a submission that may be made now, or None; with `may_choose`, by any key."""
        now_ms = self.clock.steady_ms()
        if may_choose and not self.choose_key():
            return None
        if self.keys is not None and self.keys.current.standing.rest_s(now_ms) > 0:
            return None
        call = self.breaker.begin(now_ms)
        if call is not None and may_choose and self.keys is not None:
            self.keys.taken()
        return call

    def wait_s(self, *, may_choose: bool) -> float:
        """Seconds until it is worth asking to `begin_call` again."""
        now_ms = self.clock.steady_ms()
        if self.keys is None:
            return self.breaker.wait_s(now_ms)
        return self.keys.wait_s(now_ms) if may_choose else self.keys.current.wait_s(now_ms)

    def is_closed(self, *, may_choose: bool) -> bool:
        """Whether the provider cannot be reached with the job's key; with `may_choose`, with none of them."""
        now_ms = self.clock.steady_ms()
        if self.keys is not None and may_choose:
            return self.keys.are_closed(now_ms)
        return self.breaker.wait_s(now_ms) > 0
