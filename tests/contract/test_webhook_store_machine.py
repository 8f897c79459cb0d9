"""Any order of changes, tries, deaths and deletions, against a model: each message is written once and settled once."""

from __future__ import annotations

import asyncio
import shutil
import tempfile
from collections.abc import Coroutine
from pathlib import Path
from typing import Any, TypeVar

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from rushes.domain.job import Problem, State
from rushes.domain.job_webhook import JobWebhook
from rushes.jobs.store import JobStore
from rushes.webhooks.capacity import Capacity, CapacityLimits
from rushes.webhooks.endpoint import Delivery
from rushes.webhooks.outbox import UNNOTIFIED, DeliveryOutcome, Outbox, before_deletion
from rushes.webhooks.store import Change, WebhookStore
from tests.contract.database_harness import HARNESSES, Desk
from tests.fixtures.new_jobs import ACCOUNT, new_job

T = TypeVar("T")

LEASE_S = 30.0
LIMITS = CapacityLimits(most=1000, of_account=100, of_lane=2, kept=0)
OWN = JobWebhook("sealed", "https://own.example.com/hook")
OUTCOMES = {
    "delivered": DeliveryOutcome(status=200),
    "pending": DeliveryOutcome(status=500, error="500", wait_s=10),
    "dead": DeliveryOutcome(status=500, error="500"),
}

Message = tuple[str, str, str]
"""A job, what is told of it, and to whom."""


