"""Veo as the Gemini API has it: a long-running operation for each job, and the videos as files."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path, Request
from starlette.responses import Response

from rushes.api.answers import json_of, replayed
from rushes.api.gemini.answers import once_in, refusals, start
from rushes.api.gemini.authentication import Authenticated, authenticate
from rushes.api.gemini.bodies import VEO
from rushes.api.gemini.operations import gemini_operation
from rushes.api.gemini.shapes import GeminiOperation
from rushes.api.gemini.veo_fields import meaning_of
from rushes.api.http.fast_path import directly
from rushes.api.services import services_of
from rushes.domain.job import Job
from rushes.intake.body import read_json_object
from rushes.jobs.idempotency import Replay

router = APIRouter()

ModelName = Annotated[str, Path(description="`ID` or `PROVIDER/ID`.", examples=["veo-3.1-generate-001"])]


@router.post(
    "/models/{model:path}:predictLongRunning",
    summary="Start a video",
    response_model=GeminiOperation,
    responses=refusals(404),
    openapi_extra=VEO,
)
@directly(authenticate)
async def predict_long_running(request: Request, model: ModelName, caller: Authenticated) -> Response:
    """Accepts the request and answers its operation at once; the work is asynchronous."""
    body = await read_json_object(request)
    once = await once_in(request, "POST predictLongRunning", model, body, lambda job: _operation(request, job))
    earlier = None if once is None else await services_of(request).jobs.find_answer(caller, once)
    made = earlier or await start(request, caller, model, meaning_of(body), once)
    return replayed(made) if isinstance(made, Replay) else json_of(_operation(request, made))


@router.get(
    "/models/{model:path}/operations/{operation_id}",
    summary="Get a video's operation",
    response_model=GeminiOperation,
    responses=refusals(404),
)
@directly(authenticate)
async def get_video_operation(request: Request, model: str, operation_id: str, caller: Authenticated) -> Response:
    """The operation as it is now. Its id says which it is; the model's name is not looked at."""
    return json_of(_operation(request, await services_of(request).jobs.get(caller, operation_id)))


def _operation(request: Request, job: Job) -> GeminiOperation:
    services = services_of(request)
    return gemini_operation(job, services.links.base(request), services.clock.now_ms())
