"""The record of one claimed job: intents and answers, progress, stored videos, its end.

Every write but one is fenced: it finds no row unless the claim's lease is still held, and raises LeaseLost then. Every
write is repeated until the database takes it. Leases are in claims.py; the order in which a transaction locks is in
`jobs/transitions.py`.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

from rushes.clock import SteadyClock
from rushes.db.database import Database, Row, Transaction, Write, fetch_one, fetch_row
from rushes.domain.job import Attempt, AttemptState, Job, Problem, State
from rushes.domain.output import StoredVideo
from rushes.domain.progress import Submission
from rushes.domain.request import VideoRequest
from rushes.engine.credential_limits import take_place
from rushes.engine.retry_write import retry_write
from rushes.errors import LeaseLost
from rushes.jobs.retention import delete_file, video_key
from rushes.jobs.rows import GET_ANY_JOB, GET_REQUEST, job_from, outputs_from, outputs_to_json, problem_from
from rushes.jobs.transitions import JOBS_CHANNEL, move, record_event, reroute
from rushes.providers.credentials import Pinned

T = TypeVar("T")

LOCK_LEASED = "SELECT * FROM jobs WHERE id = :id AND lease = :lease FOR UPDATE"

ATTEMPTS_OF = "SELECT * FROM attempts WHERE job_id = :job_id ORDER BY part"

INSERT_ATTEMPT = """
INSERT INTO attempts (id, job_id, part, n, state, created_at) VALUES (:id, :job_id, :part, :n, 'intent', :now)
ON CONFLICT (id) DO NOTHING
"""

ACCEPT_ATTEMPT = "UPDATE attempts SET state = 'accepted', handle = :handle WHERE id = :id AND state = 'intent'"

WITHDRAW_ATTEMPT = "DELETE FROM attempts WHERE id = :id AND state = 'intent'"

WITHDRAW_INTENTS = "DELETE FROM attempts WHERE job_id = :job_id AND state = 'intent'"

STORE_ATTEMPT = "UPDATE attempts SET state = 'stored', outputs = :outputs WHERE id = :id AND state = 'accepted'"

FAIL_ATTEMPT = """
UPDATE attempts SET state = 'failed', error_code = :code, error = :message, provider_error = :provider_error
WHERE id = :id AND state IN ('intent', 'accepted')
"""

LATE_ANSWER = "too late: "
"""How a line of a job's history begins that records an answer which came after its worker had lost the lease."""

REPORT_PROGRESS = "UPDATE jobs SET progress = :percent WHERE id = :id AND lease = :lease AND progress < :percent"

PIN_CREDENTIAL = """
UPDATE jobs SET credential_name = :name, credential = :fingerprint, surface = :api WHERE id = :id AND lease = :lease
"""

SET_WARNINGS = "UPDATE jobs SET warnings = :warnings WHERE id = :id AND lease = :lease"

SET_TROUBLE = """
UPDATE jobs SET trouble_code = :code, trouble = :message, trouble_at = :now WHERE id = :id AND lease = :lease
"""


@dataclass(frozen=True, slots=True)
class Claim:
    """A job that this worker holds until its lease is lost, with the attempts already made.

    Its `job` has no request, which `JobRecord.request` reads. A short one is kept here as it is stored. `now_ms` is the
    database's time when it was claimed, `steady_ms` what the worker's steady clock said just after.
    """

    job: Job
    lease: str
    lane: str
    attempts: tuple[Attempt, ...]
    now_ms: int
    steady_ms: int = 0
    request: str | None = None


