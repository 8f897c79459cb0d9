"""POST /videos/generations: a request in, a job out, at once."""

from __future__ import annotations

import time
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
    params = content.get("additional_params")
    if isinstance(params, dict):
        lifted, rest = lift_portable(content, params)
        content = {**lifted, "additional_params": rest}
    refuse_unknown(content, GenerationBody.model_fields)
    body = shaped(GenerationBody, content)
    asked = VideoRequest(
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
        asked = with_size(asked, body.size)
    job = await services_of(request).jobs.create(
        caller,
        asked,
        media=given_media(body),
        model=body.model,
        provider=body.provider,
        response_format=body.response_format or "url",
    )
    status_url = f"/api/v1/videos/jobs/{job.id}"
    started = GenerationStarted(
        request_id=request.state.request_id,
        created_at=rfc3339(job.created_at),
        duration_ms=round((time.perf_counter() - request.state.began) * 1000, 1),
        provider=job.provider,
        model=job.model,
        job_id=job.id,
        status=job.status,
        served_model=served_model(job),
        usage=usage(job),
        data=StartedJob(job_id=job.id, status=job.status, status_url=status_url),
        warnings=list(job.warnings),
    )
    return json_response(started, headers={"Location": status_url})
