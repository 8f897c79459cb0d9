"""What the routes of this surface declare, and how a request that starts a job is carried out, once."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from typing import Any, Final

from pydantic import TypeAdapter
from starlette.requests import Request

from rushes.accounts.keys import Caller
from rushes.api.authentication import LIMIT_HEADERS
from rushes.api.document import Documented
from rushes.api.gemini.shapes import GoogleError
from rushes.api.gemini.veo_fields import GOOGLES_OWN, REWRITING, Meaning
from rushes.api.idempotency import idempotency_of
from rushes.api.services import Services, services_of
from rushes.catalogue.choose import choose
from rushes.domain.job import Job
from rushes.errors import InvalidRequest, UnknownField, UnsupportedOption, UnusableInput
from rushes.intake.generation import asked_of
from rushes.intake.renaming import renamed
from rushes.jobs.idempotency import Once, Replay
from rushes.json_text import json_bytes

GOOGLE: Final = "google"
VERTEX: Final = "vertex"

_MEANING: Final = {
    400: "A malformed request, an option that the model does not offer, a job that can no longer do this, or a wrong "
    "key in `x-goog-api-key` or `?key=`",
    401: "No key, or a wrong one as bearer",
    403: "The key may not do this, or its account is disabled",
    404: "No such model, operation, interaction or file, or it is no longer kept",
    429: "A limit of the account or the key is reached: requests, pending jobs, or spending",
    503: "No credentials for the provider, or the service cannot take requests now",
}


_ERROR: Final = TypeAdapter(GoogleError).json_schema()


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


async def once_in(
    request: Request, route: str, model: str, body: Mapping[str, Any], answer_of: Callable[[Job], Mapping[str, Any]]
) -> Once | None:
    """The request under its idempotency key, or None if it has none."""
    content = {"model in the address": model, **body}
    return await idempotency_of(request, route, content, lambda job: json_bytes(answer_of(job)).decode())


async def start(
    request: Request, caller: Caller, model: str, meaning: Meaning, once: Once | None, *, response_format: str = "url"
) -> Job | Replay:
    """Start the generation that the fields mean, by the model of this name.

    Raises what the job service raises, with the names that the caller wrote.
    """
    services = services_of(request)
    name = services.model_aliases.get(model, model)
    content = {**meaning.content, "model": name, "response_format": response_format}
    try:
        content |= _options_of_google(services, name, meaning)
        asked = asked_of(content, partial(services.webhooks.job_webhook, caller))
        return await services.jobs.create(
            caller, replace(asked, asked_model=model, warnings=tuple(meaning.warnings)), once
        )
    except (InvalidRequest, UnsupportedOption, UnknownField, UnusableInput) as exc:
        raise renamed(exc, meaning.names) from exc


def _options_of_google(services: Services, name: str, meaning: Meaning) -> dict[str, Any]:
    """The options that only Google's models have, where one of them is asked for.

    Raises UnsupportedOption for those that another model cannot follow.
    """
    options = dict(meaning.google_options)
    model = choose(services.catalogue, name, None)
    # Veo's options are those of Vertex AI; the Gemini API refuses them.
    is_veo = model.provider == GOOGLE and services.served_apis.get(GOOGLE, VERTEX) == VERTEX
    if not is_veo:
        for option in GOOGLES_OWN:
            if option in options:
                field = f"parameters.{option}"
                raise UnsupportedOption(
                    f"{field} is an option of Google's own models on Vertex AI, and '{model.id}' runs elsewhere; "
                    "leave it out",
                    field,
                )
    if meaning.rewrites_prompt is not None:
        if is_veo:
            options[REWRITING] = meaning.rewrites_prompt
        else:
            meaning.warnings.append(
                f"parameters.{REWRITING} was ignored: '{model.id}' has no such option, and the prompt is sent as given"
            )
    return {"additional_params": options} if options else {}
