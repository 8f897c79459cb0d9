"""A job as OpenRouter's API shows it: in answers, and in the messages to a `callback_url`.

openrouter 1.3.84, `components/videogenerationresponse.py` (checked 2026-11-30). What is not known yet is left out: a
null where its clients expect a text or a number is an error to them.
"""

from __future__ import annotations

from typing import Final, Literal, NotRequired

from starlette.requests import HTTPConnection

# Not typing's: pydantic cannot read that one before Python 3.12.
from typing_extensions import TypedDict

from rushes.domain.job import Job, Status
from rushes.views.job import usage
from rushes.views.signed_links import Links

PATH: Final = "/api/v1/videos"

OpenrouterStatus = Literal["pending", "in_progress", "completed", "failed", "cancelled", "expired"]

_STATUS: Final[dict[Status, OpenrouterStatus]] = {
    Status.PENDING: "pending",
    Status.IN_PROGRESS: "in_progress",
    Status.COMPLETED: "completed",
    Status.FAILED: "failed",
}
_ENDED_AS: Final[dict[str, OpenrouterStatus]] = {"cancelled": "cancelled", "expired": "expired"}
"""By the code of why a job failed, where there is a word of its own for it."""


class OpenrouterUsage(TypedDict):
    """What the video costs in USD, if that is known, and whether it ran on the caller's own provider key."""

    cost: NotRequired[float]
    is_byok: bool


class OpenrouterVideo(TypedDict):
    """One video. `model`, `progress`, `served_model` and `warnings` are ours.

    `urls` are signed links that play without a key until `expires_at`, in seconds since 1970. `unsigned_urls` are the
    same links, because Vercel's AI SDK fetches these without a key. Each read makes them afresh.
    """

    id: str
    polling_url: str
    status: OpenrouterStatus
    generation_id: NotRequired[str]
    unsigned_urls: NotRequired[list[str]]
    urls: NotRequired[list[str]]
    expires_at: NotRequired[int]
    usage: NotRequired[OpenrouterUsage]
    error: NotRequired[str]
    model: str
    served_model: str
    progress: int
    warnings: list[str]


def openrouter_video(
    job: Job, links: Links, connection: HTTPConnection | None, now_ms: int, *, deleted: bool = False
) -> OpenrouterVideo:
    """The job as it is now. `connection` is the request that asks, if there is one; a deleted job has no links."""
    base = links.base(connection)
    view: OpenrouterVideo = {
        "id": job.id,
        "polling_url": f"{base}{PATH}/{job.id}",
        "status": _status(job),
        "model": job.asked_name,
        "served_model": job.served_name,
        "progress": job.percent(now_ms),
        "warnings": list(job.warnings),
    }
    if not job.status.is_final:
        return view
    view["generation_id"] = job.id
    view["usage"] = _usage(job)
    if job.status is Status.COMPLETED and not deleted and job.has_files(now_ms):
        expires_at_ms = links.expires_at_ms()
        urls = [links.to_video(base, job, index, expires_at_ms) for index in range(len(job.outputs))]
        view |= {"unsigned_urls": urls, "urls": urls, "expires_at": expires_at_ms // 1000}
    elif job.problem is not None:
        view["error"] = job.problem.message
    return view


def _status(job: Job) -> OpenrouterStatus:
    # By the problem, for an expired job keeps it while an operator has its video looked for.
    if job.status is Status.FAILED and job.problem is not None:
        return _ENDED_AS.get(job.problem.code, "failed")
    return _STATUS[job.status]


def _usage(job: Job) -> OpenrouterUsage:
    cost = usage(job).cost
    return {"is_byok": job.byok} if cost is None else {"cost": cost, "is_byok": job.byok}
