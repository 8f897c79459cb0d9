"""What a caller asks for, and what is pinned when a job is accepted for it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal

from rushes.domain.fallbacks import NO_FALLBACKS, Fallback, Fallbacks
from rushes.domain.job_webhook import JobWebhook
from rushes.domain.request import VideoRequest
from rushes.domain.tenant import Tenant, tenant_of
from rushes.jobs.guardrail.store import Rewrite
from rushes.jobs.routing import OnRetired
from rushes.media.inputs import GivenMedia
from rushes.money.costs import Reservation, reservation_for


@dataclass(frozen=True, slots=True)
class Previous:
    """The finished job, and which of its videos, that a request takes as its `video`."""

    job_id: str
    index: int = 0


@dataclass(frozen=True, slots=True)
class Budget:
    """What a caller has agreed to pay for one job, in USD; None for nothing, because no price was shown yet."""

    most_usd: Decimal | None


@dataclass(frozen=True, slots=True)
class Asked:
    """One generation as a caller asks for it; None means not given."""

    request: VideoRequest
    media: tuple[GivenMedia, ...] = ()
    model: str | None = None
    provider: str | None = None
    response_format: str = "url"
    byok_api_key: str | None = None
    fallback_models: tuple[str, ...] | None = None
    """None for those of the account; empty for none."""
    asked_model: str | None = None
    """The model's name as the caller wrote it, to be shown again, where that is not `model` and `provider`."""
    source_job_id: str | None = None
    """The job whose video this one is made from, where it was copied by the HTTP surface."""
    previous: Previous | None = None
    user: str | None = None
    """The caller's own tag; never sent upstream."""
    metadata: Mapping[str, str] = field(default_factory=dict)
    """The caller's own pairs; never sent upstream."""
    webhook: JobWebhook | None = None
    budget: Budget | None = None
    """What the job may cost; None where its caller has set no bound."""
    on_retired: OnRetired | None = None
    retention_s: float | None = None
    """How long the finished videos are to be kept."""
    warnings: tuple[str, ...] = ()
    """What the caller should know of how the request was read; the job shows it."""

    def __repr__(self) -> str:
        return f"Asked(model={self.model!r}, provider={self.provider!r})"


@dataclass(frozen=True, slots=True)
class NewJob:
    """A job to be stored: who asks for what (`asked`), and what runs it (`route`) with the completed `request`.

    `provider` and `model` are those asked for; `route` names what really runs, `fallbacks` what may take over.
    """

    id: str
    account_id: str
    key_id: str
    asked: Asked
    provider: str
    model: str
    request: VideoRequest
    route: Fallback
    hold_s: float = 0
    """How long it stays cancellable before it may be claimed."""
    sealed_secret: str | None = None
    """The caller's own provider key, sealed; None where the job runs on the operator's key, or on none."""
    fallbacks: Fallbacks = NO_FALLBACKS
    request_id: str | None = None
    traceparent: str | None = None
    is_test: bool = False
    """Whether a test key asks."""
    rewrite: Rewrite | None = None
    """What the guardrail has made of its prompt."""
    retention_ms: int | None = None
    """How long its videos are kept once they are finished; None for as long as the service keeps them."""
    unpriced_allowed: bool = False
    """Whether a spend limit lets it pass although a price is not known."""

    @property
    def tenant(self) -> Tenant:
        """Whose job it is, and which keys see it."""
        return tenant_of(self.account_id, is_test=self.is_test)

    @property
    def hold_ms(self) -> int:
        """The same in milliseconds."""
        return int(self.hold_s * 1000)

    @property
    def stands_alone(self) -> bool:
        """Whether more is stored for it than its row, so that it gets a transaction of its own."""
        return self.sealed_secret is not None or self.rewrite is not None or bool(self.request.media)

    @property
    def reservation(self) -> Reservation:
        """What is set aside for it: the dearest of the models that may run it."""
        served = (f"{self.route.provider}/{self.route.model}", self.route.cost_usd)
        return reservation_for([served, *((one.name, one.cost_usd) for one in self.fallbacks.models)])

    def columns(self) -> dict[str, object]:
        """The columns of its row that do not follow from its acceptance (`transitions.accept`)."""
        route, asked = self.route, self.asked
        return {
            "id": self.id,
            "account_id": self.account_id,
            "key_id": self.key_id,
            "tenant": self.tenant,
            "provider": self.provider,
            "model": self.model,
            "served_provider": route.provider,
            "served_model": route.model,
            "request": self.request.to_json(),
            "response_format": asked.response_format,
            "cost_usd": None if route.cost_usd is None else str(route.cost_usd),
            "usual_s": route.usual_s,
            "warnings": json.dumps([*asked.warnings, *route.warnings]),
            "lane": route.lane,
            "progress": 0 if route.reports_progress else None,
            "surface": route.api,
            "credential": route.credential,
            "byok": int(self.sealed_secret is not None),
            "fallbacks": self.fallbacks.to_json(),
            "asked_model": asked.asked_model,
            "source_job_id": asked.source_job_id if asked.previous is None else asked.previous.job_id,
            "user_tag": asked.user,
            "metadata": json.dumps(asked.metadata, ensure_ascii=False) if asked.metadata else None,
            "listener": None if asked.webhook is None else asked.webhook.to_json(),
            "retention_ms": self.retention_ms,
            "request_id": self.request_id,
            "traceparent": self.traceparent,
        }
