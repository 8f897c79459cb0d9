"""What the guardrail has said: answers by idempotency key, records of what it blocked or rewrote, and counts by day.

Answers last as long as idempotency keys, records for the time that the operator sets. A record of a rewrite goes with
its job.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from rushes.db.database import Database, Row, Transaction
from rushes.domain.tenant import Tenant
from rushes.ids import new_id
from rushes.jobs.idempotency import KEPT_MS

DAY_MS = 86_400_000

FIND_ASKING = """
SELECT body_hash, action, reason, prompt, :now - created_at AS age_ms FROM guardrail_answers
WHERE account_id = :tenant AND route = :route AND key = :key AND created_at > :now - :kept_ms
"""

BEGIN_ASKING = """
INSERT INTO guardrail_answers (account_id, route, key, body_hash, created_at)
VALUES (:tenant, :route, :key, :body_hash, :now)
ON CONFLICT (account_id, route, key) DO UPDATE
SET body_hash = excluded.body_hash, action = NULL, reason = NULL, prompt = NULL, created_at = excluded.created_at
WHERE guardrail_answers.created_at <= excluded.created_at - :kept_ms
"""

KEEP_ASKING = """
UPDATE guardrail_answers SET action = :action, reason = :reason, prompt = :prompt
WHERE account_id = :tenant AND route = :route AND key = :key
"""

INSERT_RECORD = """
INSERT INTO guardrail_records (id, created_at, account_id, tenant, key_id, request_id, job_id, action, reason, model,
                               user_tag, prompt)
VALUES (:id, :now, :account_id, :tenant, :key_id, :request_id, :job_id, :action, :reason, :model, :user_tag, :prompt)
"""

COUNT_RECORD = """
INSERT INTO guardrail_counts (account_id, day, blocked, rewritten)
VALUES (:tenant, :now / 86400000, :blocked, :rewritten)
ON CONFLICT (account_id, day) DO UPDATE SET blocked = guardrail_counts.blocked + excluded.blocked,
                                            rewritten = guardrail_counts.rewritten + excluded.rewritten
"""

DELETE_RECORDS_OF_JOB = "DELETE FROM guardrail_records WHERE job_id = :job_id"

LIST_RECORDS = """
SELECT guardrail_records.*, accounts.name AS account FROM guardrail_records
JOIN accounts ON accounts.id = guardrail_records.account_id
WHERE (guardrail_records.created_at, guardrail_records.id) < (:before_at, :before_id){conditions}
ORDER BY guardrail_records.created_at DESC, guardrail_records.id DESC LIMIT :most
"""

COUNTS_SINCE = """
SELECT SUM(blocked) AS blocked, SUM(rewritten) AS rewritten FROM guardrail_counts
WHERE account_id = :tenant AND day >= :since_day
"""

NEWEST = (2**62, "~")
"""A place before the newest record."""


@dataclass(frozen=True, slots=True)
class Asking:
    """A question and what became of it. `action` is None while it is asked, and `failed` if there is no answer."""

    action: str | None
    reason: str | None = None
    prompt: str | None = None
    body_hash: str = ""
    age_ms: int = 0


@dataclass(frozen=True, slots=True)
class Blocked:
    """The record of a request that was blocked."""

    id: str
    key_id: str
    request_id: str | None
    model: str
    user: str | None
    reason: str | None
    prompt: str | None


@dataclass(frozen=True, slots=True)
class Rewrite:
    """What a guardrail has made of a job's prompt: why, and the original, which is for the operator alone."""

    reason: str | None
    original: str

    @property
    def cause(self) -> str:
        """A line for the job's history, without a lone word, which would be an error's code there."""
        return "the guardrail rewrote the prompt" + ("" if self.reason is None else f": {self.reason}")

    def __repr__(self) -> str:
        return "Rewrite()"


@dataclass(frozen=True, slots=True)
class GuardRecord:
    """One request that was blocked or rewritten; `created_at` is in milliseconds since 1970 UTC."""

    id: str
    created_at: int
    account_id: str
    account: str
    key_id: str
    request_id: str | None
    job_id: str | None
    action: str
    reason: str | None
    model: str
    user: str | None
    prompt: str | None


