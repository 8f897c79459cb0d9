"""For whoever runs the service: is it up, is it ready, what is it."""

from __future__ import annotations

from http import HTTPStatus

from fastapi import APIRouter, Request
from pydantic import BaseModel
from starlette.responses import Response

from rushes import __version__
from rushes.api.answers import json_response
from rushes.api.errors import problem
from rushes.api.native.answers import problems
from rushes.api.services import services_of
from rushes.jobs.breaker import BreakerState

router = APIRouter()


class About(BaseModel):
    """Which service this is."""

    name: str = "rushes"
    version: str = __version__
    docs: str = "/docs"


class Health(BaseModel):
    """That the service answers."""

    status: str = "ok"


class BreakerView(BaseModel):
    """A circuit breaker that has seen trouble. `credential` is a fingerprint, null where no key is needed.

    While it is `open` nothing is submitted there; `half_open` lets one call through, to see if the provider is back.
    """

    provider: str
    surface: str | None
    credential: str | None
    state: BreakerState
    failures: int
    retry_in_s: float


class Readiness(BaseModel):
    """That jobs can be taken, and where providers cannot be reached at the moment."""

    status: str = "ok"
    breakers: list[BreakerView] = []


@router.get("/", summary="What this is", response_model=About)
async def about() -> Response:
    """Name and version, for connection tests."""
    return json_response(About())


@router.get("/healthz", summary="Is it up", response_model=Health)
async def healthz() -> Response:
    """200 as long as the process answers."""
    return json_response(Health())


@router.get("/readyz", summary="Is it ready", response_model=Readiness, responses=problems(503))
async def readyz(request: Request) -> Response:
    """200 if jobs can be taken: the database answers and the storage can be written.

    A provider that cannot be reached is shown and changes nothing: its jobs wait, or fall back.
    """
    trouble = await services_of(request).ready()
    if trouble is not None:
        return problem(request, HTTPStatus.SERVICE_UNAVAILABLE, code="not_ready", detail=trouble)
    breakers = [
        BreakerView(
            provider=circuit.provider,
            surface=circuit.surface,
            credential=circuit.credential,
            state=health.state,
            failures=health.failures,
            retry_in_s=health.wait_s,
        )
        for circuit, health in services_of(request).breakers().items()
        # Callers' own keys are nobody else's business.
        if not circuit.byok
    ]
    return json_response(Readiness(breakers=breakers))
