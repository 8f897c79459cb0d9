"""The half of the service that works: it carries jobs out, delivers webhooks, and removes what is over."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Coroutine, Mapping, Sequence
from dataclasses import asdict
from typing import Any

from rushes.app.credentials import JobCredentials
from rushes.app.foundation import Foundation
from rushes.app.own_servers import assumed
from rushes.audit.cleaner import AuditCleaner
from rushes.audit.store import AuditStore
from rushes.domain.job import Job
from rushes.domain.job_webhook import WebhookFormat
from rushes.engine.breaker import Circuit, CircuitHealth
from rushes.engine.claims import ClaimStore
from rushes.engine.credential_pool import CredentialHealth
from rushes.engine.job_resources import JobResources
from rushes.engine.provider_turns import ProviderInTurn, SubmissionTurns
from rushes.engine.storage_health import StorageHealth
from rushes.engine.worker import Worker, WorkerLimits
from rushes.errors import CredentialElsewhere, NoCredentials
from rushes.ids import new_id
from rushes.jobs.retention import Cleaner, RetentionStore
from rushes.media.input_cleaner import InputCleaner
from rushes.media.output_store import OutputStore
from rushes.providers.base import Provider
from rushes.providers.credentials import Pinned
from rushes.shared_places import PROVIDER_CONNECTIONS, SUBMITTED_MEDIA, WEBHOOK_ATTEMPTS
from rushes.telemetry.providers import ObservedClock, ObservedProvider
from rushes.views.job import view_of
from rushes.views.openrouter import openrouter_video
from rushes.views.signed_links import Links
from rushes.webhooks.cleaner import DeliveryCleaner
from rushes.webhooks.dispatch import Dispatcher
from rushes.webhooks.outbox import Outbox

PROBE_KEY = "probes/storage"
"""One for all workers, so that a crash leaves one small file at most."""
PROBE_BYTES = 256 * 1024
ELSEWHERE_S = 60.0
"""How long a job waits for a worker that has its credential, while there are other workers."""


async def _probe() -> AsyncIterator[bytes]:
    yield bytes(PROBE_BYTES)


class Engine:
    """One a process, on the foundation that it shares with the front, if that is in this process too."""

    def __init__(self, base: Foundation, links: Links) -> None:
        self._base = base
        self._credentials = JobCredentials(base.jobs, base.keyring, base.sealer, base.adapters)
        self._outputs = OutputStore(base.storage, base.decoder)
        self._waiting_clock = ObservedClock(base.clock, base.metrics)
        self._storage_health = StorageHealth()
        worker_id = new_id("worker")
        self._claims = claims = ClaimStore(
            base.database,
            worker_id,
            pulse=base.pulse,
            clock=base.clock,
            jobs_in_flight=base.default_limits.jobs_in_flight,
        )
        settings = base.settings
        self.worker = Worker(
            claims,
            self._resources_for,
            base.clock,
            WorkerLimits(
                most_in_flight=settings.most_in_flight, lease_s=settings.lease_s, last_answer_s=settings.drain_s
            ),
            storage_health=self._storage_health,
            check_storage=self._check_storage,
            heartbeat_recorded=base.metrics.heartbeat_recorded,
        )
        self._dispatcher = Dispatcher(
            base.database,
            base.jobs,
            base.sender,
            base.signing_secrets,
            {
                WebhookFormat.STANDARD: lambda job, kept: asdict(
                    view_of(job, links, None, base.clock.now_ms(), deleted=not kept)
                ),
                WebhookFormat.OPENROUTER: lambda job, kept: openrouter_video(
                    job, links, None, base.clock.now_ms(), deleted=not kept
                ),
            },
            base.clock,
            retries_s=settings.webhook_retries_s,
            alone=not base.shared,
            place=base.places[WEBHOOK_ATTEMPTS],
        )

    async def _check_storage(self) -> None:
        """Write a small file, since a storage that answers may still be full. Raises StorageUnavailable."""
        await self._base.storage.put(PROBE_KEY, _probe(), max_bytes=PROBE_BYTES)
        await self._base.storage.delete(PROBE_KEY)

    @property
    def gauges(self) -> Mapping[tuple[str, str], Callable[[], float]]:
        """Numbers of this process, by name and meaning."""
        return {
            ("rushes_jobs_in_flight", "Jobs that this process runs"): lambda: self.worker.in_flight,
            ("rushes_webhooks_in_flight", "Messages that are being tried"): lambda: self._dispatcher.under_way,
        }

    def breakers(self) -> Mapping[Circuit, CircuitHealth]:
        """The circuits that have seen trouble."""
        return self._credentials.breakers(self._base.clock.steady_ms())

    def credentials(self) -> Sequence[CredentialHealth]:
        """How each of the operator's credentials is, as far as this process has met it."""
        return self._credentials.health(self._base.clock.steady_ms())

    def loops(self) -> Sequence[Coroutine[Any, Any, None]]:
        """What runs beside the worker for as long as the process does."""
        base = self._base
        grace_s = base.settings.input_grace_s
        return (
            Cleaner(
                RetentionStore(base.database),
                base.storage,
                base.clock,
                records_s=base.settings.guardrail_records_s,
            ).run(),
            InputCleaner(base.input_store, base.storage, base.clock, grace_s=grace_s).run(),
            self._dispatcher.run(),
            DeliveryCleaner(Outbox(base.database), base.clock).run(),
            AuditCleaner(AuditStore(base.database), base.clock, keep_s=base.settings.audit_keep_s).run(),
        )

    async def _resources_for(self, job: Job) -> JobResources:
        base = self._base
        # An own server may not have answered since we started; the job goes on all the same.
        model = base.catalogue.find(job.served_provider, job.served_model) or assumed(
            base.own, job.served_provider, job.served_model, base.clock
        )
        if model is None:
            raise NoCredentials(f"Model '{job.served_provider}/{job.served_model}' can no longer be served")
        access = await self._credentials.of(job, model, self._around(job))
        if not access.has_any_key and self._may_come_back(job):
            raise CredentialElsewhere(
                f"No credential of '{job.served_provider}' is configured; this job goes on if that with which it was "
                "submitted is back before its time ends"
            )
        if access.is_lost and await self._may_be_elsewhere(job):
            raise CredentialElsewhere(
                f"The credential '{job.credential_name}' of '{job.served_provider}', with which this job was "
                "submitted, is not configured in every worker"
            )
        return JobResources(
            provider=access.provider,
            model=model,
            credential=access.credential,
            read_media=base.inputs.read,
            outputs=self._outputs,
            clock=self._waiting_clock,
            submission_turn=SubmissionTurns(
                base.places.of(PROVIDER_CONNECTIONS, job.served_provider), base.places[SUBMITTED_MEDIA], job.account_id
            ),
            breaker=access.breaker,
            keys=access.keys,
            storage_health=self._storage_health,
            poll_interval_s=base.settings.poll_interval_s,
            retention_s=base.settings.retention_s,
        )

    def _around(self, job: Job) -> Callable[[Pinned | None, Provider], Provider]:
        base = self._base
        place = base.places.of(PROVIDER_CONNECTIONS, job.served_provider)
        return lambda pinned, adapter: ProviderInTurn(
            ObservedProvider(adapter, job, base.metrics, base.spans, None if pinned is None else pinned.name),
            place,
            job.account_id,
        )

    def _may_come_back(self, job: Job) -> bool:
        """Whether to wait for a provider without any credential: more likely a setting was forgotten than removed.

        A failure that a webhook has announced cannot be taken back, so all the jobs of a service that was started
        without one variable must not fail at once.
        """
        return not job.abort_requested and self._base.clock.now_ms() < job.deadline_at

    async def _may_be_elsewhere(self, job: Job) -> bool:
        """Whether another worker may have the credential of this job, and has not had the time to take it up."""
        known = job.trouble if job.trouble is not None and job.trouble.code == CredentialElsewhere.code else None
        if known is not None and self._base.clock.now_ms() - known.at >= ELSEWHERE_S * 1000:
            return False
        return await self._claims.is_there_another()
