"""What the routes of this surface declare, and how a request that starts a job is carried out, once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from typing import Any, Final

from starlette.requests import Request

from rushes.accounts.keys import Caller
from rushes.api.authentication import LIMIT_HEADERS
from rushes.api.document import Documented
from rushes.api.idempotency import idempotency_of
from rushes.api.openrouter.fields import meaning_of, with_model
from rushes.api.services import Services, services_of
from rushes.catalogue.choose import choose
from rushes.domain.job import Job
from rushes.domain.job_webhook import WebhookFormat
from rushes.errors import InvalidRequest, UnknownField, UnsupportedOption, UnusableInput
from rushes.intake.generation import asked_of
from rushes.intake.renaming import renamed
from rushes.jobs.idempotency import Once, Replay
from rushes.json_text import json_str
from rushes.views.openrouter import OpenrouterVideo, openrouter_video

ROUTE: Final = "POST /api/v1/videos"
SESSION_HEADER: Final = "x-session-id"

_MEANING: Final = {
    400: "A malformed field, an option that the model does not offer, or a video that cannot be gone on from",
    401: "No key, or an unknown, expired, disabled or revoked one",
    402: "A spend limit is reached, or cannot be kept because a price is not known",
    403: "The key may not do this, its account is disabled, or the guardrail refuses the request",
    404: "No such model or video",
    409: "The video is not finished, or has failed",
    410: "The video is no longer kept",
    413: "The body is too large",
    429: "A limit of the account or the key is reached: requests, or pending jobs",
    503: "No credentials for the provider, or the service cannot take requests now",
}

_ERROR: Final = {
    "type": "object",
    "required": ["error"],
    "properties": {
        "error": {
            "type": "object",
            "required": ["code", "message", "metadata"],
            "properties": {
                "code": {"type": "integer", "description": "The HTTP status again."},
                "message": {"type": "string"},
                "metadata": {
                    "type": "object",
                    "description": "Our stable `error_code`, the `errors` by field, `suggestions` of near names.",
                },
            },
        }
    },
}


def refusals(*statuses: int) -> Documented:
    """The OpenAPI entries for these statuses and for those that every route can answer."""
    return {
        status: {
            "description": _MEANING[status],
            "headers": dict(LIMIT_HEADERS) if status == 429 else {},
            "content": {"application/json": {"schema": _ERROR}},
        }
        for status in sorted({400, 401, 403, 429, 503, *statuses})
    }


def view_of(request: Request, job: Job) -> OpenrouterVideo:
    """The job as callers of this surface see it now."""
    services = services_of(request)
    return openrouter_video(job, services.links, request, services.clock.now_ms())


async def once_in(request: Request, body: Mapping[str, Any]) -> Once | None:
    """The request under its idempotency key, or None if it has none."""
    return await idempotency_of(request, ROUTE, dict(body), lambda job: json_str(view_of(request, job)))


async def start(request: Request, caller: Caller, body: Mapping[str, Any], once: Once | None) -> Job | Replay:
    """Start the generation that the body asks for.

    Raises what the job service raises, with the names that the caller wrote.
    """
    services = services_of(request)
    meaning = meaning_of(body, request.headers.get(SESSION_HEADER))
    name = model_named(services, meaning.model)
    try:
        content = with_model(meaning, choose(services.catalogue, name, None))
        webhook_of = partial(services.webhooks.job_webhook, caller, message_format=WebhookFormat.OPENROUTER)
        asked = replace(
            asked_of({**content, "model": name}, webhook_of),
            asked_model=meaning.model,
            warnings=tuple(meaning.warnings),
        )
        return await services.jobs.create(caller, asked, once)
    except (InvalidRequest, UnsupportedOption, UnknownField, UnusableInput) as exc:
        raise renamed(exc, meaning.names) from exc


def model_named(services: Services, asked: str) -> str:
    """The name in the catalogue: of an alias what it stands for, of OpenRouter's own `vendor/name` who offers it."""
    alias = services.model_aliases.get(asked)
    if alias is not None:
        return alias
    provider, _, model_id = asked.partition("/")
    offered = services.catalogue.offering(asked)
    if offered and services.catalogue.find(provider, model_id) is None:
        return f"{offered[0].provider}/{asked}"
    return asked
