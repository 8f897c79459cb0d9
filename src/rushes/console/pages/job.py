"""One job: its player, how it goes on, what it was asked, and what can be done with it."""

from __future__ import annotations

from collections.abc import Sequence
from http import HTTPStatus
from typing import Any

from starlette.responses import Response

from rushes.accounts.keys import Scope
from rushes.console.job_card import JobCard, card_of
from rushes.console.routes import Page
from rushes.console.stream import follow_job
from rushes.console.visit import Visit
from rushes.domain.job import Job
from rushes.domain.request import Role
from rushes.jobs.events.sentences import read_timeline
from rushes.media.sniff import extension_of
from rushes.views.job import accepted_options

ELSEWHERE = ("prompt", "media", "model", "provider", "response_format")
"""Options that the page shows in another place, or that mean nothing here."""


async def show_job(visit: Visit) -> Response:
    """The page, or for a script of ours the part of it that changes while the job goes on."""
    job_id = visit.request.path_params["job_id"]
    context = await job_context(visit, job_id)
    return visit.page("job_live.html" if visit.is_fetch else "job.html", **context)


async def job_context(visit: Visit, job_id: str) -> dict[str, Any]:
    """What the templates of a job are given. Raises JobNotFound."""
    services = visit.services
    timeline = await read_timeline(services.history, visit.signed_in.tenant, job_id, visit.now_ms)
    job = timeline.job
    options = accepted_options(job)
    return {
        "job": job,
        "card": card_of(visit, job),
        "videos": videos_of(visit, job),
        "timeline": timeline,
        "options": {name: value for name, value in options.items() if name not in ELSEWHERE and value != {}},
        "media": job.request.media,
        "uses": uses_of(visit, job),
    }


def videos_of(visit: Visit, job: Job) -> Sequence[dict[str, Any]]:
    """The job's videos with links on this host; empty while the job has no videos, or when they are no longer kept."""
    if not job.has_files(visit.now_ms):
        return []
    links, expires_at_ms = visit.services.links, visit.services.links.expires_at_ms()
    return [
        {
            "url": links.to_video(visit.root, job, index, expires_at_ms),
            "poster_url": links.to_poster(visit.root, job, index, expires_at_ms),
            "stored": stored,
            "file_name": f"{job.id}-{index}{extension_of(stored.content_type)}",
        }
        for index, stored in enumerate(job.outputs)
    ]


def uses_of(visit: Visit, job: Job) -> bool:
    """Whether the job's video can be given to a model that goes on from it."""
    takes_video = any(model.inputs.get(Role.VIDEO) for model in visit.services.catalogue.models())
    return takes_video and job.has_files(visit.now_ms) and visit.may(Scope.GENERATE)


async def compare_jobs(visit: Visit) -> Response:
    """Several jobs side by side, in the order of the address."""
    job_ids = visit.query.all("job")[:4]
    found = {job.id: job for job in await visit.services.jobs.get_several(visit.signed_in, job_ids)}
    if visit.is_fetch and len(found) == 1:
        (job,) = found.values()
        return visit.page("compare_live.html", **_compared(visit, job))
    jobs = [_compared(visit, found[job_id]) for job_id in job_ids if job_id in found]
    status = HTTPStatus.OK if jobs else HTTPStatus.NOT_FOUND
    return visit.page("compare.html", status=status, jobs=jobs, prompt=jobs[0]["job"].request.prompt if jobs else "")


def _compared(visit: Visit, job: Job) -> dict[str, Any]:
    card: JobCard = card_of(visit, job)
    return {"job": job, "card": card, "videos": videos_of(visit, job)}


async def cancel_job(visit: Visit) -> Response:
    """Cancel a pending job."""
    job = await visit.services.jobs.cancel(visit.signed_in, visit.request.path_params["job_id"])
    return visit.go(f"/jobs/{job.id}")


async def delete_job(visit: Visit) -> Response:
    """Ask first, then forget the job and its videos."""
    job_id = visit.request.path_params["job_id"]
    if not visit.form.has("confirmed"):
        job = await visit.services.jobs.get(visit.signed_in, job_id)
        finished = [job] if job.status.is_final else []
        return visit.page("delete_jobs.html", jobs=finished, unfinished=1 - len(finished))
    await visit.services.jobs.delete(visit.signed_in, job_id)
    return visit.go("/jobs", notice="deleted")


PAGES = (
    Page("GET", "/jobs/{job_id}", show_job),
    Page("GET", "/jobs/{job_id}/events", follow_job),
    Page("POST", "/jobs/{job_id}/cancel", cancel_job, scope=Scope.GENERATE),
    Page("POST", "/jobs/{job_id}/delete", delete_job, scope=Scope.GENERATE),
    Page("GET", "/compare", compare_jobs),
)
