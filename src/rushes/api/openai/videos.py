"""Videos as OpenAI's clients ask for them: create, retrieve, list, delete, download."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query, Request
from pydantic import JsonValue
from starlette.responses import Response

from rushes.api.answers import json_response
from rushes.api.authentication import Authenticated, Viewer, authenticate, view_directly
from rushes.api.content import finished_video, poster_response
from rushes.api.content import video_response as bytes_response
from rushes.api.document import leads_to
from rushes.api.http.fast_path import directly
from rushes.api.openai.answers import LINKS_OF_A_VIDEO, earlier_answer, once_in, refusals, start, video_response
from rushes.api.openai.body import FORM, read_fields
from rushes.api.openai.fields import FIELDS, FILE_FIELDS, Kind
from rushes.api.openai.schemas import DeletedVideo, VideoPage, VideoView, video_view
from rushes.api.removal import remove
from rushes.api.services import services_of
from rushes.catalogue.wording import shown
from rushes.domain.options import LONGEST_USER
from rushes.errors import FieldError, JobNotFound, UnsupportedOption
from rushes.intake.body import invalid_fields, refuse_unknown
from rushes.jobs.store import Listing

router = APIRouter()

VARIANTS: list[JsonValue] = ["video", "thumbnail"]

_JSON_TYPE = {Kind.WHOLE: "integer", Kind.SWITCH: "boolean", Kind.SEVERAL_MEDIA: "array", Kind.NAMES: "array"}


def body_schema(*required: str) -> dict[str, Any]:
    """The OpenAPI entry of a body of these fields, as a form or as JSON."""
    plain: dict[str, Any] = {}
    for name, field in FIELDS.items():
        kind = _JSON_TYPE.get(field.kind, "object" if field.kind in (Kind.OBJECT, Kind.PAIRS) else "string")
        plain[name] = {"type": kind, **({"items": {"type": "string"}} if kind == "array" else {})}
    plain["seconds"] = {"type": "string"}
    files = {name: {"type": "string", "format": "binary"} for name in FILE_FIELDS}
    content = {
        media_type: {"schema": {"type": "object", "required": list(required), "properties": properties}}
        for media_type, properties in ((FORM, plain | files), ("application/json", plain))
    }
    return {"requestBody": {"required": True, "content": content}}


@router.post(
    "/videos",
    summary="Start a video",
    response_model=VideoView,
    responses=refusals(400, 401, 404, 413, 415, 503) | LINKS_OF_A_VIDEO,
    openapi_extra=body_schema("prompt"),
)
@directly(authenticate)
async def create_video(request: Request, caller: Authenticated) -> Response:
    """Accepts the request and answers its video at once; the work is asynchronous."""
    given = await read_fields(request, caller)
    once = await once_in(request, "POST /v1/videos", given)
    return await earlier_answer(request, caller, once) or await start(request, caller, given, once)


@router.get(
    "/videos",
    summary="List videos",
    response_model=VideoPage,
    responses=refusals(400, 401, 503) | leads_to(get_video={"video_id": "$response.body#/data/0/id"}),
)
async def list_videos(
    request: Request,
    caller: Viewer,
    limit: Annotated[int, Query(ge=1, le=100, description="Most videos to answer.")] = 20,
    after: Annotated[str | None, Query(description="The id of the last video of the page before.")] = None,
    user: Annotated[
        str | None, Query(min_length=1, max_length=LONGEST_USER, description="Only of this tag; ours.")
    ] = None,
    order: Annotated[Literal["asc", "desc"], Query(description="Oldest first, or newest first.")] = "desc",
) -> Response:
    """The account's videos. A page costs the same however many are stored."""
    refuse_unknown(request.query_params, ("limit", "after", "order", "user", "mode"), "parameter")
    services = services_of(request)
    beyond_seq = None
    if after is not None:
        try:
            beyond_seq = await services.jobs.place(caller, after)
        except JobNotFound as exc:
            raise invalid_fields([FieldError("after", f"there is no video {shown(after)} to go on from")]) from exc
    # One more than is shown says whether there are more.
    listing = Listing(limit=limit + 1, oldest_first=order == "asc", beyond_seq=beyond_seq, user=user)
    found = await services.jobs.list(caller, listing)
    jobs = found.jobs
    now_ms = services.clock.now_ms()
    views = [video_view(job, now_ms) for job in jobs[:limit]]
    page = VideoPage(
        data=views,
        first_id=views[0].id if views else None,
        last_id=views[-1].id if views else None,
        has_more=found.is_cut or len(jobs) > limit,
    )
    return json_response(page)


@router.get(
    "/videos/{video_id}",
    summary="Get a video",
    response_model=VideoView,
    responses=refusals(400, 401, 404, 503) | LINKS_OF_A_VIDEO,
)
@directly(view_directly)
async def get_video(request: Request, video_id: str, caller: Viewer) -> Response:
    """The video as it is now."""
    return video_response(request, await services_of(request).jobs.get(caller, video_id))


@router.delete(
    "/videos/{video_id}",
    summary="Delete a video",
    response_model=DeletedVideo,
    responses=refusals(401, 404, 409, 503),
)
async def delete_video(request: Request, video_id: str, caller: Authenticated) -> Response:
    """Forgets a finished video; one that is still queued is cancelled first, and never submitted to a provider."""
    await remove(services_of(request).jobs, caller, video_id, called="Video")
    return json_response(DeletedVideo(id=video_id))


@router.get(
    "/videos/{video_id}/content",
    summary="Download a video",
    response_class=Response,
    responses=refusals(400, 401, 404, 409, 503),
)
async def download_content(
    request: Request,
    video_id: str,
    caller: Viewer,
    variant: Annotated[str, Query(description="What of it.", json_schema_extra={"enum": VARIANTS})] = "video",
    index: Annotated[int, Query(ge=0, le=99, description="Which of several videos; ours.")] = 0,
) -> Response:
    """The provider's original bytes with Range support, or a JPEG of at most 640 pixels a side."""
    if variant not in VARIANTS:
        raise UnsupportedOption(f"variant {shown(variant)} is not offered; it offers 'video', 'thumbnail'", "variant")
    services = services_of(request)
    job = await services.jobs.get(caller, video_id)
    video = finished_video(services, job, index)
    if variant == "thumbnail":
        return await poster_response(request, job, video, index)
    return await bytes_response(request, job, video, index)
