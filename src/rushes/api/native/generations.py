"""POST /videos/generations: a request in, a job out, at once."""

from __future__ import annotations

import json
import time
from datetime import UTC, datetime
from email.utils import format_datetime
from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import Response

from rushes.api.answers import json_response
from rushes.api.authentication import Authenticated
from rushes.api.body import read_json_object
from rushes.api.generation import GenerationBody, asked_of
from rushes.api.native.answers import problems
from rushes.api.native.schemas import (
    GenerationStarted,
    StartedJob,
    usage,
)
from rushes.api.once import once_of
from rushes.api.services import services_of
from rushes.api.times import rfc3339
from rushes.jobs.idempotency import Replay
from rushes.jobs.job import Job

router = APIRouter()

BODY_SCHEMA: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {"application/json": {"schema": GenerationBody.model_json_schema()}},
    }
}


@router.post(
    "/videos/generations",
    summary="Start a generation",
    response_model=GenerationStarted,
    responses=problems(400, 401, 404, 413, 415, 422, 503),
    openapi_extra=BODY_SCHEMA,
)
async def create_generation(request: Request, caller: Authenticated) -> Response:
    """Accepts the request, answers its job at once; the work is asynchronous."""
    content = await read_json_object(request)
    once = await once_of(
        request, "POST /videos/generations", content, lambda job: _envelope(request, job).model_dump_json()
    )
    if once is not None:
        earlier = await services_of(request).jobs.find_answer(caller, once)
        if earlier is not None:
            return _replay(request, earlier)
    made = await services_of(request).jobs.create(caller, asked_of(content), once)
    return _replay(request, made) if isinstance(made, Replay) else _started(request, made)


def _started(request: Request, job: Job) -> Response:
    headers = {"Location": _status_url(job.id), **_lifecycle_headers(request, job.provider, job.model)}
    return json_response(_envelope(request, job), headers=headers)


def _replay(request: Request, replay: Replay) -> Response:
    answer = json.loads(replay.answer)
    headers = {
        "Location": _status_url(answer["job_id"]),
        "Idempotent-Replayed": "true",
        **_lifecycle_headers(request, answer["provider"], answer["model"]),
    }
    return Response(replay.answer, headers=headers, media_type="application/json")


def _status_url(job_id: str) -> str:
    return f"/api/v1/videos/jobs/{job_id}"


def _envelope(request: Request, job: Job) -> GenerationStarted:
    return GenerationStarted(
        request_id=request.state.request_id,
        created_at=rfc3339(job.created_at),
        duration_ms=_duration_ms(request),
        provider=job.provider,
        model=job.model,
        byok_api_key=job.byok,
        job_id=job.id,
        status=job.status,
        served_model=job.served_name,
        usage=usage(job),
        data=StartedJob(job_id=job.id, status=job.status, status_url=_status_url(job.id)),
        warnings=list(job.warnings),
    )


def _duration_ms(request: Request) -> float:
    """Measured once, because the answer that is kept for repetitions must be the one that is sent."""
    if not hasattr(request.state, "duration_ms"):
        request.state.duration_ms = round((time.perf_counter() - request.state.began) * 1000, 1)
    return float(request.state.duration_ms)


def _lifecycle_headers(request: Request, provider: str, model_id: str) -> dict[str, str]:
    """That the model asked for is retired, or will be: RFC 9745 and RFC 8594."""
    model = services_of(request).catalogue.find(provider, model_id)
    if model is None or model.retired is None:
        return {}
    moment = datetime.combine(model.retired, datetime.min.time(), UTC)
    return {"Deprecation": f"@{int(moment.timestamp())}", "Sunset": format_datetime(moment, usegmt=True)}
