"""How a job becomes an answer, and how a request that starts one is carried out, once."""

from __future__ import annotations

import json
from dataclasses import replace
from functools import partial
from http import HTTPStatus
from typing import Any

from pydantic import TypeAdapter
from starlette.requests import Request
from starlette.responses import Response

from rushes.accounts.keys import Caller
from rushes.api.answers import json_response
from rushes.api.authentication import LIMIT_HEADERS
from rushes.api.document import leads_to
from rushes.api.idempotency import idempotency_of
from rushes.api.openai.fields import Given, hashable, meaning_of, renamed
from rushes.api.openai.names import DEFAULT_MODEL, checked_name, model_named
from rushes.api.openai.schemas import ErrorEnvelope, video_view
from rushes.api.services import services_of
from rushes.domain.job import Job, Status
from rushes.errors import InvalidRequest, UnknownField, UnsupportedOption, UnusableInput
from rushes.intake.generation import asked_of
from rushes.jobs.idempotency import Once, Replay
from rushes.json_text import json_str
from rushes.views.job import poll_after_ms

POLL_AFTER = "openai-poll-after-ms"
"""The header that says to OpenAI's client when to ask again."""

_MEANING = {
    400: "A malformed field, an option that the model does not offer, or an unknown field",
    401: "No key, or an unknown, expired, disabled or revoked one",
    403: "The key may not do this, or its account is disabled",
    404: "No such video or model, or the video is no longer kept",
    409: "The video's status does not allow this",
    413: "The body is too large",
    415: "The body is neither a form nor JSON",
    429: "A limit of the account or the key is reached: requests, pending jobs, or spending (`insufficient_quota`)",
    503: "No credentials for the provider, or the service cannot take requests now",
}


THE_VIDEO = {"video_id": "$response.body#/id"}
LINKS_OF_A_VIDEO = leads_to(
    get_video=THE_VIDEO, download_content=THE_VIDEO, remix_video=THE_VIDEO, delete_video=THE_VIDEO
)
"""Where the id in the answer leads."""


_ERROR = TypeAdapter(ErrorEnvelope).json_schema()


def refusals(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """The OpenAPI entries for these statuses. A caller that can get 401 can also lack a scope or meet a limit."""
    if HTTPStatus.UNAUTHORIZED in statuses:
        statuses = tuple(sorted({*statuses, HTTPStatus.FORBIDDEN, HTTPStatus.TOO_MANY_REQUESTS}))
    return {
        status: {
            "description": _MEANING[status],
            "headers": dict(LIMIT_HEADERS) if status == HTTPStatus.TOO_MANY_REQUESTS else {},
            "content": {"application/json": {"schema": _ERROR}},
        }
        for status in statuses
    }


def video_response(request: Request, job: Job) -> Response:
    """The job, and when to ask for it again if it has not ended."""
    waits = job.status in (Status.PENDING, Status.IN_PROGRESS)
    headers = {POLL_AFTER: str(poll_after_ms(job))} if waits else None
    return json_response(video_view(job, services_of(request).clock.now_ms()), headers=headers)


async def once_in(request: Request, route: str, given: Given) -> Once | None:
    """The request under its idempotency key, or None if it has none."""
    return await idempotency_of(request, route, hashable(given), lambda job: _text(request, job))


async def earlier_answer(request: Request, caller: Caller, once: Once | None) -> Response | None:
    """What the same request was answered before, if it was."""
    earlier = None if once is None else await services_of(request).jobs.find_answer(caller, once)
    return None if earlier is None else _replayed(earlier)


async def start(
    request: Request, caller: Caller, given: Given, once: Once | None, *, source: Job | None = None
) -> Response:
    """Start the generation that these fields ask for; one made from a `source` is by its model where they name none.

    Raises what the job service raises, with the names that the caller wrote.
    """
    services = services_of(request)
    content = meaning_of(given)
    name = checked_name(given.get("model"))
    if name is None and source is None:
        name = await services.jobs.default_model(caller)
    if name is None and source is not None:
        model, name = f"{source.provider}/{source.model}", source.asked_model
    else:
        model, name = model_named(services, name), DEFAULT_MODEL if name is None else name
    try:
        asked = replace(
            asked_of({**content, "model": model}, partial(services.webhooks.job_webhook, caller)),
            asked_model=name,
            source_job_id=None if source is None else source.id,
        )
        made = await services.jobs.create(caller, asked, once)
    except (InvalidRequest, UnsupportedOption, UnknownField, UnusableInput) as exc:
        raise renamed(exc, given) from exc
    return _replayed(made) if isinstance(made, Replay) else video_response(request, made)


def _text(request: Request, job: Job) -> str:
    return json_str(video_view(job, services_of(request).clock.now_ms()))


def _replayed(replay: Replay) -> Response:
    headers = {"Idempotent-Replayed": "true"}
    if json.loads(replay.answer)["status"] == "queued":
        headers[POLL_AFTER] = "1000"
    return Response(replay.answer, headers=headers, media_type="application/json")
