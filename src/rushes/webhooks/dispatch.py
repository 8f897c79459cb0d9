"""The loop that turns changes into messages and delivers them."""

from __future__ import annotations

import asyncio
import contextlib
import json
import random
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import structlog

from rushes.clock import Clock
from rushes.db.database import Database
from rushes.domain.job import Job
from rushes.domain.job_webhook import WebhookFormat
from rushes.errors import JobNotFound, RushesError
from rushes.jobs.rows import job_from
from rushes.jobs.store import JobStore
from rushes.jobs.transitions import ANNOUNCEMENTS_CHANNEL
from rushes.shared_places import WEBHOOK_ATTEMPTS, Holding, SharedPlace, account_served
from rushes.webhooks.capacity import Capacity, CapacityLimits, Failures
from rushes.webhooks.delivery import Sender, SendResult
from rushes.webhooks.endpoint import Delivery, Endpoint
from rushes.webhooks.message import message, openrouter_message
from rushes.webhooks.outbox import DeliveryOutcome, Outbox
from rushes.webhooks.schedule import RETRIES_S, next_wait_s
from rushes.webhooks.signing import SignedHeaders, openrouter_headers, signed_headers
from rushes.webhooks.signing_secrets import SigningSecrets
from rushes.webhooks.store import DELIVERIES_CHANNEL, WebhookStore

log = structlog.get_logger(__name__)

OF_LANE = 4
"""How many attempts to one receiver run at once. If it only fails, it is one."""
BATCH = 50
IDLE_POLL_S = 5.0
"""How long a message can go unnoticed if its wake-up is lost."""
SHORTEST_WAIT_S = 0.02
SETBACK_S = 1.0
AHEAD_WAIT_S = 1.0
"""The wait after an empty claim although a message is due by our clock: the clock of the database is behind."""
DRAIN_S = 2.0
"""How long attempts may still take when the service stops. An attempt without a sent is repeated later."""
GONE = 410

View = Callable[[Job, bool], Mapping[str, Any]]
"""Makes the JSON of a job as callers see it. The second argument is False for a deleted job, which has no links."""