class JobRecord:
    """What one worker records of one claimed job. Every method but `late_answer` raises LeaseLost."""

    def __init__(self, database: Database, claim: Claim, clock: SteadyClock) -> None:
        self._database = database
        self._clock = clock
        self.claim = claim

    async def request(self) -> VideoRequest:
        """What the job asks for. A long request is read anew each time, so that no running job holds it."""
        if self.claim.request is not None:
            return VideoRequest.from_json(self.claim.request)

        async def body(transaction: Transaction) -> VideoRequest:
            return VideoRequest.from_json((await lock_leased(transaction, self.claim))["request"])

        return await self._write(body)

    async def intend(self, attempt_id: str, *, part: int, n: int, pinned: Pinned | None = None) -> Attempt:
        """Record that the provider is about to be called; the first intent of a job ends its `pending`.

        The job is pinned to the credential `pinned` of its provider's pool, if it is given. Raises CredentialBusy, and
        records nothing, if a limit of that credential is reached.
        """

        async def body(transaction: Transaction) -> Attempt:
            row = await lock_leased(transaction, self.claim)
            if pinned is not None:
                await take_place(transaction, row, pinned)
                of_pinned = {"name": pinned.name, "fingerprint": pinned.fingerprint, "api": pinned.api}
                if (row["credential_name"], row["credential"], row["surface"]) != tuple(of_pinned.values()):
                    await transaction.execute(PIN_CREDENTIAL, id=row["id"], lease=row["lease"], **of_pinned)
                    row = {**row, "credential_name": pinned.name, "credential": pinned.fingerprint}
            await transaction.execute(INSERT_ATTEMPT, id=attempt_id, job_id=self.claim.job.id, part=part, n=n)
            if State(row["state"]).waits_in_lane:
                model = f"'{row['served_provider']}/{row['served_model']}'"
                await move(transaction, row, State.SUBMITTING, f"about to be submitted to {model}")
            return Attempt(attempt_id, part, n, AttemptState.INTENT)

        return await self._write(body)

    async def accept(self, attempt_id: str, submission: Submission) -> None:
        """Record that the provider has accepted, and how to find the generation again."""

        async def body(transaction: Transaction) -> None:
            row = await lock_leased(transaction, self.claim)
            await transaction.execute(ACCEPT_ATTEMPT, id=attempt_id, handle=json.dumps(submission.handle))
            if row["state"] == State.SUBMITTING:
                given = row["provider_video_id"] or submission.provider_video_id
                as_named = "" if given is None else f" as '{given}'"
                cause = f"accepted by '{row['served_provider']}'{as_named}"
                await move(transaction, row, State.RUNNING, cause, {"provider_video_id": given})

        await self._write(body)

    async def late_answer(self, attempt_id: str, submission: Submission) -> None:
        """Write into the job's history that an attempt was accepted after its lease had gone; change nothing else.

        The one write without a fence. It is for the operator, who can reconcile the job with the provider's id.
        """
        given = submission.provider_video_id

        async def body(transaction: Transaction) -> None:
            row = await fetch_one(transaction, GET_ANY_JOB, id=self.claim.job.id)
            if row is not None:
                known_as = "an id that it did not give" if given is None else f"'{given}'"
                cause = f"{LATE_ANSWER}attempt '{attempt_id}' was accepted as {known_as}"
                await record_event(transaction, row, State(row["state"]), cause)

        await self._write(body)

    async def withdraw(self, attempt_id: str) -> None:
        """Take an intent back, because the provider has certainly not accepted it."""

        async def body(transaction: Transaction) -> None:
            await lock_leased(transaction, self.claim)
            await transaction.execute(WITHDRAW_ATTEMPT, id=attempt_id)

        await self._write(body)

    async def fall_back(self, why: str, now_ms: int) -> None:
        """Leave the job to its next fallback, in that model's lane, and give the lease back.

        Its intents are taken back: call it only if the provider has certainly accepted none. A job that was still in
        the queue stays there. Raises ValueError if there is no fallback, or an attempt that was answered.
        """

        async def body(transaction: Transaction) -> None:
            row = await lock_leased(transaction, self.claim)
            job = job_from(row)
            fallback = job.fallbacks.next
            if fallback is None:
                raise ValueError(f"job '{job.id}' has no fallback left")
            await transaction.execute(WITHDRAW_INTENTS, job_id=job.id)
            if await attempts_of(transaction, job.id):
                raise ValueError(
                    f"job '{job.id}' has an attempt that was answered; it cannot be given to another model"
                )
            await reroute(transaction, row, job, fallback, why, job.percent(now_ms))

        await self._write(body)

    async def report(self, percent: int) -> None:
        """Record the provider's own progress, if it has risen."""

        async def body(transaction: Transaction) -> None:
            row = await lock_leased(transaction, self.claim)
            await transaction.execute(REPORT_PROGRESS, id=row["id"], lease=row["lease"], percent=percent)
            transaction.notify(JOBS_CHANNEL, row["id"])

        await self._write(body)

    async def warn(self, warning: str) -> None:
        """Add a warning to the job, once."""

        async def body(transaction: Transaction) -> None:
            row = await lock_leased(transaction, self.claim)
            warnings = json.loads(row["warnings"])
            if warning not in warnings:
                await transaction.execute(
                    SET_WARNINGS, id=row["id"], lease=row["lease"], warnings=json.dumps([*warnings, warning])
                )

        await self._write(body)

    async def trouble(self, code: str, message: str) -> None:
        """Record what keeps the job from going on. It is shown until the job moves on."""

        async def body(transaction: Transaction) -> None:
            row = await lock_leased(transaction, self.claim)
            await transaction.execute(SET_TROUBLE, id=row["id"], lease=row["lease"], code=code, message=message)
            transaction.notify(JOBS_CHANNEL, row["id"])

        await self._write(body)

    async def begin_storing(self) -> None:
        """Record that the videos exist; the lane's slot is free for the next job from here on."""

        async def body(transaction: Transaction) -> None:
            row = await lock_leased(transaction, self.claim)
            if row["state"] != State.STORING:
                await move(transaction, row, State.STORING, "finished at the provider")

        await self._write(body)

    async def keep(self, attempt_id: str, outputs: Sequence[StoredVideo]) -> None:
        """Record that an attempt's videos are in our storage."""

        async def body(transaction: Transaction) -> None:
            await lock_leased(transaction, self.claim)
            await transaction.execute(STORE_ATTEMPT, id=attempt_id, outputs=outputs_to_json(outputs))

        await self._write(body)

    async def fail_attempt(self, attempt_id: str, problem: Problem) -> None:
        """Record that an attempt has failed and is not repeated."""

        async def body(transaction: Transaction) -> None:
            row = await lock_leased(transaction, self.claim)
            await delete_unrecorded_files(transaction, row, attempt_id)
            await transaction.execute(
                FAIL_ATTEMPT,
                id=attempt_id,
                code=problem.code,
                message=problem.message,
                provider_error=problem.provider_error,
            )

        await self._write(body)

    async def succeed(
        self,
        outputs: Sequence[StoredVideo],
        cause: str,
        *,
        retention_s: float | None = None,
        of_attempt: str | None = None,
    ) -> None:
        """Finish the job with its videos; the last write of its life. They are deleted after `retention_s`.

        If all are of one attempt, `of_attempt`, this records what `keep` does too.
        """

        async def body(transaction: Transaction) -> None:
            row = await lock_leased(transaction, self.claim)
            text = outputs_to_json(outputs)
            if of_attempt is not None:
                # Before the move, which settles what the attempts have cost.
                await transaction.execute(STORE_ATTEMPT, id=of_attempt, outputs=text)
            # A job that an operator has recovered had failed before.
            columns = {"outputs": text, "error_code": None, "error": None, "provider_error": None}
            from_now = {} if retention_s is None else {"files_expire_at": int(retention_s * 1000)}
            await move(transaction, row, State.SUCCEEDED, cause, columns, ms_from_now=from_now)

        await self._write(body)

    async def fail(self, state: State, problem: Problem, *, is_free: bool = False) -> None:
        """Finish the job as failed or expired. `is_free`: nothing of it was submitted, whatever its reason may say."""

        async def body(transaction: Transaction) -> None:
            row = await lock_leased(transaction, self.claim)
            columns: dict[str, object] = {
                "error_code": problem.code,
                "error": problem.message,
                "provider_error": problem.provider_error,
            }
            if is_free:
                columns["cost_usd"] = "0"
            await move(transaction, row, state, problem.code, columns)

        await self._write(body)

    async def _write(self, body: Write[T]) -> T:
        return await retry_write(self._database, body, self._clock)


