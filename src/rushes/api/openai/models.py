"""What can be asked for, in OpenAI's shape: the catalogue, and the operator's aliases."""

from __future__ import annotations

from fastapi import APIRouter, Request
from starlette.responses import Response

from rushes.api.answers import json_response
from rushes.api.authentication import Authenticated
from rushes.api.document import leads_to
from rushes.api.named_models import named_models
from rushes.api.openai.answers import refusals
from rushes.api.openai.names import model_named
from rushes.api.openai.schemas import ModelList, ModelView
from rushes.api.services import services_of
from rushes.catalogue.choose import choose
from rushes.catalogue.model import Model
from rushes.views.times import day_s

router = APIRouter()


@router.get(
    "/models",
    summary="List models",
    response_model=ModelList,
    responses=refusals(401, 503) | leads_to(get_named_model={"model": "$response.body#/data/0/id"}),
)
async def list_named_models(request: Request, caller: Authenticated) -> Response:
    """Aliases first, then the whole catalogue as `provider/ID`; retired models too, for successors serve them."""
    models = await named_models(services_of(request), caller)
    return json_response(ModelList(data=[model_view(name, model) for name, model in models.items()]))


@router.get(
    "/models/{model:path}", summary="Get a model", response_model=ModelView, responses=refusals(401, 404, 503)
)  # fmt: skip
async def get_named_model(request: Request, model: str, caller: Authenticated) -> Response:
    """One model by any name it may be asked for."""
    services = services_of(request)
    return json_response(
        model_view(model, choose(await services.jobs.catalogue_for(caller), model_named(services, model), None))
    )


def model_view(name: str, model: Model) -> ModelView:
    """The model under the name it was asked for."""
    return ModelView(
        id=name,
        created=day_s(model.released),
        owned_by=model.maker or model.provider,
        shutdown_date=None if model.retired is None else model.retired.isoformat(),
    )
