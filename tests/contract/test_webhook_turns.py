"""Accounts whose receivers hang do not delay the messages of others, on every database and with several workers."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

import pytest

from rushes.domain.job import Job
from rushes.domain.job_webhook import JobWebhook, WebhookFormat
from rushes.domain.tenant import Tenant
from rushes.jobs.store import JobStore
from rushes.net.client import HttpClient
from rushes.sealing import Sealer
from rushes.shared_places import WEBHOOK_ATTEMPTS
from rushes.webhooks.capacity import CapacityLimits
from rushes.webhooks.delivery import Sender, SendResult
from rushes.webhooks.dispatch import Dispatcher
from rushes.webhooks.endpoint import shown_url
from rushes.webhooks.outbox import before_deletion
from rushes.webhooks.signing import SignedHeaders, signed_headers
from rushes.webhooks.signing_secrets import SigningSecrets
from rushes.webhooks.store import WebhookStore
from tests.contract.database_harness import Desk
from tests.fixtures.new_jobs import new_job
from tests.fixtures.service import until

WORKERS = 2
RECEIVERS = 16
VICTIM = "acct_victim"


class Clock:
    """The time of the database, which stands; sleeping takes real time."""

    def __init__(self, now_ms: Callable[[], int]) -> None:
        self.now_ms = now_ms
        self.steady_ms = now_ms

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(min(seconds, 0.05))


class HangingSender(Sender):
    """Receivers named `hang` never answer; all others take the message."""

    def __init__(self, clock: Any) -> None:
        super().__init__(HttpClient(), clock)
        self.hanging: Counter[str] = Counter()
        self.delivered: Counter[str] = Counter()
        self.end = asyncio.Event()
        self.fails_at_once = False

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
        if "hang" not in url:
            self.delivered[account_id] += 1
            return SendResult(200, None, 1)
        self.hanging[account_id] += 1
        if not self.fails_at_once:
            await self.end.wait()
        self.hanging[account_id] -= 1
        return SendResult(None, "the receiver did not answer within 15 s", 15_000)


class Bench:
    """Some workers that deliver from one database."""

    def __init__(self, desk: Desk, workers: int = WORKERS) -> None:
        database = desk.harness.database
        self._sealer = Sealer([b"k" * 32])
        self.clock = Clock(desk.harness.now_ms)
        self.jobs = JobStore(database, deleting=before_deletion)
        self.senders = [HangingSender(self.clock) for _ in range(workers)]
        self._tasks = [
            asyncio.create_task(
                Dispatcher(
                    database,
                    self.jobs,
                    sender,
                    SigningSecrets(WebhookStore(database), self._sealer, self.clock),
                    {WebhookFormat.STANDARD: _view},
                    self.clock,
                    drain_s=0,
                ).run()
            )
            for sender in self.senders
        ]

    def hanging(self, account_id: str | None = None) -> int:
        """How many attempts hang, of all accounts or one."""
        return sum(
            sender.hanging.total() if account_id is None else sender.hanging[account_id] for sender in self.senders
        )

    def delivered(self, account_id: str) -> int:
        """How many messages of the account were taken."""
        return sum(sender.delivered[account_id] for sender in self.senders)

    async def tell(self, account_id: str, host: str) -> None:
        """A change of a job of the account, to be told to this host."""
        url = f"https://{host}.example/hook"
        webhook = JobWebhook(self._sealer.seal(url, account_id), shown_url(url))
        new = new_job(f"{account_id}_{host}", account_id=account_id, webhook=webhook)
        await self.jobs.create(new)
        await self.jobs.cancel(Tenant(account_id), new.id)

    async def stop(self) -> None:
        for sender in self.senders:
            sender.end.set()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)


def _view(job: Job, kept: bool) -> dict[str, Any]:
    return {"job_id": job.id, "kept": kept}


@pytest.mark.parametrize("accounts", [2, 5])
async def test_a_message_is_delivered_while_the_receivers_of_other_accounts_hang(desk: Desk, accounts: int) -> None:
    bench = Bench(desk)
    try:
        hostile = [f"acct_{number}" for number in range(accounts)]
        for receiver in range(RECEIVERS * 8 // accounts):
            await asyncio.gather(*(bench.tell(account_id, f"hang-{receiver}") for account_id in hostile))
        most, kept = WEBHOOK_ATTEMPTS.most, WEBHOOK_ATTEMPTS.kept
        # They have all that they may: what hangs never ends, so a delivery shows that places were kept.
        await until(lambda: bench.hanging() >= WORKERS * (most - kept))
        for number in range(3):
            await bench.tell(VICTIM, f"fine-{number}")
        await until(lambda: bench.delivered(VICTIM) == 3)
        assert bench.hanging() <= WORKERS * (most - kept) + WORKERS * accounts
    finally:
        await bench.stop()


async def test_an_account_whose_receivers_only_fail_gets_fewer_places(desk: Desk) -> None:
    bench = Bench(desk, workers=1)
    try:
        for receiver in range(12):
            await bench.tell("acct_1", f"hang-{receiver}")
        await until(lambda: bench.hanging() == 12)
        for sender in bench.senders:
            sender.fails_at_once = True
            sender.end.set()
        await until(lambda: bench.hanging() == 0)
        for sender in bench.senders:
            sender.fails_at_once = False
            sender.end = asyncio.Event()
        for receiver in range(40):
            await bench.tell("acct_1", f"hang-again-{receiver}")
        await until(lambda: bench.hanging() > 0)
        await bench.tell(VICTIM, "fine")
        await until(lambda: bench.delivered(VICTIM) == 1)
        assert bench.hanging("acct_1") <= CapacityLimits().least_of_account
    finally:
        await bench.stop()
