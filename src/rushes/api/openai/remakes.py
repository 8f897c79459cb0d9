"""Videos made from videos: remix, edit and extend, all of them a generation that is given the finished video."""

from __future__ import annotations

from dataclasses import replace

from fastapi import APIRouter, Request
from starlette.responses import Response

from rushes.accounts.keys import Caller
from rushes.api.authentication import Authenticated
from rushes.api.content import finished_video
from rushes.api.openai.answers import LINKS_OF_A_VIDEO, earlier_answer, once_in, refusals, start
from rushes.api.openai.body import read_fields
from rushes.api.openai.fields import Given
from rushes.api.openai.names import checked_name, model_named
from rushes.api.openai.schemas import VideoView
from rushes.api.openai.videos import body_schema
from rushes.api.services import Services, services_of
from rushes.catalogue.choose import choose
from rushes.catalogue.model import Model
from rushes.catalogue.succession import offers
from rushes.catalogue.wording import listed
from rushes.domain.job import Job
from rushes.domain.request import Role, VideoTask
from rushes.errors import FieldError, UnsupportedOption
from rushes.intake.body import invalid_fields
from rushes.jobs.idempotency import Once
from rushes.media.inputs import GivenMedia

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
    earlier = await earlier_answer(request, caller, once)
    if earlier is not None:
        return earlier
    # A remix that says how long it is cannot keep the length of its video.
    is_longer = given.get("seconds") is not None
    return await _remake(request, caller, video_id, given, once, None, prefers=None if is_longer else VideoTask.EDIT)


@router.post(
    "/videos/edits",
    summary="Edit a video",
    response_model=VideoView,
    responses=ANSWERS,
    openapi_extra=body_schema("prompt", "video"),
)
async def edit_video(request: Request, caller: Authenticated) -> Response:
    """A new video from a prompt and a `video`: a file, a URL, or `{"id": ...}` of a finished one."""
    return await _from_body(request, caller, "POST /v1/videos/edits", VideoTask.EDIT)


@router.post(
    "/videos/extensions",
    summary="Extend a video",
    response_model=VideoView,
    responses=ANSWERS,
    openapi_extra=body_schema("prompt", "video"),
)
async def extend_video(request: Request, caller: Authenticated) -> Response:
    """The same, with `seconds` for the length of what is added."""
    return await _from_body(request, caller, "POST /v1/videos/extensions", VideoTask.EXTEND)


@router.api_route("/videos/characters", methods=["POST"], include_in_schema=False)
@router.api_route("/videos/characters/{character_id}", methods=["GET"], include_in_schema=False)
async def refuse_characters(_caller: Authenticated) -> Response:
    """The service has no characters; a 404 would look like a wrong address."""
    raise UnsupportedOption(
        "There are no characters here; give pictures of whom to show as reference_images, to a model that takes them",
        "character",
    )


async def _from_body(request: Request, caller: Caller, route: str, task: VideoTask) -> Response:
    given = await read_fields(request, caller)
    once = await once_in(request, route, given)
    earlier = await earlier_answer(request, caller, once)
    if earlier is not None:
        return earlier
    video = given.get("video")
    if isinstance(video, dict) and video.keys() == {"id"} and isinstance(video["id"], str):
        return await _remake(request, caller, video["id"], given, once, task)
    if video is None:
        raise invalid_fields([FieldError("video", "is required: a file, a URL, or an object with the id of a video")])
    _refuse_unless_offered(services_of(request), given.get("model"), task)
    return await start(request, caller, {"video_task": task.value, **given}, once)


async def _remake(
    request: Request,
    caller: Caller,
    video_id: str,
    given: Given,
    once: Once | None,
    task: VideoTask | None,
    *,
    prefers: VideoTask | None = None,
) -> Response:
    """Make a video from a finished one by this task; None is for whatever the model can do, best what is preferred."""
    services = services_of(request)
    source = await services.jobs.get(caller, video_id)
    finished_video(services, source, 0)
    asked = given.get("model")
    model = _refuse_unless_offered(services, f"{source.provider}/{source.model}" if asked is None else asked, task)
    wanted = (task, prefers, VideoTask.EXTEND, *model.video_tasks)
    done = next(one for one in wanted if one is not None and one in model.video_tasks)
    # What was offered to the source may not be offered by another model, and the caller has not asked for it there.
    kept = _options_of(source, model, given, done) if asked is None else {}
    named = {name: value for name, value in given.items() if value is not None and name != "video"}
    completed = {"video_task": done.value, **kept, **named, "previous_job_id": source.id}
    return await start(request, caller, completed, once, source=source)


def _options_of(source: Job, model: Model, given: Given, task: VideoTask) -> Given:
    """The source's options, as far as the request leaves them open and the model takes them for this task."""
    request = source.request
    asked = replace(request, video_task=task, media=(GivenMedia(Role.VIDEO, "video", "").expected(),))
    kept: Given = {}
    if "generate_sound" not in given and offers(model, asked, "generate_audio", request.generate_audio):
        kept["generate_audio"] = request.generate_audio
    shape = ("aspect_ratio", "resolution")
    if not given.keys() & {"size", "width", "height", *shape}:
        kept |= {name: getattr(request, name) for name in shape if offers(model, asked, name, getattr(request, name))}
    if offers(model, asked, "duration_s", request.duration_s):
        kept["seconds"] = request.duration_s
    return kept


def _refuse_unless_offered(services: Services, asked: object, task: VideoTask | None) -> Model:
    """The model, if it can do this to a video, or anything at all. Found out before a video is copied for it."""
    model = choose(services.catalogue, model_named(services, checked_name(asked)), None)
    if model.video_tasks and (task is None or task in model.video_tasks):
        return model
    able = [
        f"{one.provider}/{one.id}"
        for one in services.catalogue.models()
        if one.video_tasks and (task is None or task in one.video_tasks)
    ]
    can = f"can {task} none; it can {' or '.join(model.video_tasks)} one" if model.video_tasks else "takes no video"
    raise UnsupportedOption(f"model '{model.id}' {can}; these can: {listed(able[:SUGGESTIONS])}", "model")