class OutboxMachine(RuleBasedStateMachine):
    """What callers, workers and those who deliver do, beside what must be true of it."""

    @initialize(harness=st.sampled_from(HARNESSES))
    def open(self, harness: Any) -> None:
        self.loop = asyncio.new_event_loop()
        self.folder = Path(tempfile.mkdtemp(prefix="rushes-outbox-"))

        async def made() -> Desk:
            return Desk(harness(self.folder))

        self.desk = self.wait_for(made())
        self.endpoints: dict[str, bool] = {}
        self.jobs: dict[str, bool] = {}
        """Whether each waits in the queue."""
        self.listening: set[str] = set()
        self.deleted: set[str] = set()
        self.news: list[tuple[str, str]] = []
        self.states: dict[Message, str] = {}
        self.held: dict[Message, tuple[Delivery, float]] = {}
        self.now_s = 0.0

    def wait_for(self, work: Coroutine[Any, Any, T]) -> T:
        return self.loop.run_until_complete(work)

    def teardown(self) -> None:
        if not hasattr(self, "desk"):
            return
        self.everybody_is_told_in_the_end()
        self.wait_for(self.desk.harness.close())
        self.loop.close()
        shutil.rmtree(self.folder)

    @property
    def outbox(self) -> Outbox:
        return Outbox(self.desk.harness.database, lease_s=LEASE_S)

    @property
    def store(self) -> WebhookStore:
        return WebhookStore(self.desk.harness.database)

    def note(self, job_id: str, kind: str) -> None:
        if job_id in self.listening or any(self.endpoints.values()):
            self.news.append((job_id, kind))

    def written(self, news: list[tuple[str, str]]) -> None:
        for job_id, kind in news:
            self.news.remove((job_id, kind))
            receivers = [name for name, enabled in self.endpoints.items() if enabled]
            for receiver in [*receivers, *(["own"] if job_id in self.listening else [])]:
                assert (job_id, kind, receiver) not in self.states
                self.states[job_id, kind, receiver] = "pending"

    @precondition(lambda self: len(self.endpoints) < 3)
    @rule()
    def register(self) -> None:
        name = f"whe_{len(self.endpoints)}"
        change = Change(f"https://{name}.example.com".replace("_", "-"), None, None, enabled=True)
        self.wait_for(self.store.create(name, ACCOUNT, change, "sealed"))
        self.endpoints[name] = True

    @precondition(lambda self: self.endpoints)
    @rule(data=st.data())
    def switch(self, data: st.DataObject) -> None:
        name = data.draw(st.sampled_from(sorted(self.endpoints)))
        self.endpoints[name] = enabled = not self.endpoints[name]
        url = f"https://{name}.example.com".replace("_", "-")
        self.wait_for(self.store.change(ACCOUNT, name, Change(url, None, None, enabled=enabled)))

    @rule(listens=st.booleans())
    def create(self, listens: bool) -> None:
        number = len(self.jobs)
        self.wait_for(self.desk.jobs.create(new_job(number, webhook=OWN if listens else None)))
        self.jobs[f"job_{number}"] = True
        if listens:
            self.listening.add(f"job_{number}")

    @precondition(lambda self: any(self.jobs.values()))
    @rule(data=st.data())
    def cancel(self, data: st.DataObject) -> None:
        job_id = data.draw(st.sampled_from([one for one, waits in self.jobs.items() if waits]))
        self.wait_for(self.desk.jobs.cancel(ACCOUNT, job_id))
        self.jobs[job_id] = False
        self.note(job_id, "video.cancelled")

    @precondition(lambda self: any(self.jobs.values()))
    @rule()
    def begin_and_fail(self) -> None:
        claimed = self.wait_for(self.desk.claim(most=1))
        for job_id, one in claimed.items():
            leases = self.desk.leases()
            self.wait_for(leases.record(one).intend(attempt_id=f"att_{job_id}", part=0, n=1))
            self.note(job_id, "video.started")
            self.wait_for(leases.record(one).fail(State.FAILED, Problem("provider_rejected", "It broke")))
            self.note(job_id, "video.failed")
            self.jobs[job_id] = False

    @precondition(lambda self: any(not waits for waits in self.jobs.values()))
    @rule(data=st.data())
    def delete(self, data: st.DataObject) -> None:
        job_id = data.draw(st.sampled_from([one for one, waits in self.jobs.items() if not waits]))
        if job_id in self.deleted:
            return
        self.wait_for(JobStore(self.desk.harness.database, deleting=before_deletion).delete(ACCOUNT, job_id))
        self.deleted.add(job_id)
        self.written([one for one in self.news if one[0] == job_id])

    @rule(most=st.integers(1, 4))
    def write(self, most: int) -> None:
        expected = self.news[:most]
        assert self.wait_for(self.outbox.write_messages(most)) == len(expected)
        self.written(expected)

    @rule(most=st.integers(1, 6))
    def claim(self, most: int) -> None:
        claim = self.wait_for(self.outbox.claim(most, Capacity(LIMITS)))
        assert len(claim.deliveries) <= most
        for delivery in claim.deliveries:
            message = message_of(delivery)
            assert self.states[message] == "pending"
            assert message not in self.held or self.held[message][1] <= self.now_s
            assert (delivery.snapshot is not None) == (delivery.job_id in self.deleted)
            self.held[message] = (delivery, self.now_s + LEASE_S)

    @precondition(lambda self: self.held)
    @rule(data=st.data(), outcome=st.sampled_from(sorted(OUTCOMES)))
    def settle(self, data: st.DataObject, outcome: str) -> None:
        message = data.draw(st.sampled_from(sorted(self.held)))
        delivery, _ = self.held.pop(message)
        # Also after its time: as long as nobody has taken it over, an answer late is an answer.
        assert self.wait_for(self.outbox.record(delivery, OUTCOMES[outcome]))
        assert not self.wait_for(self.outbox.record(delivery, OUTCOMES["dead"]))
        self.states[message] = outcome

    @rule(seconds=st.sampled_from([1.0, 10.0, LEASE_S]))
    def pass_time(self, seconds: float) -> None:
        self.desk.harness.pass_time(seconds)
        self.now_s += seconds

    @rule()
    def restart_alone(self) -> None:
        self.wait_for(self.desk.harness.restart())
        assert self.wait_for(self.outbox.give_back()) == len(self.held)
        self.held.clear()

    @invariant()
    def deliveries_are_as_the_model_says(self) -> None:
        if not hasattr(self, "desk"):
            return
        rows = self.wait_for(self.desk.rows("SELECT job_id, type, endpoint_id, state FROM webhook_deliveries"))
        kept = {(str(row["job_id"]), str(row["type"]), str(row["endpoint_id"] or "own")): row["state"] for row in rows}
        assert len(kept) == len(rows)
        assert kept == self.states
        news = self.wait_for(self.desk.rows("SELECT job_id FROM job_events WHERE unannounced = 1 ORDER BY seq"))
        assert [row["job_id"] for row in news] == [job_id for job_id, _ in self.news]

    def everybody_is_told_in_the_end(self) -> None:
        self.write(most=10_000)
        for _ in range(1000):
            if not self.wait_for(self.outbox.owed()):
                break
            self.pass_time(LEASE_S)
            for delivery in self.wait_for(self.outbox.claim(100, Capacity(LIMITS))).deliveries:
                assert self.wait_for(self.outbox.record(delivery, OUTCOMES["delivered"]))
        else:
            pytest.fail("some messages never became due")
        assert self.wait_for(self.desk.rows(UNNOTIFIED)) == []


def message_of(delivery: Delivery) -> Message:
    """The model's name of a delivery."""
    return delivery.job_id, delivery.type, delivery.endpoint_id or "own"


TestOutboxMachine = OutboxMachine.TestCase
TestOutboxMachine.settings = settings(
    max_examples=40,
    stateful_step_count=40,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
