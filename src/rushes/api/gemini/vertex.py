"""Veo as Vertex AI has it: the operation is fetched by its name, and has the videos inside, in base64."""

from __future__ import annotations

from typing import Final

from fastapi import APIRouter, Request
from starlette.responses import Response

from rushes.api.answers import json_of, replayed
from rushes.api.gemini.answers import once_in, refusals, start
from rushes.api.gemini.authentication import Authenticated, Reader, authenticate, authenticate_to_read
from rushes.api.gemini.bodies import OPERATION_NAME, VEO, path_parameters
from rushes.api.gemini.names import operation_id, published_model, vertex_operation_name
from rushes.api.gemini.operations import vertex_operation
from rushes.api.gemini.shapes import VertexOperation
from rushes.api.gemini.veo import ModelName
from rushes.api.gemini.veo_fields import meaning_of, wrong
from rushes.api.http.fast_path import directly
from rushes.api.inline import InlineVideos
from rushes.api.services import services_of
from rushes.domain.job import Job
from rushes.intake.body import read_json_object, refuse_unknown
from rushes.jobs.idempotency import Replay
from rushes.json_text import json_str

router = APIRouter()

PUBLISHED: Final = "/publishers/{publisher}/models/{model:path}"
MODEL: Final = "/projects/{project}/locations/{location}" + PUBLISHED


@router.post(f"{PUBLISHED}:predictLongRunning", include_in_schema=False)
@router.post(
    f"{MODEL}:predictLongRunning",
    summary="Start a video on Vertex AI",
    response_model=VertexOperation,
    responses=refusals(404),
    openapi_extra={**VEO, "parameters": [*path_parameters("project", "location"), *VEO["parameters"]]},
)
@directly(authenticate)
async def predict_on_vertex(request: Request, publisher: str, model: ModelName, caller: Authenticated) -> Response:
    """Accepts the request and answers its operation at once. Project and location may be any, or left out."""
    body = await read_json_object(request)
    parent = _parent(request)
    once = await once_in(
        request, "POST predictLongRunning", parent, body, lambda job: _unfinished(request, job, parent)
    )
    earlier = None if once is None else await services_of(request).jobs.find_answer(caller, once)
    name = published_model(publisher, model)
    made = earlier or await start(request, caller, name, meaning_of(body), once)
    return replayed(made) if isinstance(made, Replay) else json_of(_unfinished(request, made, parent))


@router.post(f"{PUBLISHED}:fetchPredictOperation", include_in_schema=False)
@router.post(
    f"{MODEL}:fetchPredictOperation",
    summary="Get a video's operation on Vertex AI",
    response_model=VertexOperation,
    responses=refusals(404),
    openapi_extra={**OPERATION_NAME, "parameters": path_parameters("project", "location", "publisher", "model")},
)
@directly(authenticate_to_read)
async def fetch_predict_operation(request: Request, caller: Reader) -> Response:
    """The operation as it is now; once it is done its videos are in it. Its own name says which it is."""
    body = await read_json_object(request)
    refuse_unknown(body, ("operationName",))
    name = body.get("operationName")
    if not isinstance(name, str) or not name:
        raise wrong("operationName", "must be the name of an operation")
    services = services_of(request)
    job = await services.jobs.get(caller, operation_id(name))
    now_ms = services.clock.now_ms()
    name = vertex_operation_name(job, _parent(request))
    if job.has_files(now_ms):
        inline = InlineVideos(services.storage, job.outputs)
        try:
            return await inline.response(json_str(vertex_operation(job, name, now_ms, inline.slot)))
        except FileNotFoundError:
            # The files were deleted between the two reads.
            pass
    return json_of(vertex_operation(job, name, now_ms, None))


def _parent(request: Request) -> str:
    """The resource name of the model, as the address has it after the API's version."""
    return request.url.path.rpartition(":")[0].removeprefix("/").partition("/")[2]


def _unfinished(request: Request, job: Job, parent: str) -> VertexOperation:
    return vertex_operation(job, vertex_operation_name(job, parent), services_of(request).clock.now_ms(), None)
