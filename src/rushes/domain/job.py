"""What a job is, the states it goes through, and which moves between them are legal.

    queued ──────► submitting ─────► running ─────► storing ─────► succeeded
      │                │  └──────────────┼─────────────▲ │
      │                │                 │               │
      ├─► cancelled    ├─► failed        ├─► failed      └─► failed
      ├─► failed       └─► expired       └─► expired
      └─► expired                 failed ◄──► recovering ──► succeeded   (by an operator)
                                  expired ──► recovering
    submitting ◄──► rerouted (waits for a fallback model) ──► failed, expired

Callers see four words: `pending` (queued), `in_progress` (the next three, and rerouted), `completed` (succeeded) and
`failed`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from enum import StrEnum

from rushes.domain.fallbacks import NO_FALLBACKS, Fallbacks
from rushes.domain.job_webhook import JobWebhook
from rushes.domain.output import StoredVideo
from rushes.domain.progress import Handle, estimate_percent
from rushes.domain.request import VideoRequest


class Status(StrEnum):
    """A job's state as callers see it; it never goes back."""

    PENDING = "pending"
    IN_PROGRESS = "in_progress"
    COMPLETED = "completed"
    FAILED = "failed"

    @property
    def is_final(self) -> bool:
        """Whether callers need wait no longer."""
        return self in (Status.COMPLETED, Status.FAILED)


class State(StrEnum):
    """A job's state as the engine sees it; each comment says who leaves it, and how."""

    QUEUED = "queued"
    """Waits for a worker, which records its intent to submit; or for the caller, who may still cancel."""
    SUBMITTING = "submitting"
    """The intent is recorded, so the provider may have been called. The worker leaves it when an answer is recorded;
    after a crash it asks the provider, and submits again only what was certainly not accepted."""
    REROUTED = "rerouted"
    """The provider has certainly not accepted, and a fallback model takes the job over. It waits in that model's lane
    for a worker, which records a new intent; from now on it cannot be cancelled."""
    RUNNING = "running"
    """The provider has accepted. The worker polls until it is done, or the deadline passes."""
    STORING = "storing"
    """The videos exist at the provider. The worker copies them until they are ours, or the provider's are gone."""
    RECOVERING = "recovering"
    """Failed as far as callers know, but an operator has found the generation at the provider, or has a lost video
    asked for once more. The worker carries it on, and leaves it with the videos or with a new reason to fail."""
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"
    EXPIRED = "expired"

    @property
    def status(self) -> Status:
        """The word that callers see."""
        return _STATUS[self]

    @property
    def is_final(self) -> bool:
        """Whether the job has ended, and only an operator's word can move it on."""
        return self in _FINAL

    @property
    def waits_in_lane(self) -> bool:
        """Whether the job waits for a slot of its lane, or has one and nothing recorded as begun."""
        return self in (State.QUEUED, State.REROUTED)


_FINAL = frozenset({State.SUCCEEDED, State.FAILED, State.CANCELLED, State.EXPIRED})

_STATUS = {
    State.QUEUED: Status.PENDING,
    State.SUBMITTING: Status.IN_PROGRESS,
    State.REROUTED: Status.IN_PROGRESS,
    State.RUNNING: Status.IN_PROGRESS,
    State.STORING: Status.IN_PROGRESS,
    State.RECOVERING: Status.FAILED,
    State.SUCCEEDED: Status.COMPLETED,
    State.FAILED: Status.FAILED,
    State.CANCELLED: Status.FAILED,
    State.EXPIRED: Status.FAILED,
}

MOVES: dict[State, frozenset[State]] = {
    State.QUEUED: frozenset({State.SUBMITTING, State.CANCELLED, State.FAILED, State.EXPIRED}),
    State.SUBMITTING: frozenset({State.RUNNING, State.STORING, State.REROUTED, State.FAILED, State.EXPIRED}),
    State.REROUTED: frozenset({State.SUBMITTING, State.FAILED, State.EXPIRED}),
    State.RUNNING: frozenset({State.STORING, State.FAILED, State.EXPIRED}),
    State.STORING: frozenset({State.SUCCEEDED, State.FAILED}),
    State.RECOVERING: frozenset({State.SUCCEEDED, State.FAILED}),
    State.SUCCEEDED: frozenset(),
    State.FAILED: frozenset({State.RECOVERING}),
    State.CANCELLED: frozenset(),
    State.EXPIRED: frozenset({State.RECOVERING}),
}
"""Every legal move. The store refuses all others, in the statement that moves."""


@dataclass(frozen=True, slots=True)
class Move:
    """A job has moved to `state`, with the facts that a log line or a counter needs. Times are milliseconds since 1970.

    `was` is None for a new job. `provider` and `model` serve the job. `cause` is the text in the job's history.
    `credential` is the name of the operator's key, None before the job is submitted and on a caller's own.
    """

    job_id: str
    account_id: str
    request_id: str | None
    traceparent: str | None
    provider: str
    model: str
    was: State | None
    state: State
    cause: str
    cost_usd: str | None
    created_at: int
    credential: str | None = None


