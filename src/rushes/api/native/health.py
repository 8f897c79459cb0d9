"""For whoever runs the service: is it up, is it ready, what is it."""

from __future__ import annotations

from http import HTTPStatus

from fastapi import APIRouter, Request
from pydantic import BaseModel
from starlette.responses import Response

from rushes import __version__
from rushes.api.errors import problem
from rushes.api.native.answers import json_response, problems
from rushes.api.services import services_of

router = APIRouter()


class About(BaseModel):
    """Which service this is."""

    name: str = "rushes"
    version: str = __version__
    docs: str = "/docs"


class Health(BaseModel):
    """That the service answers."""

    status: str = "ok"


@router.get("/", summary="What this is", response_model=About)
async def about() -> Response:
    """Name and version, for connection tests."""
    return json_response(About())


@router.get("/healthz", summary="Is it up", response_model=Health)
async def healthz() -> Response:
    """200 as long as the process answers."""
    return json_response(Health())


@router.get("/readyz", summary="Is it ready", response_model=Health, responses=problems(503))
async def readyz(request: Request) -> Response:
    """200 if jobs can be taken: the database answers and the storage can be written."""
    trouble = await services_of(request).ready()
    if trouble is not None:
        return problem(request, HTTPStatus.SERVICE_UNAVAILABLE, code="not_ready", detail=trouble)
    return json_response(Health())
