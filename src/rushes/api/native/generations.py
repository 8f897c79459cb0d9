"""POST /videos/generations: a request in, a job out, at once."""

from __future__ import annotations

import asyncio
import json
import time
from datetime import UTC, datetime
from email.utils import format_datetime
from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import Response

from rushes.api.authentication import Authenticated
from rushes.api.body import read_json_object, refuse_unknown, shaped
from rushes.api.native.answers import json_response, problems
from rushes.api.native.schemas import (
    GenerationBody,
    GenerationStarted,
    StartedJob,
    given_media,
    served_model,
    usage,
)
from rushes.api.services import services_of
from rushes.api.times import rfc3339
from rushes.catalogue.params import lift_portable
from rushes.catalogue.size import with_size
from rushes.jobs.idempotency import HEADER, Once, Replay, check_key, hash_body
from rushes.jobs.job import Job
from rushes.jobs.service import Asked
from rushes.video.request import VideoRequest

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
    once = await _once(request, content)
    if once is not None:
        earlier = await services_of(request).jobs.find_answer(caller, once)
        if earlier is not None:
            return _replay(request, earlier)
    params = content.get("additional_params")
    if isinstance(params, dict):
        lifted, rest = lift_portable(content, params)
        content = {**lifted, "additional_params": rest}
    refuse_unknown(content, GenerationBody.model_fields)
    body = shaped(GenerationBody, content)
    video = VideoRequest(
        prompt=body.prompt,
        aspect_ratio=body.aspect_ratio,
        resolution=body.resolution,
        duration_s=body.duration,
        n=1 if body.n is None else body.n,
        seed=body.seed,
        negative_prompt=body.negative_prompt,
        generate_audio=body.generate_audio,
        person_generation=body.person_generation,
        additional_params=body.additional_params or {},
    )
    if body.size is not None:
        video = with_size(video, body.size)
    asked = Asked(
        request=video,
        media=tuple(given_media(body)),
        model=body.model,
        provider=body.provider,
        response_format=body.response_format or "url",
        byok_api_key=body.byok_api_key,
        fallback_models=tuple(body.fallback_models or ()),
    )
    made = await services_of(request).jobs.create(caller, asked, once)
    return _replay(request, made) if isinstance(made, Replay) else _started(request, made)


async def _once(request: Request, content: dict[str, Any]) -> Once | None:
    key = request.headers.get(HEADER)
    if key is None:
        return None
    return Once(
        route="POST /videos/generations",
        key=check_key(key),
        # Hashing 60 MB of media takes a tenth of a second.
        body_hash=await asyncio.to_thread(hash_body, content),
        answer_of=lambda job: _envelope(request, job).model_dump_json(),
    )


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
        served_model=served_model(job),
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
