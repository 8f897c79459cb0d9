"""Rows of `jobs`: their columns, the jobs that they hold, and the jobs that were read last."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from decimal import Decimal

from pydantic_core import from_json

from rushes.db.database import Row
from rushes.domain.fallbacks import Fallbacks
from rushes.domain.job import Job, Problem, State, Trouble
from rushes.domain.job_webhook import JobWebhook
from rushes.domain.output import StoredVideo
from rushes.domain.request import VideoRequest
from rushes.domain.tenant import is_test

ACCEPTED_COLUMNS = (
    "id", "account_id", "key_id", "state", "provider", "model", "served_provider", "served_model", "request",
    "response_format", "cost_usd", "usual_s", "warnings", "available_at", "deadline_at", "progress", "created_at",
    "surface", "credential", "byok", "fallbacks", "asked_model", "source_job_id", "listener", "request_id",
    "traceparent", "reserved_microusd", "user_tag", "metadata", "tenant", "retention_ms",
)  # fmt: skip
"""What a job has from its acceptance on."""

LATER_COLUMNS = (
    "provider_video_id", "credential_name", "error_code", "error", "provider_error", "outputs", "started_at",
    "completed_at", "cancelled_at", "files_expire_at", "abort_requested_at", "spent_microusd", "trouble_code",
    "trouble", "trouble_at",
)  # fmt: skip
"""What its run adds."""

JOB_COLUMNS = ("seq", *ACCEPTED_COLUMNS, *LATER_COLUMNS)
"""What `job_from` reads, and no more: reading a column that is not used costs every client that polls."""

QUEUE_COLUMNS = ("status", "lane", "turn", "held")
"""What else is written at acceptance: for counting callers' jobs, and for the worker's claims."""

SELECT_JOB = f"SELECT {', '.join(JOB_COLUMNS)} FROM jobs"  # noqa: S608 - fixed texts only

GET_ANY_JOB = "SELECT * FROM jobs WHERE id = :id"

LOCK_ANY_JOB = GET_ANY_JOB + " FOR UPDATE"

NO_REQUEST = VideoRequest(prompt="")

BARE_COLUMNS = ", ".join("NULL AS request" if name == "request" else name for name in JOB_COLUMNS)
"""The same without the request, which may be large, for what does not need it; `job_from` gives NO_REQUEST then."""

MOST_KEPT = 1_000
LONGEST_KEPT_CHARS = 4_096
"""Of a request; longer ones are few, and a thousand of them would be many megabytes."""

SHORT_REQUEST = f"CASE WHEN LENGTH(request) <= {LONGEST_KEPT_CHARS} THEN request END AS short_request"
"""The request if it is short, for what holds many jobs; a longer one is read when it is needed."""

GET_REQUEST = "SELECT request FROM jobs WHERE id = :id"


def job_facts(row: Row) -> dict[str, str | None]:
    """What the audit log says of a job that an operator acts on; nothing that its caller has written."""
    return {"state": row["state"], "error_code": row["error_code"], "provider_video_id": row["provider_video_id"]}


def job_from(row: Row) -> Job:
    """The job that a row of `jobs` holds."""
    return Job(
        seq=row["seq"],
        id=row["id"],
        account_id=row["account_id"],
        key_id=row["key_id"],
        state=State(row["state"]),
        provider=row["provider"],
        model=row["model"],
        served_provider=row["served_provider"],
        served_model=row["served_model"],
        request=NO_REQUEST if row["request"] is None else VideoRequest.from_json(row["request"]),
        response_format=row["response_format"],
        cost_usd=None if row["cost_usd"] is None else Decimal(row["cost_usd"]),
        usual_s=row["usual_s"],
        warnings=tuple(from_json(row["warnings"])),
        available_at=row["available_at"],
        deadline_at=row["deadline_at"],
        progress=row["progress"],
        problem=problem_from(row),
        outputs=outputs_from(row["outputs"]),
        provider_video_id=row["provider_video_id"],
        created_at=row["created_at"],
        started_at=row["started_at"],
        completed_at=row["completed_at"],
        cancelled_at=row["cancelled_at"],
        files_expire_at=row["files_expire_at"],
        api=row["surface"],
        credential=row["credential"],
        credential_name=row.get("credential_name"),
        byok=bool(row["byok"]),
        fallbacks=Fallbacks.from_json(row["fallbacks"]),
        asked_model=row["asked_model"],
        source_job_id=row["source_job_id"],
        webhook=JobWebhook.from_json(row["listener"]),
        # A webhook's snapshot of a deleted job may be older than these columns.
        user=row.get("user_tag"),
        metadata={} if row.get("metadata") is None else from_json(row["metadata"]),
        request_id=row.get("request_id"),
        traceparent=row.get("traceparent"),
        abort_requested=row["abort_requested_at"] is not None,
        reserved_microusd=row["reserved_microusd"],
        spent_microusd=row["spent_microusd"],
        trouble=trouble_from(row),
        retention_ms=row.get("retention_ms"),
        is_test=is_test(row.get("tenant", "")),
    )


def problem_from(row: Row) -> Problem | None:
    """Why the job or attempt in this row failed, if it did."""
    if row["error_code"] is None:
        return None
    return Problem(row["error_code"], row["error"], row["provider_error"])


def trouble_from(row: Row) -> Trouble | None:
    """What keeps the job in this row from going on, if anything does."""
    if row.get("trouble_code") is None:
        return None
    return Trouble(row["trouble_code"], row["trouble"], row["trouble_at"])


def outputs_from(text: str | None) -> tuple[StoredVideo, ...]:
    """The stored videos that an `outputs` column lists."""
    if text is None:
        return ()
    content = from_json(text)
    return tuple(StoredVideo(**item) for item in content["videos"])


def outputs_to_json(outputs: Sequence[StoredVideo]) -> str:
    """The versioned form that an `outputs` column keeps."""
    return json.dumps({"version": 1, "videos": [output.to_json() for output in outputs]})


class RecentJobs:
    """Makes jobs from rows, and gives a row that has not changed the job that was made of it before.

    A client that waits for a video reads its job again and again, mostly unchanged. This spares making the job, never
    reading the row: a row always comes from the database.
    """

    def __init__(self, job_from: Callable[[Row], Job] = job_from) -> None:
        self._job_from = job_from
        self._kept: dict[str, tuple[Row, Job]] = {}

    def job_of(self, row: Row) -> Job:
        """The job that this row of `jobs` holds."""
        job_id = row["id"]
        kept = self._kept.get(job_id)
        if kept is not None and kept[0] == row:
            return kept[1]
        job = self._job_from(row)
        if len(row["request"]) <= LONGEST_KEPT_CHARS:
            # The one that was kept first makes room: a dict remembers the order.
            if kept is None and len(self._kept) >= MOST_KEPT:
                del self._kept[next(iter(self._kept))]
            self._kept[job_id] = (row, job)
        return job

    def forget(self, job_id: str) -> None:
        """Keep nothing of a job that is deleted."""
        self._kept.pop(job_id, None)