class GuardStore:
    """Keeps and finds answers and records."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def find(self, tenant: Tenant, route: str, key: str) -> Asking | None:
        """The question that was asked for this idempotency key, if one was."""
        rows = await self._database.read(FIND_ASKING, tenant=tenant, route=route, key=key, kept_ms=KEPT_MS)
        if not rows:
            return None
        row = rows[0]
        return Asking(row["action"], row["reason"], row["prompt"], row["body_hash"], row["age_ms"])

    async def begin(self, tenant: Tenant, route: str, key: str, body_hash: str) -> bool:
        """Take it upon oneself to ask for this idempotency key; False if another request has."""
        place = {"tenant": tenant, "route": route, "key": key}

        async def body(transaction: Transaction) -> bool:
            return bool(await transaction.execute(BEGIN_ASKING, **place, body_hash=body_hash, kept_ms=KEPT_MS))

        return await self._database.write(body)

    async def keep(
        self, account_id: str, tenant: Tenant, place: tuple[str, str] | None, asked: Asking, blocked: Blocked | None
    ) -> None:
        """Keep an answer under its route and idempotency key, if it has one, and the record of what it blocked."""

        async def body(transaction: Transaction) -> None:
            if place is not None:
                await transaction.execute(
                    KEEP_ASKING,
                    tenant=tenant,
                    route=place[0],
                    key=place[1],
                    action=asked.action,
                    reason=asked.reason,
                    prompt=asked.prompt,
                )
            if blocked is not None:
                await transaction.execute(COUNT_RECORD, tenant=tenant, blocked=1, rewritten=0)
                await transaction.execute(
                    INSERT_RECORD,
                    id=blocked.id,
                    account_id=account_id,
                    tenant=tenant,
                    key_id=blocked.key_id,
                    request_id=blocked.request_id,
                    job_id=None,
                    action="block",
                    reason=blocked.reason,
                    model=blocked.model,
                    user_tag=blocked.user,
                    prompt=blocked.prompt,
                )

        await self._database.write(body)

    async def list(
        self,
        *,
        before: tuple[int, str] = NEWEST,
        most: int,
        account_id: str | None = None,
        job_id: str | None = None,
        is_test: bool | None = None,
    ) -> Sequence[GuardRecord]:
        """Up to `most` records, newest first, that come before this time and id; of both modes or one."""
        given = {"account_id": account_id, "job_id": job_id}
        named = {name: value for name, value in given.items() if value is not None}
        conditions = "".join(f" AND guardrail_records.{name} = :{name}" for name in named)
        if is_test is not None:
            sign = "<>" if is_test else "="
            conditions += f" AND guardrail_records.tenant {sign} guardrail_records.account_id"
        rows = await self._database.read(
            LIST_RECORDS.format(conditions=conditions), before_at=before[0], before_id=before[1], most=most, **named
        )
        return [_record(row) for row in rows]

    async def blocked_since(self, tenant: Tenant, since_ms: int) -> int:
        """How many requests of this tenant were blocked since the start of the UTC day that `since_ms` is in."""
        rows = await self._database.read(COUNTS_SINCE, tenant=tenant, since_day=since_ms // DAY_MS)
        return int(rows[0]["blocked"] or 0) if rows else 0


async def record_rewrite(transaction: Transaction, job: Row, rewrite: Rewrite) -> None:
    """Keep what a new job's caller had written, and count it; `job` is its row."""
    await transaction.execute(COUNT_RECORD, tenant=job["tenant"], blocked=0, rewritten=1)
    await transaction.execute(
        INSERT_RECORD,
        id=new_id("grd"),
        account_id=job["account_id"],
        tenant=job["tenant"],
        key_id=job["key_id"],
        request_id=job["request_id"],
        job_id=job["id"],
        action="rewrite",
        reason=rewrite.reason,
        model=f"{job['provider']}/{job['model']}",
        user_tag=job["user_tag"],
        prompt=rewrite.original,
    )


def _record(row: Row) -> GuardRecord:
    return GuardRecord(
        id=row["id"],
        created_at=row["created_at"],
        account_id=row["account_id"],
        account=row["account"],
        key_id=row["key_id"],
        request_id=row["request_id"],
        job_id=row["job_id"],
        action=row["action"],
        reason=row["reason"],
        model=row["model"],
        user=row["user_tag"],
        prompt=row["prompt"],
    )
