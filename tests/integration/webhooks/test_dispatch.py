"""The loop that delivers: days of retries in virtual time, with a sender that plays the receivers."""

from __future__ import annotations

import asyncio
import itertools
import json
from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from rushes.clock import Clock
from rushes.domain.job import Job
from rushes.domain.job_webhook import JobWebhook, WebhookFormat
from rushes.jobs.store import JobStore
from rushes.net.client import HttpClient
from rushes.sealing import Sealer
from rushes.webhooks.capacity import Capacity, CapacityLimits
from rushes.webhooks.delivery import Sender, SendResult
from rushes.webhooks.dispatch import OF_LANE, Dispatcher
from rushes.webhooks.endpoint import DeliveryState
from rushes.webhooks.outbox import Outbox, before_deletion
from rushes.webhooks.schedule import RETRIES_S
from rushes.webhooks.signing import SignedHeaders, openrouter_headers, signed_headers
from rushes.webhooks.signing_secrets import SigningSecrets
from rushes.webhooks.store import Change, DeliveryListing, WebhookStore
from tests.fixtures.clocks import START_MS, ManualClock
from tests.fixtures.databases import WatchedDatabase, fresh_sqlite
from tests.fixtures.new_jobs import ACCOUNT, new_job

OK = SendResult(200, None, 1)


class PlayedSender(Sender):
    """Answers what `says` decides by URL and time, and keeps note of the tries; `hang` never answers."""

    def __init__(self, clock: ManualClock) -> None:
        super().__init__(HttpClient(), clock)
        self.says: Callable[[str], SendResult] = lambda _: OK
        self.tries: list[tuple[float, str, str]] = []
        self.bodies: dict[str, tuple[str, Any, SignedHeaders]] = {}
        self.hanging = 0

    async def send(
        self,
        url: str,
        message_id: str,
        body: bytes,
        signing_secrets: Sequence[str],
        *,
        account_id: str,
        traceparent: str | None = None,
        signed: SignedHeaders = signed_headers,
    ) -> SendResult:
        assert signing_secrets
        self.bodies[url] = message_id, json.loads(body), signed
        self.tries.append(((self._clock.now_ms() - START_MS) / 1000, url, message_id))
        if "hang" in url:
            self.hanging += 1
            await self._clock.sleep(15)
            self.hanging -= 1
            return SendResult(None, "the receiver did not answer within 15 s", 15_000)
        return self.says(url)


class ClockAhead:
    """A host's clock that shows ten minutes more than the database's."""

    def __init__(self, clock: ManualClock) -> None:
        self._clock = clock
        self.sleep = clock.sleep

    def now_ms(self) -> int:
        return self._clock.now_ms() + 600_000


class Bench:
    """A dispatcher over a real database."""

    def __init__(self, folder: Path) -> None:
        self.clock = ManualClock()
        self.database = WatchedDatabase(fresh_sqlite(folder / "rushes.db", self.clock))
        self.clock.busy = lambda: self.database.busy
        self.sender = PlayedSender(self.clock)
        self.store = WebhookStore(self.database)
        self.jobs = JobStore(self.database, deleting=before_deletion)
        self.outbox = Outbox(self.database)
        self.secrets = SigningSecrets(self.store, Sealer([b"k" * 32]), self.clock)
        self.running: list[asyncio.Task[None]] = []

    def dispatcher(self, *, clock: Clock | None = None, **given: Any) -> Dispatcher:
        clock = clock or self.clock
        return Dispatcher(
            self.database,
            self.jobs,
            self.sender,
            self.secrets,
            {WebhookFormat.STANDARD: self._view, WebhookFormat.OPENROUTER: self._openrouter_view},
            clock,
            chance=lambda: 0.5,
            **given,
        )

    def start(self, **given: Any) -> asyncio.Task[None]:
        self.running.append(asyncio.create_task(self.dispatcher(**given).run()))
        return self.running[-1]

    async def register(self, name: str, url: str) -> None:
        sealed = self.secrets.make(name)[1]
        await self.store.create(name, ACCOUNT, Change(url, ("video.cancelled",), None, enabled=True), sealed)

    async def cancel(self, number: int = 1) -> None:
        """A change to tell of."""
        await self.jobs.create(new_job(number))
        await self.jobs.cancel(ACCOUNT, f"job_{number}")

    async def states(self) -> list[tuple[DeliveryState, int]]:
        found = await self.store.list_deliveries(ACCOUNT, DeliveryListing(limit=1000))
        return [(one.state, one.attempts) for one in found]

    @staticmethod
    def _view(job: Job, kept: bool) -> dict[str, Any]:
        return {"job_id": job.id, "status": job.status, "kept": kept}

    @staticmethod
    def _openrouter_view(job: Job, _kept: bool) -> dict[str, Any]:
        return {"id": job.id, "status": job.state}


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[Bench]:
    made = Bench(tmp_path)
    yield made
    for task in made.running:
        task.cancel()
    await asyncio.sleep(0)
    made.clock.advance(60)
    await asyncio.gather(*made.running, return_exceptions=True)
    await made.database.close()


