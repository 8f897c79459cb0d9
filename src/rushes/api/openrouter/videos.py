"""Videos as OpenRouter's clients ask for them: submit, poll, download."""

from __future__ import annotations

from http import HTTPStatus
from typing import Annotated

from fastapi import APIRouter, Query, Request
from starlette.responses import Response

from rushes.api.answers import json_of, replayed
from rushes.api.authentication import Authenticated, Viewer, authenticate, view_directly
from rushes.api.content import finished_video, video_response
from rushes.api.document import leads_to
from rushes.api.http.fast_path import directly
from rushes.api.openrouter.answers import once_in, refusals, start, view_of
from rushes.api.openrouter.bodies import SUBMIT
from rushes.api.services import services_of
from rushes.intake.body import read_json_object
from rushes.jobs.idempotency import Replay
from rushes.views.openrouter import OpenrouterVideo

router = APIRouter()

THE_VIDEO = {"job_id": "$response.body#/id"}
VIDEOS = "/videos"
ONE_VIDEO = f"{VIDEOS}/{{job_id:video_id}}"


@router.post(
    VIDEOS,
    summary="Submit a video",
    status_code=HTTPStatus.ACCEPTED,
    response_model=OpenrouterVideo,
    responses=refusals(402, 404, 413) | leads_to(202, poll_video=THE_VIDEO, get_video_content=THE_VIDEO),
    openapi_extra=SUBMIT,
)
@directly(authenticate)
async def submit_video(request: Request, caller: Authenticated) -> Response:
    """Accepts the request and answers its video at once; the work is asynchronous."""
    body = await read_json_object(request)
    once = await once_in(request, body)
    earlier = None if once is None else await services_of(request).jobs.find_answer(caller, once)
    made = earlier or await start(request, caller, body, once)
    if isinstance(made, Replay):
        return replayed(made, status=HTTPStatus.ACCEPTED)
    return json_of(view_of(request, made), status=HTTPStatus.ACCEPTED)


@router.get(
    ONE_VIDEO,
    summary="Poll a video",
    response_model=OpenrouterVideo,
    responses=refusals(404) | leads_to(get_video_content=THE_VIDEO),
)
@directly(view_directly)
async def poll_video(request: Request, job_id: str, caller: Viewer) -> Response:
    """The video as it is now."""
    return json_of(view_of(request, await services_of(request).jobs.get(caller, job_id)))


@router.get(
    f"{ONE_VIDEO}/content",
    summary="Get a video's content",
    response_class=Response,
    responses=refusals(404, 409, 410),
)
async def get_video_content(
    request: Request,
    job_id: str,
    caller: Viewer,
    index: Annotated[int, Query(ge=0, le=99, description="Which of several videos.")] = 0,
) -> Response:
    """The provider's original bytes, with Range support."""
    services = services_of(request)
    job = await services.jobs.get(caller, job_id)
    return await video_response(request, job, finished_video(services, job, index), index)
