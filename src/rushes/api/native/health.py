"""For the operator of the service: is it up, is it ready, which version is it."""

from __future__ import annotations

from http import HTTPStatus

from fastapi import APIRouter, Request
from pydantic import BaseModel
from starlette.responses import Response

from rushes import __version__
from rushes.api.answers import json_response
from rushes.api.errors import problem
from rushes.api.native.answers import problems
from rushes.api.process_status import process_status_of
from rushes.api.services import services_of
from rushes.engine.breaker import BreakerState
from rushes.engine.credential_pool import CredentialState

router = APIRouter()
probes = APIRouter()


class About(BaseModel):
    """Which service this is."""

    name: str = "rushes"
    version: str = __version__
    docs: str = "/docs"


class Health(BaseModel):
    """That the service answers."""

    status: str = "ok"


class BreakerView(BaseModel):
    """A circuit breaker that has seen trouble. `credential` is its name, null where no key is needed.

    While it is `open` nothing is submitted there; `half_open` lets one call through, to see if the provider is back.
    """

    provider: str
    surface: str | None
    credential: str | None
    state: BreakerState
    failures: int
    retry_in_s: float


class CredentialView(BaseModel):
    """One of the operator's credentials by its name, as this process has met it.

    `broken`: its provider refuses it, or cannot be reached with it. `limited`: it rests for some seconds, since it has
    met a limit. `disabled`: it takes no new jobs.
    """

    provider: str
    name: str
    surface: str | None
    state: CredentialState
    retry_in_s: float


class DecodingView(BaseModel):
    """Which walls the kernel puts around the processes that decode files.

    Where one is false, limits on memory and time, an empty environment and closed files still hold.
    """

    no_new_privileges: bool
    seccomp: bool
    landlock: bool


class ServerView(BaseModel):
    """A server of the operator's own that could not be asked yet whether it can run its models, or cannot run them."""

    provider: str
    trouble: str


class PartView(BaseModel):
    """Whether a part of the process works; `detail` says why not."""

    ok: bool
    detail: str | None


class Readiness(BaseModel):
    """That this process can do its part, and where providers cannot be reached from it at the moment.

    `role` is what the process does: `all`, `api` (it answers callers), or `worker` (it carries jobs out).
    `workers_alive` counts those of the whole service; with none, jobs are accepted and wait. `decoding` is null until
    the first file, or the test at start, has shown which walls stand.

    `parts` judges what the process does one by one: it `answers`, it `accepts` jobs, it `stores` videos, and a worker
    `works`. A process that answers callers is ready if it accepts: without storage, jobs wait for it.
    """

    status: str = "ok"
    role: str
    workers_alive: int
    breakers: list[BreakerView] = []
    credentials: list[CredentialView] = []
    servers: list[ServerView] = []
    decoding: DecodingView | None = None
    parts: dict[str, PartView] = {}


@router.get("/", summary="What this is", response_model=About)
async def about(request: Request) -> Response:
    """Name and version, for connection tests."""
    return json_response(About(docs=f"{services_of(request).links.path_prefix}/docs"))


@probes.get("/healthz", summary="Is it up", response_model=Health)
async def healthz() -> Response:
    """200 as long as the process answers."""
    return json_response(Health())


@probes.get("/readyz", summary="Is it ready", response_model=Readiness, responses=problems(503))
async def readyz(request: Request) -> Response:
    """200 if jobs can be taken, or on a worker carried out and stored. The answer says of each part whether it works.

    A provider that cannot be reached is shown and changes nothing: its jobs wait, or fall back. Nor does it change
    anything that no worker is alive: jobs wait for one.
    """
    process_status = process_status_of(request)
    condition = await process_status.condition()
    parts = {name: PartView(ok=detail is None, detail=detail) for name, detail in condition.parts.items()}
    if condition.trouble is not None:
        return problem(
            request,
            HTTPStatus.SERVICE_UNAVAILABLE,
            code="not_ready",
            detail=condition.trouble,
            parts={name: part.model_dump() for name, part in parts.items()},
        )
    breakers = [
        BreakerView(
            provider=circuit.provider,
            surface=circuit.api,
            credential=circuit.credential,
            state=health.state,
            failures=health.failures,
            retry_in_s=health.wait_s,
        )
        for circuit, health in process_status.breakers().items()
        # Callers' own keys are private to them.
        if not circuit.byok
    ]
    credentials = [
        CredentialView(provider=one.provider, name=one.name, surface=one.api, state=one.state, retry_in_s=one.wait_s)
        for one in process_status.credentials()
    ]
    servers = [ServerView(provider=name, trouble=trouble) for name, trouble in process_status.server_troubles().items()]
    workers_alive = await process_status.workers_alive()
    protection = process_status.decoding()
    return json_response(
        Readiness(
            role=process_status.role,
            workers_alive=workers_alive,
            breakers=breakers,
            credentials=credentials,
            servers=servers,
            decoding=None if protection is None else DecodingView(**protection.to_json()),
            parts=parts,
        )
    )
