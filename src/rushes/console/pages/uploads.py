"""Files on their way into a form: dropped, pasted, chosen, or taken from a finished job."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing

from starlette.responses import JSONResponse, Response

from rushes.accounts.keys import Scope
from rushes.accounts.revocations import while_valid
from rushes.catalogue.choose import choose
from rushes.catalogue.model import Model
from rushes.console.routes import Page
from rushes.console.visit import Visit
from rushes.console.wish import full_id
from rushes.domain.job import Job
from rushes.domain.request import Role
from rushes.errors import FileExpired
from rushes.intake.generation import GenerationBody
from rushes.shared_places import UPLOADS


async def upload(visit: Visit) -> Response:
    """Store the body as a file; the answer is the reference that stands for it in a form."""
    (await visit.services.rates.admit(visit.signed_in)).check()
    announced = visit.request.headers.get("content-length", "")
    caller, places = visit.signed_in, visit.request.state.places
    with places[UPLOADS].take(caller.account_id), visit.services.revocations.watch(caller.key_id) as key:
        stored = await visit.services.inputs.upload(
            caller.tenant, while_valid(_body(visit), key), int(announced) if announced.isdecimal() else None
        )
    return JSONResponse(
        {"reference": stored.id, "content_type": stored.content_type, "width": stored.width, "height": stored.height}
    )


async def use_video(visit: Visit) -> Response:
    """Make a job's video the input of a new form, with a model that takes one."""
    job = await visit.services.jobs.get(visit.signed_in, visit.request.path_params["job_id"])
    if not job.has_files(visit.now_ms):
        raise FileExpired(f"The video of job '{job.id}' is no longer kept")
    model = full_id(await _model_for(visit, job))
    if "previous_job_id" in GenerationBody.model_fields:
        return visit.go("/playground", model=model, previous_job_id=job.id, prompt=job.request.prompt)
    async with aclosing(_video_of(visit, job)) as chunks:
        stored = await visit.services.inputs.receive(visit.signed_in.tenant, chunks, "video")
    return visit.go("/playground", model=model, video=stored.id, prompt=job.request.prompt)


async def _model_for(visit: Visit, job: Job) -> Model:
    """The job's own model if it takes videos, else the first that does, one that can be used before the others."""
    catalogue = await visit.services.jobs.catalogue_for(visit.signed_in)
    own = catalogue.find(job.provider, job.model)
    able = [model for model in catalogue.models() if model.inputs.get(Role.VIDEO)]
    if own is not None and own in able:
        return own
    able.sort(key=lambda model: model.provider not in visit.services.served_apis)
    return able[0] if able else choose(visit.services.catalogue, None, None)


async def _video_of(visit: Visit, job: Job) -> AsyncGenerator[bytes, None]:
    try:
        async with aclosing(visit.services.storage.open(job.outputs[0].key)) as chunks:
            async for chunk in chunks:
                yield chunk
    except FileNotFoundError:
        raise FileExpired(f"The video of job '{job.id}' is no longer kept") from None


async def _body(visit: Visit) -> AsyncGenerator[bytes, None]:
    async for chunk in visit.request.stream():
        if chunk:
            yield chunk
    visit.request.state.body_unread = False


PAGES = (
    Page("POST", "/uploads", upload, scope=Scope.GENERATE, reads_form=False),
    Page("POST", "/jobs/{job_id}/use", use_video, scope=Scope.GENERATE),
)