async def test_a_receiver_that_never_takes_it_is_tried_at_the_schedules_times_and_given_up(bench: Bench) -> None:
    # The schedule's days as minutes, because virtual days are full of idle polls.
    retries_s = [wait_s / 100 for wait_s in RETRIES_S]
    bench.sender.says = lambda _: SendResult(500, "the receiver answered 500", 1)
    await bench.register("whe_1", "https://example.com")
    bench.start(retries_s=retries_s)
    await bench.cancel()
    await bench.clock.run_for(sum(retries_s) * 2)
    assert await bench.states() == [(DeliveryState.DEAD, 10)]
    times = [at for at, _, _ in bench.sender.tries]
    waits = [later - earlier for earlier, later in itertools.pairwise(times)]
    assert waits == pytest.approx(retries_s, abs=0.1)
    assert len({message_id for _, _, message_id in bench.sender.tries}) == 1


async def test_what_the_receiver_asks_for_lengthens_the_wait(bench: Bench) -> None:
    answers = iter([SendResult(429, "the receiver answered 429", 1, retry_after_s=1000), OK])
    bench.sender.says = lambda _: next(answers)
    await bench.register("whe_1", "https://example.com")
    bench.start()
    await bench.cancel()
    await bench.clock.run_for(2000)
    assert await bench.states() == [(DeliveryState.DELIVERED, 2)]
    assert bench.sender.tries[1][0] - bench.sender.tries[0][0] == pytest.approx(1000, abs=0.1)


async def test_a_receiver_that_hangs_holds_a_few_places_and_delays_no_other(bench: Bench) -> None:
    await bench.register("whe_1", "https://hang.example.com")
    await bench.register("whe_2", "https://fine.example.com")
    for number in range(20):
        await bench.cancel(number)
    bench.start()
    await bench.clock.run_for(1)
    assert bench.sender.hanging == OF_LANE
    fine = [at for at, url, _ in bench.sender.tries if "fine" in url]
    assert len(fine) == 20
    assert max(fine) < 1


async def test_a_process_whose_clock_is_ahead_of_the_databases_does_not_ask_without_pause(bench: Bench) -> None:
    bench.sender.says = lambda _: SendResult(429, "the receiver answered 429", 1, retry_after_s=300)
    await bench.register("whe_1", "https://example.com")
    bench.start(clock=ClockAhead(bench.clock))
    await bench.cancel()
    await bench.clock.run_for(10)
    before = bench.database.writes
    await bench.clock.run_for(100)
    assert len(bench.sender.tries) == 1
    assert bench.database.writes - before <= 100


async def test_the_database_away_for_a_while_loses_no_message(bench: Bench) -> None:
    await bench.register("whe_1", "https://example.com")
    bench.start()
    await bench.cancel()
    bench.database.down = True
    await bench.clock.run_for(120)
    assert bench.database.refused > 0
    bench.database.down = False
    await bench.clock.run_for(120)
    assert (await bench.states())[0][0] is DeliveryState.DELIVERED


async def test_what_another_process_left_behind_is_taken_up_when_its_lease_runs_out(bench: Bench) -> None:
    await bench.register("whe_1", "https://example.com")
    await bench.cancel()
    await bench.outbox.write_messages(10)
    assert len((await bench.outbox.claim(10, Capacity(CapacityLimits()))).deliveries) == 1
    bench.start()
    await bench.clock.run_for(59)
    assert bench.sender.tries == []
    await bench.clock.run_for(7)
    assert await bench.states() == [(DeliveryState.DELIVERED, 1)]