async def lock_leased(transaction: Transaction, claim: Claim) -> Row:
    """The job's row, locked. Raises LeaseLost if another worker has the job."""
    row = await fetch_one(transaction, LOCK_LEASED, id=claim.job.id, lease=claim.lease)
    if row is None:
        raise LeaseLost(f"job '{claim.job.id}' is no longer leased to this worker")
    return row


async def delete_unrecorded_files(transaction: Transaction, job: Row, attempt_id: str | None = None) -> None:
    """Delete files that were stored under a lease which ends, and never recorded: of one attempt, or of all."""
    state = State(job["state"])
    if state in (State.QUEUED, State.REROUTED, State.SUBMITTING):
        return
    attempts = await transaction.fetch(ATTEMPTS_OF, job_id=job["id"])
    if state is State.RUNNING and len(attempts) == 1 and attempts[0]["n"] == await _number_of_videos(transaction, job):
        # The only call of its job has stored nothing before the job is `storing`.
        return
    for attempt in attempts:
        if attempt["state"] == AttemptState.ACCEPTED and attempt_id in (None, attempt["id"]):
            for place in range(attempt["n"]):
                await delete_file(transaction, video_key(job["id"], attempt["id"], place, job["lease"]))


async def _number_of_videos(transaction: Transaction, job: Row) -> int:
    request = job.get("short_request")
    if request is None:
        request = (await fetch_row(transaction, GET_REQUEST, id=job["id"]))["request"]
    return VideoRequest.from_json(request).n


async def attempts_of(transaction: Transaction, job_id: str) -> tuple[Attempt, ...]:
    """The attempts of a job, by their parts."""
    rows = await transaction.fetch(ATTEMPTS_OF, job_id=job_id)
    return tuple(
        Attempt(
            id=row["id"],
            part=row["part"],
            n=row["n"],
            state=AttemptState(row["state"]),
            handle=None if row["handle"] is None else json.loads(row["handle"]),
            outputs=outputs_from(row["outputs"]),
            problem=problem_from(row),
        )
        for row in rows
    )
