"""The HTTP application: every surface's routes, and what wraps all of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from fastapi import APIRouter, FastAPI
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp

from rushes import __version__
from rushes.api.document import keep_true
from rushes.api.documentation import add_documentation
from rushes.api.errors import problem_of
from rushes.api.gemini import errors as gemini_errors
from rushes.api.gemini import files as gemini_files
from rushes.api.gemini import interactions as gemini_interactions
from rushes.api.gemini import models as gemini_models
from rushes.api.gemini import surface as gemini
from rushes.api.gemini import veo as gemini_veo
from rushes.api.gemini import vertex as gemini_vertex
from rushes.api.http.access_log import Access, Answered
from rushes.api.http.cors import Cors
from rushes.api.http.fast_path import FastPath
from rushes.api.http.keyless_limit import KeylessLimit
from rushes.api.http.lingering_close import LingeringClose
from rushes.api.http.request_line import RequestLine
from rushes.api.http.security_headers import SecurityHeaders
from rushes.api.http.with_console import WithConsole
from rushes.api.mcp import routes as mcp_routes
from rushes.api.mcp.endpoint import Endpoint
from rushes.api.mcp.errors import envelope_of as mcp_error_of
from rushes.api.mcp.errors import is_ours as is_mcp
from rushes.api.native import (
    account_keys,
    account_settings,
    admin,
    admin_jobs,
    admin_keys,
    analytics,
    audit,
    events,
    generations,
    guardrail,
    health,
    inputs,
    jobs,
    metrics,
    models,
    quotes,
    sign_in,
    timelines,
    tokens,
    transactions,
    uploads,
    usage,
    user,
    videos,
    webhooks,
)
from rushes.api.openai import models as openai_models
from rushes.api.openai import remakes as openai_remakes
from rushes.api.openai import videos as openai_videos
from rushes.api.openai.errors import PREFIX, envelope_of, is_ours
from rushes.api.openrouter import errors as openrouter_errors
from rushes.api.openrouter import models as openrouter_models
from rushes.api.openrouter import surface as openrouter
from rushes.api.openrouter import videos as openrouter_videos
from rushes.api.process_status import ProcessStatus
from rushes.api.services import Services
from rushes.errors import RushesError
from rushes.shared_places import SharedPlaces

DESCRIPTION = "One asynchronous API in front of every video model. Authenticate with `Authorization: Bearer KEY`."


def build_http(
    services: Services,
    process_status: ProcessStatus,
    answered: Answered,
    mcp: Endpoint,
    *,
    logs_requests: bool = True,
    cors_origins: Sequence[str] = (),
    keyless_per_minute: int = 1200,
    console: ASGIApp | None = None,
) -> ASGIApp:
    """The ASGI application that serves `services`, also to pages of these origins (`*`: of all).

    `console` answers every path from `/console` on. The application logs a line for each request if `logs_requests`.
    It calls `answered` after each request.
    """
    api = FastAPI(
        title="rushes",
        version=__version__,
        description=DESCRIPTION,
        openapi_url=None,
        redirect_slashes=False,
        # A route's name is what links and generated clients call it by.
        generate_unique_id_function=lambda route: route.name,
    )
    api.state.services = services
    api.state.process_status = process_status
    api.state.mcp = mcp
    included: list[tuple[str, APIRouter]] = []

    def include(router: APIRouter, *, prefix: str = "", **how: Any) -> None:
        included.append((prefix, router))
        api.include_router(router, prefix=prefix, **how)

    include(health.router, tags=["service"])
    include(health.probes, tags=["service"])
    if not process_status.metrics_have_a_port:
        include(metrics.router, tags=["service"])
    include(videos.router, tags=["media"])
    include(inputs.router, tags=["media"])
    include(generations.router, prefix="/api/v1", tags=["videos"])
    include(quotes.router, prefix="/api/v1", tags=["videos"])
    include(jobs.router, prefix="/api/v1", tags=["videos"])
    include(events.router, prefix="/api/v1", tags=["videos"])
    include(timelines.router, prefix="/api/v1", tags=["videos"])
    include(videos.authenticated_router, prefix="/api/v1", tags=["videos"])
    include(uploads.router, prefix="/api/v1", tags=["media"])
    include(models.router, prefix="/api/v1", tags=["models"])
    include(webhooks.router, prefix="/api/v1", tags=["webhooks"])
    include(usage.router, prefix="/api/v1", tags=["account"])
    include(transactions.router, prefix="/api/v1", tags=["account"])
    include(user.router, prefix="/api/v1", tags=["account"])
    include(account_keys.router, prefix="/api/v1", tags=["account"])
    include(analytics.router, prefix="/api/v1", tags=["account"])
    include(tokens.router, prefix="/api/v1", tags=["account"])
    include(sign_in.router, prefix="/api/v1", tags=["account"])
    include(admin.router, prefix="/api/v1", tags=["admin"])
    include(admin_jobs.router, prefix="/api/v1", tags=["admin"])
    include(admin_keys.router, prefix="/api/v1", tags=["admin"])
    include(account_settings.router, prefix="/api/v1", tags=["admin"])
    include(audit.router, prefix="/api/v1", tags=["admin"])
    include(guardrail.router, prefix="/api/v1", tags=["admin"])
    for surface in (openrouter_models, openrouter_videos):
        include(surface.router, prefix="/api/v1", tags=["OpenRouter"])
    # Before OpenAI's: a model's name there may have slashes, and so look like an operation.
    for prefix, routers in (
        (gemini.GEMINI, (gemini_veo, gemini_files, gemini_models, gemini_interactions)),
        (gemini.VERTEX, (gemini_vertex,)),
    ):
        for surface in routers:
            include(surface.router, prefix=prefix, tags=["Google"])
    for surface in (gemini_veo, gemini_files, gemini_interactions, gemini_vertex):
        include(surface.router, prefix=gemini.SHARED, include_in_schema=False)
    for version in (gemini.VERTEX, gemini.SHARED):
        place = f"{version}/projects/{{project}}/locations/{{location}}"
        include(gemini_interactions.router, prefix=place, include_in_schema=False)
    for surface in (openai_remakes, openai_videos, openai_models):
        include(surface.router, prefix=PREFIX, tags=["OpenAI"])
    include(mcp_routes.router)
    _refuse_in_our_words(api)
    keep_true(api)
    add_documentation(api, services.links.path_prefix)
    inner: ASGIApp = LingeringClose(FastPath(api, api, included, refusal_of))
    if cors_origins:
        inner = Cors(inner, cors_origins)
    # Outside of `Cors`: no other site's page may read what the console answers.
    whole = inner if console is None else WithConsole(inner, LingeringClose(console))
    limited = KeylessLimit(whole, refusal_of, per_minute=keyless_per_minute)
    return _wrapped(gemini.GoogleModels(limited), answered, logs_requests=logs_requests, places=services.places)


def build_probes(process_status: ProcessStatus, answered: Answered, *, logs_requests: bool = True) -> ASGIApp:
    """The ASGI application of a process that answers no callers: health checks and metrics, nothing else."""
    api = FastAPI(title="rushes", version=__version__, openapi_url=None, redirect_slashes=False)
    api.state.process_status = process_status
    api.include_router(health.probes)
    api.include_router(metrics.router)
    _refuse_in_our_words(api)
    return _wrapped(LingeringClose(api), answered, logs_requests=logs_requests)


def _wrapped(inner: ASGIApp, answered: Answered, *, logs_requests: bool, places: SharedPlaces | None = None) -> ASGIApp:
    access = Access(
        RequestLine(inner, refusal_of), refusal_of, logs_requests=logs_requests, answered=answered, places=places
    )
    return SecurityHeaders(access)


def _refuse_in_our_words(api: FastAPI) -> None:
    # Exception too: else the framework answers a stray one in plain text before `Access` sees it.
    for kind in (RushesError, RequestValidationError, HTTPException, Exception):
        api.add_exception_handler(kind, refusal_of)


def refusal_of(request: Request, error: Exception) -> Response:
    """The answer for any exception, in the words of the surface that was asked."""
    path = request.url.path
    if is_mcp(path):
        return mcp_error_of(request, error)
    if openrouter.is_ours(path):
        return openrouter_errors.envelope_of(request, error)
    if gemini.is_ours(path):
        return gemini_errors.envelope_of(request, error)
    return envelope_of(request, error) if is_ours(path) else problem_of(request, error)
