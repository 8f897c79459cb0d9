"""Receivers of webhooks with a memory, and a sender that reaches them badly; the dispatcher between is the real one."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from rushes.db.database import Database
from rushes.domain.job import Job
from rushes.domain.job_webhook import JobWebhook, WebhookFormat
from rushes.domain.tenant import Tenant
from rushes.jobs.store import JobStore
from rushes.net.client import HttpClient
from rushes.sealing import Sealer
from rushes.webhooks.delivery import Sender, SendResult
from rushes.webhooks.dispatch import Dispatcher
from rushes.webhooks.endpoint import shown_url
from rushes.webhooks.message import TYPE_OF_STATE
from rushes.webhooks.outbox import OWED, UNNOTIFIED
from rushes.webhooks.signing import SignedHeaders, signed_headers
from rushes.webhooks.signing_secrets import SigningSecrets
from rushes.webhooks.store import Change, WebhookStore
from tests.simulation.database import SimulatedDatabase
from tests.simulation.faults import Chance, Fault
from tests.simulation.ledger import Ledger
from tests.simulation.process import Process

RETRIES_S = (5, 30, 120)
"""As the real schedule begins, and without its days."""
LEASE_S = 30.0

SEALER = Sealer([b"k" * 32])
ENDPOINT = "whe_1"
ENDPOINT_URL = "https://endpoint.example/hook"
RANK_OF_TYPE = {"video.started": 1, "video.failed": 2, "video.cancelled": 2, "video.completed": 3}
RANK_OF_STATUS = {"pending": 0, "in_progress": 1, "failed": 2, "completed": 3}

DELIVERIES = "SELECT id, job_id, endpoint_id, type, state, last_status, last_error FROM webhook_deliveries"


@dataclass(slots=True)
class Receivers:
    """Everybody who is told of jobs. `has_endpoint` is the account that has registered one."""

    ledger: Ledger
    has_endpoint: str | None = None
    listened: set[str] = field(default_factory=set)
    """Jobs that came with a URL."""
    taken: set[str] = field(default_factory=set)
    """Messages that were answered 2xx."""

    def take(self, message_id: str, body: bytes) -> None:
        """A message has arrived, and is believed."""
        self.taken.add(message_id)
        message = json.loads(body)
        job_id, status = message["data"]["id"], message["data"]["status"]
        self.ledger.note("receiver", f"is told {message['type']} of {job_id} ({message_id})")
        if RANK_OF_STATUS[status] < RANK_OF_TYPE[message["type"]]:
            self.ledger.breaks(f"{message['type']} was told of {job_id}, which is {status}")

    async def register(self, database: SimulatedDatabase, account_id: str) -> None:
        """Have an account register the endpoint, which wants to hear everything."""
        self.has_endpoint = account_id
        change = Change(ENDPOINT_URL, None, None, enabled=True)
        await WebhookStore(database).create(
            ENDPOINT, Tenant(account_id), change, SEALER.seal("whsec_c2VjcmV0", ENDPOINT)
        )

    def job_webhook(self, account_id: str, number: int) -> JobWebhook:
        """A URL that comes with a job; two jobs each share a host."""
        url = f"https://receiver-{number % 2}.example/{number}?token=secret"
        return JobWebhook(SEALER.seal(url, account_id), shown_url(url))

    def check_rest(self, ledger: Ledger) -> Iterable[str]:
        """Whoever asked to be told of a job was told of its end, or given up; and of each change once."""
        for statement in (OWED, UNNOTIFIED):
            for row in ledger.database.run(statement):
                yield f"{row['what']} of {row['job_id']} was never told"
        messages: dict[tuple[str, str | None], list[str]] = {}
        for row in ledger.database.run(DELIVERIES):
            messages.setdefault((row["job_id"], row["endpoint_id"]), []).append(row["type"])
            if row["state"] == "delivered" and row["id"] not in self.taken:
                yield f"{row['id']} of {row['job_id']} counts as delivered, and nobody has taken it"
            if row["state"] == "dead" and row["last_error"] in (None, "the job was deleted"):
                yield f"{row['type']} of {row['job_id']} was given up: {row['last_error']}"
        for (job_id, _), types in messages.items():
            if len(types) > len(set(types)):
                yield f"a change of {job_id} makes several messages: {sorted(types)}"
        # Also of jobs that were deleted since, which the statements above cannot see.
        for job_id, state in ledger.ends:
            if job_id in self.listened and TYPE_OF_STATE[state] not in messages.get((job_id, None), ()):
                yield f"no message says that {job_id} is {state}"


class SimulatedSender(Sender):
    """Calls receivers from one process."""

    def __init__(self, receivers: Receivers, process: Process, chance: Chance) -> None:
        super().__init__(HttpClient(), process)
        self._receivers = receivers
        self._process = process
        self._chance = chance

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
        if not signing_secrets:
            self._receivers.ledger.breaks(f"{message_id} was sent without a signature")
        await self._process.gate("before a message is sent")
        match self._chance.one_of(
            [(Fault.RECEIVER_FAILS, 0.15), (Fault.RECEIVER_SILENT, 0.08), (Fault.RECEIVER_GONE, 0.02)]
        ):
            case Fault.RECEIVER_FAILS:
                answer = SendResult(500, "the receiver answered 500", 3, self._chance.pick([None, None, 45.0]))
            case Fault.RECEIVER_SILENT:
                await self._process.sleep(15)
                answer = SendResult(None, "the receiver did not answer within 15 s", 15_000)
            case Fault.RECEIVER_GONE:
                answer = SendResult(410, "the receiver answered 410", 3)
            case _:
                self._receivers.take(message_id, body)
                answer = SendResult(200, None, 3)
        await self._process.gate("after a message was sent")
        return answer


def dispatcher(
    database: Database,
    receivers: Receivers,
    process: Process,
    chance: Chance,
    *,
    jobs: JobStore,
    alone: bool,
) -> Dispatcher:
    """The real one, as one process runs it."""
    return Dispatcher(
        database,
        jobs,
        SimulatedSender(receivers, process, chance),
        SigningSecrets(WebhookStore(database), SEALER, process),
        {WebhookFormat.STANDARD: _view},
        process,
        retries_s=RETRIES_S,
        alone=alone,
        lease_s=LEASE_S,
        chance=chance.random.random,
    )


def _view(job: Job, kept: bool) -> Mapping[str, Any]:
    return {"id": job.id, "status": job.status.value, "kept": kept}
