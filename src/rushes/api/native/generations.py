"""POST /videos/generations: a request in, a job out, at once; or its videos, for who prefers to wait."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from datetime import UTC, date, datetime
from email.utils import format_datetime
from functools import lru_cache, partial
from typing import Any

import structlog
from fastapi import APIRouter, Request
from starlette.responses import Response

from rushes.accounts.keys import Caller, Mode
from rushes.api.answers import json_response
from rushes.api.authentication import AuthenticatedUnmetered, authenticate_unmetered, meter
from rushes.api.document import leads_to
from rushes.api.http.fast_path import directly
from rushes.api.http.prefer import PREFER_PARAMETER, preference_of
from rushes.api.idempotency import idempotency_of
from rushes.api.native.answers import problems
from rushes.api.native.finished import finished_response
from rushes.api.native.schemas import (
    GenerationFinished,
    GenerationStarted,
    StartedJob,
)
from rushes.api.services import services_of
from rushes.api.waiting import ended_within
from rushes.domain.job import Job
from rushes.errors import RushesError
from rushes.intake.body import read_json_object
from rushes.intake.generation import GenerationBody, asked_of
from rushes.jobs.idempotency import HEADER, LONGEST_KEY, Replay
from rushes.json_text import json_str
from rushes.views.job import usage
from rushes.views.times import rfc3339

log = structlog.get_logger(__name__)

router = APIRouter()

THE_JOB = {"job_id": "$response.body#/job_id"}

BODY_SCHEMA: dict[str, Any] = {
    "parameters": [
        PREFER_PARAMETER,
        {
            "name": HEADER,
            "in": "header",
            "required": False,
            "description": "Makes the request safe to send again: one job, one answer, for 24 hours.",
            "schema": {"type": "string", "minLength": 1, "maxLength": LONGEST_KEY},
        },
    ],
    "requestBody": {
        "required": True,
        "content": {"application/json": {"schema": GenerationBody.model_json_schema()}},
    },
}


@router.post(
    "/videos/generations",
    summary="Start a generation",
    response_model=GenerationStarted | GenerationFinished,
    responses=problems(400, 401, 402, 404, 413, 415, 422, 503)
    | leads_to(
        get_job=THE_JOB,
        cancel_job=THE_JOB,
        follow_job=THE_JOB,
        get_timeline=THE_JOB,
        download=THE_JOB,
        delete_job=THE_JOB,
    ),
    openapi_extra=BODY_SCHEMA,
)
@directly(authenticate_unmetered)
async def create_generation(request: Request, caller: AuthenticatedUnmetered) -> Response:
    """Accepts the request, answers its job at once; the work is asynchronous.

    With `Prefer: wait=N` it answers the videos, if they are finished within N seconds.
    """
    try:
        content = await read_json_object(request)
    except RushesError:
        await meter(request, caller)
        raise
    # What runs on the caller's own key is no matter of our rates; their provider has its own. A test key uses none.
    await meter(request, caller, counted=content.get("byok_api_key") is None or caller.mode is Mode.TEST)
    once = await idempotency_of(
        request, "POST /videos/generations", content, lambda job: json_str(_envelope(request, job))
    )
    if once is not None:
        earlier = await services_of(request).jobs.find_answer(caller, once)
        if earlier is not None:
            return await _answer(request, caller, earlier, is_kept=True)
    services = services_of(request)
    asked = asked_of(content, partial(services.webhooks.job_webhook, caller))
    made = await services.jobs.create(caller, asked, once)
    return await _answer(request, caller, made, is_kept=once is not None)


async def _answer(request: Request, caller: Caller, made: Job | Replay, *, is_kept: bool) -> Response:
    """The answer to a job that is accepted; from here on nothing may look like a refusal."""
    preference = preference_of(request)
    job = response = None
    if preference.wait_s is not None:
        job_id = json.loads(made.answer)["job_id"] if isinstance(made, Replay) else made.id
        try:
            job = await ended_within(request, caller, job_id, preference.wait_s)
            if job is not None and job.status.is_final:
                response = await finished_response(request, job)
                response.headers.update(_headers(request, job.id, job.provider, job.model))
                if isinstance(made, Replay):
                    response.headers["Idempotent-Replayed"] = "true"
        except RushesError as error:
            log.warning("waiting_failed", job_id=job_id, error_code=error.code)
    if response is None:
        if isinstance(made, Replay):
            response = _replay(request, made)
        else:
            # An answer kept for repetitions must equal the one sent; otherwise the newest state of the job is sent.
            response = _started(request, made if is_kept or job is None else job)
    applied = preference.applied(has_waited=job is not None)
    if applied:
        response.headers.update(applied)
    return response


def _started(request: Request, job: Job) -> Response:
    envelope = _envelope(request, job)
    headers = {"Location": envelope.data.status_url, **_retirement(request, job.provider, job.model)}
    return json_response(envelope, headers=headers)


def _replay(request: Request, replay: Replay) -> Response:
    answer = json.loads(replay.answer)
    headers = {
        **_headers(request, answer["job_id"], answer["provider"], answer["model"]),
        "Idempotent-Replayed": "true",
    }
    return Response(replay.answer, headers=headers, media_type="application/json")


def _status_url(request: Request, job_id: str) -> str:
    return f"{services_of(request).links.path_prefix}/api/v1/videos/jobs/{job_id}"


def _envelope(request: Request, job: Job) -> GenerationStarted:
    return GenerationStarted(
        request_id=request.scope["state"]["request_id"],
        created_at=rfc3339(job.created_at),
        duration_ms=_duration_ms(request),
        provider=job.provider,
        model=job.model,
        byok_api_key=job.byok,
        job_id=job.id,
        status=job.status,
        served_model=job.served_name,
        usage=usage(job),
        data=StartedJob(job_id=job.id, status=job.status, status_url=_status_url(request, job.id)),
        warnings=list(job.warnings),
    )


def _duration_ms(request: Request) -> float:
    """Measured once, because the answer that is kept for repetitions must be the one that is sent."""
    state = request.scope["state"]
    if "duration_ms" not in state:
        state["duration_ms"] = round((time.perf_counter() - state["began"]) * 1000, 1)
    return float(state["duration_ms"])


def _headers(request: Request, job_id: str, provider: str, model_id: str) -> dict[str, str]:
    """Where the job is, and what is to be said of its model."""
    return {"Location": _status_url(request, job_id), **_retirement(request, provider, model_id)}


def _retirement(request: Request, provider: str, model_id: str) -> Mapping[str, str]:
    """That the model is retired, or will be: RFC 9745 and RFC 8594."""
    model = services_of(request).catalogue.find(provider, model_id)
    return {} if model is None or model.retired is None else _retired_on(model.retired)


@lru_cache
def _retired_on(day: date) -> Mapping[str, str]:
    moment = datetime.combine(day, datetime.min.time(), UTC)
    return {"Deprecation": f"@{int(moment.timestamp())}", "Sunset": format_datetime(moment, usegmt=True)}
