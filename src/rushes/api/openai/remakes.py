"""Videos made from videos: remix, edit and extend, all of them a generation that is given the finished video."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing

from fastapi import APIRouter, Request
from starlette.responses import Response

from rushes.accounts.keys import Caller
from rushes.api.authentication import Authenticated
from rushes.api.content import finished_video, video_gone
from rushes.api.openai.answers import LINKS_OF_A_VIDEO, earlier_answer, once_in, refusals, start
from rushes.api.openai.body import read_fields
from rushes.api.openai.fields import Given
from rushes.api.openai.names import checked_name, model_named
from rushes.api.openai.schemas import VideoView
from rushes.api.openai.videos import body_schema
from rushes.api.services import Services, services_of
from rushes.catalogue.choose import choose
from rushes.catalogue.model import Model
from rushes.catalogue.wording import listed
from rushes.domain.job import Job
from rushes.domain.output import StoredVideo
from rushes.domain.request import Role
from rushes.errors import FieldError, UnsupportedOption
from rushes.intake.body import invalid_fields
from rushes.jobs.idempotency import Once
from rushes.media.storage import Storage

router = APIRouter()

SUGGESTIONS = 5
ANSWERS = refusals(400, 401, 404, 409, 413, 415, 503) | LINKS_OF_A_VIDEO


@router.post(
    "/videos/{video_id}/remix",
    summary="Remix a video",
    response_model=VideoView,
    responses=ANSWERS,
    openapi_extra=body_schema("prompt"),
)
async def remix_video(request: Request, video_id: str, caller: Authenticated) -> Response:
    """A new video from a finished one and a prompt, by the same model, size and length unless the body says others."""
    given = await read_fields(request, caller)
    if given.get("video") is not None:
        raise invalid_fields([FieldError("video", "is named by the address of a remix already")])
    once = await once_in(request, f"POST /v1/videos/{video_id}/remix", given)
    return await earlier_answer(request, caller, once) or await _remake(request, caller, video_id, given, once)


@router.post(
    "/videos/edits",
    summary="Edit a video",
    response_model=VideoView,
    responses=ANSWERS,
    openapi_extra=body_schema("prompt", "video"),
)
async def edit_video(request: Request, caller: Authenticated) -> Response:
    """A new video from a prompt and a `video`: a file, a URL, or `{"id": ...}` of a finished one."""
    return await _from_body(request, caller, "POST /v1/videos/edits")


@router.post(
    "/videos/extensions",
    summary="Extend a video",
    response_model=VideoView,
    responses=ANSWERS,
    openapi_extra=body_schema("prompt", "video"),
)
async def extend_video(request: Request, caller: Authenticated) -> Response:
    """The same, with `seconds` for the length of what is added."""
    return await _from_body(request, caller, "POST /v1/videos/extensions")


@router.api_route("/videos/characters", methods=["POST"], include_in_schema=False)
@router.api_route("/videos/characters/{character_id}", methods=["GET"], include_in_schema=False)
async def refuse_characters(_caller: Authenticated) -> Response:
    """There are none; a 404 would look like a wrong address."""
    raise UnsupportedOption(
        "There are no characters here; give pictures of whom to show as reference_images, to a model that takes them",
        "character",
    )


async def _from_body(request: Request, caller: Caller, route: str) -> Response:
    given = await read_fields(request, caller)
    once = await once_in(request, route, given)
    earlier = await earlier_answer(request, caller, once)
    if earlier is not None:
        return earlier
    video = given.get("video")
    if isinstance(video, dict) and video.keys() == {"id"} and isinstance(video["id"], str):
        return await _remake(request, caller, video["id"], given, once)
    if video is None:
        raise invalid_fields([FieldError("video", "is required: a file, a URL, or an object with the id of a video")])
    _refuse_unless_video_is_taken(services_of(request), given.get("model"))
    return await start(request, caller, given, once)


async def _remake(request: Request, caller: Caller, video_id: str, given: Given, once: Once | None) -> Response:
    services = services_of(request)
    source = await services.jobs.get(caller, video_id)
    video = finished_video(services, source, 0)
    asked = given.get("model")
    model = _refuse_unless_video_is_taken(services, f"{source.provider}/{source.model}" if asked is None else asked)
    # What was offered to the source may not be offered by another model, and nobody has asked for it there.
    kept = _options_of(source, model, given) if asked is None else {}
    async with aclosing(_bytes_of(services.storage, source, video)) as chunks:
        stored = await services.inputs.receive(caller.account_id, chunks, "video")
    named = {name: value for name, value in given.items() if value is not None}
    completed = {**kept, **named, "video": stored}
    return await start(request, caller, completed, once, source=source)


def _options_of(source: Job, model: Model, given: Given) -> Given:
    """The source's options, as far as the request leaves them open and the model takes them together with a video."""
    request = source.request
    kept: Given = {"generate_audio": request.generate_audio}
    if not given.keys() & {"size", "width", "height", "aspect_ratio", "resolution"}:
        kept |= {"aspect_ratio": request.aspect_ratio, "resolution": request.resolution}
    durations_s = [rule.durations_s for rule in model.input_rules if rule.role is Role.VIDEO and rule.durations_s]
    if all(request.duration_s in allowed for allowed in durations_s):
        kept["seconds"] = request.duration_s
    if "generate_sound" in given:
        del kept["generate_audio"]
    return kept


def _refuse_unless_video_is_taken(services: Services, asked: object) -> Model:
    """The model, if it can be given a video. Found out before the video is copied for it."""
    model = choose(services.catalogue, model_named(services, checked_name(asked)), None)
    if model.inputs.get(Role.VIDEO):
        return model
    able = [f"{one.provider}/{one.id}" for one in services.catalogue.models() if one.inputs.get(Role.VIDEO)]
    raise UnsupportedOption(
        f"model '{model.id}' takes no video, so it can neither remix, edit nor extend one; these can: "
        f"{listed(able[:SUGGESTIONS])}",
        "model",
    )


async def _bytes_of(storage: Storage, source: Job, video: StoredVideo) -> AsyncGenerator[bytes, None]:
    try:
        async with aclosing(storage.open(video.key)) as chunks:
            async for chunk in chunks:
                yield chunk
    except FileNotFoundError:
        raise video_gone(source.id) from None