async def test_alone_it_takes_up_at_once_what_the_process_before_left_behind(bench: Bench) -> None:
    await bench.register("whe_1", "https://example.com")
    await bench.cancel()
    await bench.outbox.write_messages(10)
    await bench.outbox.claim(10, Capacity(CapacityLimits()))
    bench.start(alone=True)
    await bench.clock.run_for(1)
    assert await bench.states() == [(DeliveryState.DELIVERED, 1)]


async def test_what_is_under_way_at_a_stop_is_given_back_and_tried_again_by_the_next(bench: Bench) -> None:
    await bench.register("whe_1", "https://hang.example.com")
    running = bench.start(drain_s=0)
    await bench.cancel()
    await bench.clock.run_for(1)
    assert bench.sender.hanging == 1
    running.cancel()
    await asyncio.wait([running])
    await bench.store.change(ACCOUNT, "whe_1", Change("https://fine.example.com", None, None, enabled=True))
    bench.start()
    await bench.clock.run_for(1)
    assert await bench.states() == [(DeliveryState.DELIVERED, 1)]


async def test_several_that_deliver_at_one_time_send_each_message_once(bench: Bench) -> None:
    await bench.register("whe_1", "https://example.com")
    for _ in range(3):
        bench.start()
    for number in range(30):
        await bench.cancel(number)
    await bench.clock.run_for(30)
    assert await bench.states() == [(DeliveryState.DELIVERED, 1)] * 30
    assert len(bench.sender.tries) == 30


async def test_a_fault_of_ours_is_tried_again_and_said_without_a_secret(bench: Bench) -> None:
    await bench.register("whe_1", "https://example.com")
    other = Sealer([b"x" * 32])
    await bench.store.rotate(ACCOUNT, "whe_1", other.seal("whsec_hush", "whe_1"))
    bench.start()
    await bench.cancel()
    await bench.clock.run_for(1)
    (delivery,) = await bench.store.list_deliveries(ACCOUNT, DeliveryListing(limit=1))
    assert (delivery.state, delivery.attempts) == (DeliveryState.PENDING, 1)
    assert "cannot be opened with the secret keys in force" in (delivery.last_error or "")


async def test_a_webhook_that_is_disabled_or_deleted_gives_up_what_was_waiting(bench: Bench) -> None:
    await bench.register("whe_1", "https://one.example.com")
    await bench.register("whe_2", "https://two.example.com")
    await bench.cancel()
    await bench.outbox.write_messages(10)
    await bench.store.delete(ACCOUNT, "whe_1")
    await bench.store.change(ACCOUNT, "whe_2", Change("https://two.example.com", None, None, enabled=False))
    bench.start()
    await bench.clock.run_for(1)
    found = await bench.store.list_deliveries(ACCOUNT, DeliveryListing(limit=10))
    assert {one.last_error for one in found} == {"the webhook was deleted", "the webhook is disabled"}
    assert await bench.states() == [(DeliveryState.DEAD, 0)] * 2
    assert bench.sender.tries == []


async def test_a_webhook_of_openrouters_format_is_told_of_the_end_as_its_receivers_know_it(bench: Bench) -> None:
    url = "https://receiver.example/hook"
    sealed = bench.secrets.seal(url, ACCOUNT)
    webhook = JobWebhook(sealed, url, ("video.cancelled",), WebhookFormat.OPENROUTER)
    bench.start()
    await bench.register("whe_1", "https://endpoint.example/hook")
    await bench.jobs.create(new_job(1, webhook=webhook))
    await bench.jobs.cancel(ACCOUNT, "job_1")
    await bench.clock.run_until(lambda: len(bench.sender.bodies) == 2)
    told = bench.sender.bodies
    # The account's own endpoint keeps to our format.
    assert told["https://endpoint.example/hook"][1]["type"] == "video.cancelled"
    message_id, content, signed = told[url]
    assert message_id == "job_1-cancelled"
    assert content["type"] == "video.generation.cancelled"
    assert content["data"] == {"id": "job_1", "status": "cancelled"}
    assert signed is openrouter_headers
