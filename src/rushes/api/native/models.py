"""GET /models: what can be asked for, at which price, and what really runs today."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, date, datetime
from typing import Annotated

from fastapi import APIRouter, Query, Request
from pydantic import BaseModel, RootModel
from starlette.responses import Response

from rushes.api.authentication import Authenticated
from rushes.api.document import leads_to
from rushes.api.native.answers import problems
from rushes.api.services import Services, services_of
from rushes.catalogue.choices import FILTERS, wish_of
from rushes.catalogue.choose import get_model, get_provider
from rushes.catalogue.load import ProviderEntry
from rushes.catalogue.model import Model
from rushes.intake.body import refuse_unknown
from rushes.json_text import json_bytes
from rushes.views.model import ModelView, model_texts

router = APIRouter()

VIDEO_GENERATION = "video_generation"
A_PROVIDER = {"provider": "$response.body#/0/id"}


class ProviderView(BaseModel):
    """One provider."""

    id: str
    name: str
    has_credentials: bool
    capabilities: list[str] = [VIDEO_GENERATION]


class ProviderModels(ProviderView):
    """One provider with its models."""

    models: list[ModelView]
    total: int


class AllModels(RootModel[list[ProviderModels]]):
    """Every provider with its models; a list, as the published client's own example reads it."""


@router.get(
    "/models",
    summary="List models",
    response_model=AllModels,
    responses=problems(400, 401, 503)
    | leads_to(
        list_provider_models=A_PROVIDER,
        list_provider_video_models=A_PROVIDER,
        get_one_model={**A_PROVIDER, "model_id": "$response.body#/0/models/0/id"},
    ),
)
async def list_models(
    request: Request,
    caller: Authenticated,
    provider: Annotated[str | None, Query(description="Only this provider's.")] = None,
    inputs: Annotated[
        str | None, Query(description="Only those that take each of these, such as `input_image,last_frame`.")
    ] = None,
    video_task: Annotated[
        str | None, Query(description="Only those that do this to a video: extend, edit or upscale.")
    ] = None,
    resolution: Annotated[str | None, Query(description="Only those that make videos of this resolution.")] = None,
    max_usd_per_second: Annotated[
        str | None, Query(description="Only those of which a second costs this at most; not those of unknown price.")
    ] = None,
    audio: Annotated[str | None, Query(description="`true`: only those with sound; `false`: only silent ones.")] = None,
    alive: Annotated[
        str | None, Query(description="`true`: only those that are not retired; `false`: the others.")
    ] = None,
    sort: Annotated[str | None, Query(description="`catalogue` (the default) or `price`: the cheapest first.")] = None,
) -> Response:
    """Every model that the key may use, retired ones too: they may still be asked for where a successor serves them.

    With filters, providers of which no model is left are not in the list. A price is the least that a second of a video
    of the default length costs with what the other filters say.
    """
    refuse_unknown(request.query_params, FILTERS, "parameter")
    services = services_of(request)
    # A list may be written as one value or as several.
    written = {name: ",".join(request.query_params.getlist(name)) for name in FILTERS}
    catalogue = await services.jobs.catalogue_for(caller)
    wish = wish_of(written, catalogue)
    groups = wish.groups(catalogue, _today(services))
    views = [(_provider(services, get_provider(catalogue, name)), models) for name, models in groups]
    return _answer(b"[%s]" % b",".join(_with_models(services, view, models) for view, models in views))


@router.get(
    "/models/{provider}/video_generation",
    name="list_provider_video_models",
    summary="List a provider's video models",
    response_model=ProviderModels,
    responses=problems(401, 404, 503),
)
@router.get(
    "/models/{provider}",
    summary="List a provider's models",
    response_model=ProviderModels,
    responses=problems(401, 404, 503),
)
async def list_provider_models(request: Request, provider: str, caller: Authenticated) -> Response:
    """One provider's models; all of ours generate video."""
    services = services_of(request)
    catalogue = await services.jobs.catalogue_for(caller)
    view = _provider(services, get_provider(catalogue, provider))
    return _answer(_with_models(services, view, catalogue.models(provider)))


@router.get(
    "/models/{provider}/{model_id:path}",
    summary="Get a model",
    response_model=ModelView,
    responses=problems(401, 404, 503),
)
async def get_one_model(request: Request, provider: str, model_id: str, caller: Authenticated) -> Response:
    """One model; its id may contain slashes and colons."""
    services = services_of(request)
    catalogue = await services.jobs.catalogue_for(caller)
    return _answer(_texts(services, [get_model(catalogue, provider, model_id)])[0])


def _with_models(services: Services, view: ProviderView, models: Sequence[Model]) -> bytes:
    """A `ProviderModels` as JSON, from the models' own texts: to write hundreds of models takes a tenth of a second."""
    texts = b",".join(_texts(services, models))
    return b'%s,"models":[%s],"total":%d}' % (json_bytes(view)[:-1], texts, len(models))


def _answer(text: bytes) -> Response:
    return Response(text, media_type="application/json")


def _today(services: Services) -> date:
    return datetime.fromtimestamp(services.clock.now_ms() / 1000, UTC).date()


def _texts(services: Services, models: Sequence[Model]) -> list[bytes]:
    return model_texts(services.catalogue, services.served_apis, models, _today(services))


def _provider(services: Services, entry: ProviderEntry) -> ProviderView:
    return ProviderView(id=entry.provider, name=entry.name, has_credentials=entry.provider in services.served_apis)
