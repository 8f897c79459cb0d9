"""Jobs: get one, list them, cancel one."""

from __future__ import annotations

import re
from typing import Annotated

from fastapi import APIRouter, Query, Request
from pydantic import AwareDatetime, BeforeValidator
from pydantic_core import PydanticCustomError
from starlette.responses import Response

from rushes.api.answers import json_response
from rushes.api.authentication import Authenticated, Viewer, view_directly
from rushes.api.cursors import cursor_of, milliseconds, seq_of
from rushes.api.document import leads_to
from rushes.api.http.fast_path import directly
from rushes.api.http.prefer import PREFER_PARAMETER, preference_of
from rushes.api.inline import InlineVideos
from rushes.api.native.answers import problems
from rushes.api.native.schemas import Cancelled, JobPage, job_view
from rushes.api.services import Services, services_of
from rushes.api.waiting import ended_within
from rushes.domain.job import Job, Status
from rushes.intake.body import refuse_unknown
from rushes.jobs.store import Listing
from rushes.json_text import json_str
from rushes.views.job import JobView, view_of

router = APIRouter()

LIST_PARAMETERS = (
    "limit", "skip", "cursor", "status", "model", "provider", "user", "created_after", "created_before", "mode"
)  # fmt: skip
FARTHEST_SKIP = 10_000_000
LONGEST_MOMENT = 64
_LOST_PLUS = re.compile(r"([T ][0-9:.]+) ([0-9]{2}:?[0-9]{2})$")


def _no_bare_number(value: object) -> object:
    # Else it would be read as seconds or milliseconds since 1970, depending on its size.
    if isinstance(value, str) and value.strip().lstrip("+-").replace(".", "", 1).isdecimal():
        raise PydanticCustomError("datetime", "must be a time such as 2026-04-07T12:00:00Z, not a number")
    return value


def _with_plus(value: object) -> object:
    # In a query a bare + means a blank, and no time has a blank before its zone.
    return _LOST_PLUS.sub(r"\1+\2", value) if isinstance(value, str) and len(value) < LONGEST_MOMENT else value


Moment = Annotated[AwareDatetime, BeforeValidator(_no_bare_number), BeforeValidator(_with_plus)]
"""A time as RFC 3339 writes it, with its zone."""

THE_JOB = {"job_id": "$response.body#/job_id"}


@router.get(
    "/videos/jobs/{job_id}",
    summary="Get a job",
    response_model=JobView,
    responses=problems(401, 404, 422, 503)
    | leads_to(
        get_job=THE_JOB,
        cancel_job=THE_JOB,
        follow_job=THE_JOB,
        get_timeline=THE_JOB,
        download=THE_JOB,
        delete_job=THE_JOB,
    ),
    openapi_extra={"parameters": [PREFER_PARAMETER]},
)
@directly(view_directly)
async def get_job(request: Request, job_id: str, caller: Viewer) -> Response:
    """The job as it is now, or with `Prefer: wait=N` once it has ended; links in it are made afresh."""
    services = services_of(request)
    preference = preference_of(request)
    if preference.wait_s is not None:
        job = await ended_within(request, caller, job_id, preference.wait_s)
        if job is not None:
            response = await _job_response(request, services, job)
            response.headers.update(preference.applied(has_waited=True))
            return response
    return await _job_response(request, services, await services.jobs.get(caller, job_id))


async def _job_response(request: Request, services: Services, job: Job) -> Response:
    if job.response_format == "b64_json" and job.has_files(services.clock.now_ms()):
        inline = InlineVideos(services.storage, job.outputs)
        try:
            return await inline.response(json_str(job_view(request, job, inline)))
        except FileNotFoundError:
            # The file was deleted between the two reads, so the job comes without it.
            pass
    return json_response(view_of(job, services.links, request, services.clock.now_ms()))


@router.get("/videos/jobs", summary="List jobs", response_model=JobPage, responses=problems(400, 401, 422, 503))
async def list_jobs(
    request: Request,
    caller: Viewer,
    limit: Annotated[int, Query(ge=1, le=1000, description="Most jobs to answer.")] = 20,
    skip: Annotated[int, Query(ge=0, le=FARTHEST_SKIP, description="Jobs to pass over; prefer `cursor`.")] = 0,
    cursor: Annotated[str | None, Query(description="`next_cursor` of the page before.")] = None,
    status: Annotated[Status | None, Query(description="Only jobs in this status.")] = None,
    model: Annotated[str | None, Query(description="Only jobs that asked for this model id.")] = None,
    provider: Annotated[str | None, Query(description="Only jobs of this provider.")] = None,
    user: Annotated[str | None, Query(description="Only jobs with this `user` tag.")] = None,
    created_after: Annotated[Moment | None, Query(description="Created at this time or later.")] = None,
    created_before: Annotated[Moment | None, Query(description="Created before this time.")] = None,
) -> Response:
    """The caller's jobs, newest first. A page by cursor costs the same however many jobs are stored.

    Large requests make a page shorter than `limit`: it ends once it has 2 MiB of them. Go on while there is a cursor.
    """
    refuse_unknown(request.query_params, LIST_PARAMETERS, "parameter")
    listing = Listing(
        limit=limit,
        skip=skip,
        beyond_seq=None if cursor is None else seq_of(cursor),
        status=status,
        model=None if model is None else model.removeprefix(f"{provider or ''}/"),
        provider=provider,
        user=user,
        created_after_ms=milliseconds(created_after),
        created_before_ms=milliseconds(created_before),
    )
    found = await services_of(request).jobs.list(caller, listing)
    jobs = found.jobs
    page = JobPage(
        jobs=[job_view(request, job) for job in jobs],
        total=found.total,
        limit=limit,
        skip=skip,
        next_cursor=cursor_of(jobs[-1].seq) if found.is_cut or len(jobs) == limit else None,
    )
    return json_response(page)


@router.delete(
    "/videos/jobs/{job_id}",
    summary="Delete a finished job",
    status_code=204,
    response_class=Response,
    responses=problems(401, 404, 409, 503),
)
async def delete_job(request: Request, job_id: str, caller: Authenticated) -> Response:
    """Forgets the job and removes its videos; afterwards it is 404, and gone from lists and totals."""
    await services_of(request).jobs.delete(caller, job_id)
    return Response(status_code=204)


@router.post(
    "/videos/jobs/{job_id}/cancel",
    summary="Cancel a pending job",
    response_model=Cancelled,
    responses=problems(401, 404, 409, 503) | leads_to(get_job=THE_JOB, delete_job=THE_JOB),
)
async def cancel_job(request: Request, job_id: str, caller: Authenticated) -> Response:
    """Only a pending job can be cancelled; it is then never submitted to a provider. Again answers the same."""
    job = await services_of(request).jobs.cancel(caller, job_id)
    return json_response(Cancelled(job_id=job.id, status=job.status))