class AttemptState(StrEnum):
    """How far one provider call is."""

    INTENT = "intent"
    """Recorded before the call: the provider may or may not have been asked."""
    ACCEPTED = "accepted"
    """The provider has it; the handle says where."""
    STORED = "stored"
    """Its videos are ours."""
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Problem:
    """Why a job or an attempt failed: a stable code, one sentence, and the provider's own code if it gave one."""

    code: str
    message: str
    provider_error: str | None = None


@dataclass(frozen=True, slots=True)
class Trouble:
    """What keeps a job from going on while it is retried, or kept it until it failed. `at` is in milliseconds."""

    code: str
    message: str
    at: int


MAYBE_CHARGED = frozenset({"submission_unknown", "expired", "output_lost", "output_invalid", "aborted"})
"""Codes of problems after which the provider may charge all the same."""

RECOVERABLE = frozenset({"output_lost", "output_invalid", "expired", "aborted", "provider_auth"})
"""Codes of problems after which the provider may still have the video, so that an operator can have it fetched, if the
call was accepted."""


def may_be_charged(code: str | None, *, accepted: bool) -> bool:
    """Whether the provider may charge for a call that failed with this code, and that it had accepted or not."""
    # An accepted call fails so when its credential was removed from the configuration.
    return code in MAYBE_CHARGED or (accepted and code == "provider_auth")


@dataclass(frozen=True, slots=True)
class Attempt:
    """One call to a provider on behalf of a job; a job for several videos may need several."""

    id: str
    part: int
    n: int
    state: AttemptState
    handle: Handle | None = None
    outputs: tuple[StoredVideo, ...] = ()
    problem: Problem | None = None


@dataclass(frozen=True, slots=True)
class Job:
    """One generation, as stored. Times are milliseconds since 1970 UTC.

    `cost_usd` is the estimate that was pinned, None if a price is not known; `spent_microusd` is what it has really
    cost, None until that is known, and `reserved_microusd` what is still set aside for it.

    `api` is which of the provider's APIs runs it, `credential` a fingerprint of the key it runs on, `credential_name`
    what the operator calls that key, None until it is submitted; `byok` whether that key is the caller's own.
    `asked_model` is the model's name as a caller of another service's API wrote it, an alias perhaps; `source_job_id`
    the job whose video this one was made from. `request_id` is the request that made it, and `traceparent` the trace
    that it belongs to (W3C Trace Context).
    """

    seq: int
    id: str
    account_id: str
    key_id: str
    state: State
    provider: str
    model: str
    served_provider: str
    served_model: str
    request: VideoRequest
    response_format: str
    cost_usd: Decimal | None
    usual_s: float
    warnings: tuple[str, ...]
    available_at: int
    deadline_at: int
    progress: int | None
    problem: Problem | None
    outputs: tuple[StoredVideo, ...]
    provider_video_id: str | None
    created_at: int
    started_at: int | None
    completed_at: int | None
    cancelled_at: int | None
    files_expire_at: int | None = None
    retention_ms: int | None = None
    """How long its files are kept once it is finished; None for as long as the service keeps them."""
    api: str | None = None
    credential: str | None = None
    credential_name: str | None = None
    byok: bool = False
    fallbacks: Fallbacks = NO_FALLBACKS
    asked_model: str | None = None
    source_job_id: str | None = None
    webhook: JobWebhook | None = None
    request_id: str | None = None
    traceparent: str | None = None
    abort_requested: bool = False
    """Whether an operator wants it to end."""
    reserved_microusd: int = 0
    spent_microusd: int | None = None
    trouble: Trouble | None = None
    user: str | None = None
    """The caller's own tag; never sent upstream."""
    metadata: Mapping[str, str] = field(default_factory=dict)
    """The caller's own pairs; never sent upstream."""
    is_test: bool = False
    """Whether a test key made it."""

    @property
    def status(self) -> Status:
        """The word that callers see."""
        return self.state.status

    @property
    def served_name(self) -> str:
        """What really ran: a model's id, with its provider where that is not the one asked for."""
        if self.served_provider == self.provider:
            return self.served_model
        return f"{self.served_provider}/{self.served_model}"

    @property
    def asked_name(self) -> str:
        """The model's name as it was asked for: an alias perhaps, else with its provider."""
        return f"{self.provider}/{self.model}" if self.asked_model is None else self.asked_model

    def has_files(self, now_ms: int) -> bool:
        """Whether its videos can still be had."""
        return bool(self.outputs) and (self.files_expire_at is None or now_ms < self.files_expire_at)

    @property
    def rises_by_itself(self) -> bool:
        """Whether its progress is an estimate, which time alone changes."""
        return self.progress is None and self.started_at is not None and not self.status.is_final

    def percent(self, now_ms: int) -> int:
        """Progress from 0 to 100 that never falls: as reported, else estimated from the model's usual time."""
        if self.state is State.SUCCEEDED:
            return 100
        if self.progress is not None:
            return self.progress
        if self.started_at is None:
            return 0
        end_ms = self.completed_at if self.completed_at is not None else now_ms
        return estimate_percent((end_ms - self.started_at) / 1000, self.usual_s)
