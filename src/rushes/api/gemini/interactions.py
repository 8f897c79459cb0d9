"""Google's Interactions API: a job as an interaction, waited for unless it is to run in the background."""

from __future__ import annotations

import json
from typing import Annotated, Final

import structlog
from fastapi import APIRouter, Query, Request
from starlette.responses import Response

from rushes.accounts.keys import Caller
from rushes.api.answers import json_of, replayed
from rushes.api.document import leads_to
from rushes.api.gemini.answers import once_in, refusals, start
from rushes.api.gemini.authentication import Authenticated, authenticate
from rushes.api.gemini.bodies import INTERACTION
from rushes.api.gemini.interaction_fields import Order, order_of
from rushes.api.gemini.interaction_view import interaction_view
from rushes.api.gemini.shapes import InteractionView
from rushes.api.http.fast_path import directly
from rushes.api.http.prefer import LONGEST_WAIT_S, preference_of
from rushes.api.inline import InlineVideos
from rushes.api.removal import remove
from rushes.api.services import Services, services_of
from rushes.api.waiting import ended_within
from rushes.catalogue.choose import choose
from rushes.domain.job import Job
from rushes.domain.request import VideoTask
from rushes.errors import RushesError, UnsupportedOption
from rushes.intake.body import read_json_object
from rushes.jobs.idempotency import Replay
from rushes.json_text import json_str

log = structlog.get_logger(__name__)

router = APIRouter()

THE_INTERACTION: Final = {"interaction_id": "$response.body#/id"}


@router.post(
    "/interactions",
    summary="Start an interaction",
    response_model=InteractionView,
    responses=refusals(404)
    | leads_to(get_interaction=THE_INTERACTION, cancel_interaction=THE_INTERACTION, delete_interaction=THE_INTERACTION),
    openapi_extra=INTERACTION,
)
@directly(authenticate)
async def create_interaction(request: Request, caller: Authenticated) -> Response:
    """Starts a video. Without `background` the answer waits for it: 60 seconds, or as long as `Prefer: wait=N` says."""
    body = await read_json_object(request)
    services = services_of(request)
    once = await once_in(request, "POST interactions", "", body, lambda job: _view(request, job))
    earlier = None if once is None else await services.jobs.find_answer(caller, once)
    order = order_of(body)
    if earlier is None:
        _settle_task(services, order)
    made = earlier or await start(
        request, caller, order.model, order.meaning, once, response_format=order.response_format
    )
    ended = await _waited_for(request, caller, order, made)
    if ended is not None:
        response = await _answer(request, ended)
    elif isinstance(made, Replay):
        return replayed(made)
    else:
        response = json_of(_view(request, made))
    if isinstance(made, Replay):
        response.headers["Idempotent-Replayed"] = "true"
    response.headers.update(preference_of(request).applied(has_waited=ended is not None))
    return response


@router.get(
    "/interactions/{interaction_id}",
    summary="Get an interaction",
    response_model=InteractionView,
    responses=refusals(404),
)
@directly(authenticate)
async def get_interaction(
    request: Request,
    interaction_id: str,
    caller: Authenticated,
    include_input: Annotated[bool, Query(description="Whether the prompt comes first.")] = False,
    stream: Annotated[bool, Query(description="Not offered.")] = False,
) -> Response:
    """The interaction as it is now; once it is completed, with its video."""
    if stream:
        raise UnsupportedOption("stream is not offered; get the interaction until it has ended", "stream")
    job = await services_of(request).jobs.get(caller, interaction_id)
    return await _answer(request, job, shows_input=include_input)


@router.post(
    "/interactions/{interaction_id}/cancel",
    summary="Cancel an interaction",
    response_model=InteractionView,
    responses=refusals(404),
)
async def cancel_interaction(request: Request, interaction_id: str, caller: Authenticated) -> Response:
    """Cancels one that no provider has been asked for; again is no error. Any other is 400, FAILED_PRECONDITION."""
    return json_of(_view(request, await services_of(request).jobs.cancel(caller, interaction_id)))


@router.delete("/interactions/{interaction_id}", summary="Delete an interaction", responses=refusals(404))
async def delete_interaction(request: Request, interaction_id: str, caller: Authenticated) -> Response:
    """Forgets a finished interaction and its video; one that still waits is cancelled first."""
    await remove(services_of(request).jobs, caller, interaction_id, called="Interaction")
    return json_of({})


def _settle_task(services: Services, order: Order) -> None:
    """Choose what is done to the video where nothing says so: as at Google an edit, or what the model can do."""
    if not order.task_is_open:
        return
    name = services.model_aliases.get(order.model, order.model)
    offered = list(choose(services.catalogue, name, None).video_tasks)
    # What says how long it is to be cannot keep the length of its video.
    wanted = VideoTask.EXTEND if "duration" in order.meaning.content else VideoTask.EDIT
    task = wanted if wanted in offered or not offered else offered[0]
    order.meaning.content["video_task"] = task.value
    order.meaning.warnings.append(
        f"generation_config.video_config.task was not given, so the video is given to the model to {task}"
    )


async def _waited_for(request: Request, caller: Caller, order: Order, made: Job | Replay) -> Job | None:
    """The job as it is after the wait; None if nothing was waited for."""
    preference = preference_of(request)
    wait_s = LONGEST_WAIT_S if preference.wait_s is None else preference.wait_s
    if not order.waits or preference.respond_async:
        return None
    job_id = json.loads(made.answer)["id"] if isinstance(made, Replay) else made.id
    try:
        return await ended_within(request, caller, job_id, wait_s)
    except RushesError as error:
        # From here on nothing may look like a refusal.
        log.warning("waiting_failed", job_id=job_id, error_code=error.code)
        return None


async def _answer(request: Request, job: Job, *, shows_input: bool = False) -> Response:
    services = services_of(request)
    now_ms = services.clock.now_ms()
    base = services.links.base(request)
    if job.response_format == "b64_json" and job.has_files(now_ms):
        inline = InlineVideos(services.storage, job.outputs)
        view = interaction_view(job, base, now_ms, slot_of=inline.slot, shows_input=shows_input)
        try:
            return await inline.response(json_str(view))
        except FileNotFoundError:
            # The file was deleted between the two reads, so the answer comes without it.
            pass
    return json_of(interaction_view(job, base, now_ms, shows_input=shows_input))


def _view(request: Request, job: Job) -> InteractionView:
    services = services_of(request)
    return interaction_view(job, services.links.base(request), services.clock.now_ms())