class Dispatcher:
    """Delivers while the service runs. `alone` says that no other process delivers from this database."""

    def __init__(
        self,
        database: Database,
        jobs: JobStore,
        sender: Sender,
        signing_secrets: SigningSecrets,
        views: Mapping[WebhookFormat, View],
        clock: Clock,
        *,
        retries_s: Sequence[float] = RETRIES_S,
        alone: bool = False,
        lease_s: float = 60,
        drain_s: float = DRAIN_S,
        chance: Callable[[], float] = random.random,
        place: SharedPlace | None = None,
    ) -> None:
        self._database = database
        self._outbox = Outbox(database, lease_s=lease_s)
        self._store = WebhookStore(database)
        self._jobs = jobs
        self._sender = sender
        self._secrets = signing_secrets
        self._views = views
        self._clock = clock
        self._retries_s = tuple(retries_s)
        self._alone = alone
        self._drain_s = drain_s
        self._chance = chance
        self._shortest_wait_s = SHORTEST_WAIT_S
        self._wake = asyncio.Event()
        self._under_way: dict[asyncio.Task[None], tuple[Delivery, Holding]] = {}
        self._place = place or SharedPlace(WEBHOOK_ATTEMPTS)
        declared = self._place.declaration
        self._limits = CapacityLimits(declared.most, declared.share, OF_LANE, declared.kept)
        self._failures = Failures()

    @property
    def under_way(self) -> int:
        """How many attempts are running."""
        return len(self._under_way)

    async def run(self) -> None:
        """Deliver until cancelled. Running attempts then get `drain_s`, and unfinished ones are repeated later."""
        stop_listening = [
            self._database.listen(channel, lambda _: self._wake.set())
            for channel in (ANNOUNCEMENTS_CHANNEL, DELIVERIES_CHANNEL)
        ]
        try:
            while True:
                self._wake.clear()
                try:
                    if self._alone:
                        await self._outbox.give_back()
                        self._alone = False
                    if not await self._step():
                        await self._wait()
                except RushesError as error:
                    log.warning("webhooks_delayed", error_code=error.code)
                    await self._clock.sleep(SETBACK_S)
                except Exception:
                    log.exception("webhooks_delayed")
                    await self._clock.sleep(SETBACK_S)
        finally:
            for stop in stop_listening:
                stop()
            await self._drain()

    async def _step(self) -> bool:
        """Write messages and start attempts. Returns whether there may be more to do at once."""
        written = await self._outbox.write_messages(BATCH) if await self._outbox.has_news() else 0
        began = 0
        capacity = self._capacity()
        if capacity.free > 0:
            due_at = await self._outbox.next_due_at(capacity)
            if due_at is not None and due_at <= self._clock.now_ms():
                claim = await self._outbox.claim(capacity.free, capacity)
                for delivery in claim.deliveries:
                    self._begin(delivery)
                began = len(claim.deliveries)
                self._shortest_wait_s = SHORTEST_WAIT_S if began else AHEAD_WAIT_S
        return written > 0 or began > 0

    def _capacity(self) -> Capacity:
        under_way = [(delivery.lane, delivery.account_id) for delivery, _ in self._under_way.values()]
        return Capacity(self._limits, under_way, self._failures)

    async def _wait(self) -> None:
        wait_s = IDLE_POLL_S
        capacity = self._capacity()
        if capacity.free > 0:
            due_at = await self._outbox.next_due_at(capacity)
            if due_at is not None:
                wait_s = min(wait_s, max(self._shortest_wait_s, (due_at - self._clock.now_ms()) / 1000))
        ends = [asyncio.ensure_future(self._wake.wait()), asyncio.ensure_future(self._clock.sleep(wait_s))]
        try:
            await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for end in ends:
                end.cancel()

    def _begin(self, delivery: Delivery) -> None:
        holding = self._place.take(delivery.account_id)
        task = asyncio.create_task(self._deliver(delivery))
        self._under_way[task] = delivery, holding
        task.add_done_callback(self._end)

    def _end(self, task: asyncio.Task[None]) -> None:
        ended = self._under_way.pop(task, None)
        if ended is not None:
            ended[1].release()
        self._wake.set()

    async def _deliver(self, delivery: Delivery) -> None:
        account_served.set(delivery.account_id)
        delivery_log = log.bind(delivery_id=delivery.id, job_id=delivery.job_id, endpoint_id=delivery.endpoint_id)
        try:
            outcome = await self._try(delivery)
        except RushesError as error:
            # A fault on our side: a secret that no key opens, or a database that does not answer.
            delivery_log.warning("webhook_not_sent", error_code=error.code)
            outcome = self._failed(delivery, f"it could not be sent: {error.message}")
        except Exception:  # noqa: BLE001 - logged, and tried again
            delivery_log.exception("webhook_not_sent")
            outcome = self._failed(delivery, "it could not be sent because of a fault in the gateway; see its log")
        if outcome.error is not None:
            delivery_log.info("webhook_failed", status=outcome.status, error=outcome.error, state=outcome.state.value)
        while True:
            try:
                if not await self._outbox.record(delivery, outcome):
                    delivery_log.warning("webhook_lease_lost")
                return
            except RushesError as error:
                delivery_log.warning("write_will_be_repeated", error_code=error.code)
                await self._clock.sleep(SETBACK_S)

    async def _try(self, delivery: Delivery) -> DeliveryOutcome:
        endpoint: Endpoint | None = None
        if delivery.endpoint_id is not None:
            endpoint = await self._store.find(delivery.endpoint_id)
            if endpoint is None:
                return DeliveryOutcome(error="the webhook was deleted", tried=False)
            if not endpoint.enabled:
                return DeliveryOutcome(error="the webhook is disabled", tried=False)
        subject = await self._subject(delivery)
        if subject is None:
            return DeliveryOutcome(error="the job was deleted", tried=False)
        job, kept = subject
        if endpoint is not None:
            url, signing_secrets = endpoint.url, self._secrets.of_endpoint(endpoint)
        else:
            url, signing_secrets = await self._secrets.of_job_url(delivery)
        message_id, body, signed = self._written(delivery, job, kept)
        sent = await self._sender.send(
            url,
            message_id,
            body,
            signing_secrets,
            account_id=delivery.account_id,
            traceparent=job.traceparent,
            signed=signed,
        )
        for name in (delivery.lane, delivery.account_id):
            self._failures.note(name, has_failed=not sent.is_success)
        return self._outcome_of(delivery, sent)

    def _written(self, delivery: Delivery, job: Job, kept: bool) -> tuple[str, bytes, SignedHeaders]:
        """The message's id, its body, and what signs it."""
        own = None if delivery.endpoint_id is not None or job.webhook is None else job.webhook.format
        if own is WebhookFormat.OPENROUTER:
            data = self._views[own](job, kept)
            return f"{job.id}-{data['status']}", openrouter_message(delivery.event_at, data), openrouter_headers
        view = self._views[WebhookFormat.STANDARD]
        return delivery.id, message(delivery.type, delivery.event_at, view(job, kept)), signed_headers

    async def _subject(self, delivery: Delivery) -> tuple[Job, bool] | None:
        """The job of the message, and whether it still exists."""
        if delivery.snapshot is not None:
            return job_from(json.loads(delivery.snapshot)), False
        try:
            return await self._jobs.get_any(delivery.job_id), True
        except JobNotFound:
            # Deleted after the claim: the snapshot was written to the row since.
            snapshot = await self._outbox.snapshot_of(delivery.id)
            return None if snapshot is None else (job_from(json.loads(snapshot)), False)

    def _outcome_of(self, delivery: Delivery, sent: SendResult) -> DeliveryOutcome:
        if sent.is_success:
            return DeliveryOutcome(status=sent.status, duration_ms=sent.duration_ms)
        if sent.status == GONE:
            gone = "the receiver answered 410 Gone"
            return DeliveryOutcome(
                sent.status, gone, sent.duration_ms, disable=f"{gone}, so no more messages are sent to it"
            )
        if sent.refused:
            return DeliveryOutcome(error=sent.error, duration_ms=sent.duration_ms)
        return self._failed(
            delivery, sent.error or "", status=sent.status, duration_ms=sent.duration_ms, after_s=sent.retry_after_s
        )

    def _failed(
        self,
        delivery: Delivery,
        error: str,
        *,
        status: int | None = None,
        duration_ms: int | None = None,
        after_s: float | None = None,
    ) -> DeliveryOutcome:
        wait_s = next_wait_s(delivery.attempts + 1, self._retries_s, chance=self._chance(), retry_after_s=after_s)
        return DeliveryOutcome(status, error, duration_ms, wait_s)

    async def _drain(self) -> None:
        under_way = dict(self._under_way)
        if not under_way:
            return
        _, unfinished = await asyncio.wait(under_way, timeout=self._drain_s)
        for task in unfinished:
            task.cancel()
        await asyncio.gather(*under_way, return_exceptions=True)
        with contextlib.suppress(RushesError):
            for lease in sorted({under_way[task][0].lease or "" for task in unfinished}):
                await self._outbox.give_back(lease)
