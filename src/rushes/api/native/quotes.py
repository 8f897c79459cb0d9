"""POST /videos/quote: what a generation would cost, before it is asked for."""

from __future__ import annotations

from functools import partial

from fastapi import APIRouter, Request
from starlette.responses import Response

from rushes.api.answers import json_response
from rushes.api.authentication import Reader
from rushes.api.native.answers import problems
from rushes.api.native.generations import BODY_SCHEMA
from rushes.api.services import services_of
from rushes.intake.body import read_json_object
from rushes.intake.generation import asked_of
from rushes.views.quote import QuoteView, quote_view

router = APIRouter()


@router.post(
    "/videos/quote",
    summary="Ask what a generation would cost",
    response_model=QuoteView,
    responses=problems(400, 401, 404, 413, 415, 422, 503),
    openapi_extra={"requestBody": BODY_SCHEMA["requestBody"]},
)
async def quote_generation(request: Request, caller: Reader) -> Response:
    """Takes the body of a generation and checks it as one; nothing is stored, and no media are fetched or decoded."""
    services = services_of(request)
    asked = asked_of(await read_json_object(request), partial(services.webhooks.job_webhook, caller))
    return json_response(quote_view(await services.jobs.quote(caller, asked)))
