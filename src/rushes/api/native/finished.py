"""What a create answers that has waited until its job ended: the envelope with its videos, or with why it has none."""

from __future__ import annotations

import time

from starlette.requests import Request
from starlette.responses import Response

from rushes.api.answers import json_response
from rushes.api.inline import InlineVideos
from rushes.api.native.schemas import GenerationFinished, job_view
from rushes.api.services import services_of
from rushes.domain.job import Job, Status
from rushes.json_text import json_str


async def finished_response(request: Request, job: Job) -> Response:
    """The answer for a job that has ended."""
    services = services_of(request)
    if job.response_format == "b64_json" and job.has_files(services.clock.now_ms()):
        inline = InlineVideos(services.storage, job.outputs)
        try:
            return await inline.response(json_str(_finished(request, job, inline)))
        except FileNotFoundError:
            # The file was deleted between the two reads, so the answer comes without it.
            pass
    return json_response(_finished(request, job))


def _finished(request: Request, job: Job, inline: InlineVideos | None = None) -> GenerationFinished:
    view = job_view(request, job, inline)
    completed = job.status is Status.COMPLETED
    return GenerationFinished(
        request_id=request.state.request_id,
        created_at=view.created_at,
        duration_ms=round((time.perf_counter() - request.state.began) * 1000, 1),
        provider=view.provider,
        model=view.model,
        success=completed,
        message="Video generation completed" if completed else "Video generation failed",
        byok_api_key=job.byok,
        job_id=view.job_id,
        status=view.status,
        served_model=view.served_model,
        usage=view.usage,
        data=[] if view.result is None else view.result.data,
        error=view.error,
        error_code=view.error_code,
        provider_error=view.provider_error,
        warnings=view.warnings,
    )
