"""What can be asked for, in Google's shape: the operator's aliases, and the catalogue."""

from __future__ import annotations

from itertools import islice
from typing import Annotated, Final

from fastapi import APIRouter, Query, Request
from starlette.responses import Response

from rushes.api.answers import json_of
from rushes.api.document import leads_to
from rushes.api.gemini.answers import refusals
from rushes.api.gemini.authentication import Authenticated
from rushes.api.gemini.shapes import GoogleModel, GoogleModelPage
from rushes.api.named_models import named_models
from rushes.api.services import services_of
from rushes.catalogue.choose import choose
from rushes.catalogue.model import Model
from rushes.catalogue.wording import shown
from rushes.errors import FieldError
from rushes.intake.body import invalid_fields

router = APIRouter()

METHODS: Final = ["predictLongRunning"]


@router.get(
    "/models",
    summary="List models",
    response_model=GoogleModelPage,
    responses=refusals() | leads_to(get_google_model={"model": "$response.body#/models/0/baseModelId"}),
)
async def list_google_models(
    request: Request,
    caller: Authenticated,
    page_size: Annotated[int, Query(alias="pageSize", ge=1, le=1000, description="Most models to answer.")] = 50,
    page_token: Annotated[
        str | None, Query(alias="pageToken", max_length=20, description="`nextPageToken` of the page before.")
    ] = None,
) -> Response:
    """Aliases first, then the whole catalogue as `models/PROVIDER/ID`; retired models too: successors serve them."""
    skip = 0
    if page_token:
        if not (page_token.isascii() and page_token.isdecimal()):
            raise invalid_fields([FieldError("pageToken", f"{shown(page_token)} is not from a page of this list")])
        skip = int(page_token)
    models = await named_models(services_of(request), caller)
    page: GoogleModelPage = {
        "models": [google_model(name, model) for name, model in islice(models.items(), skip, skip + page_size)]
    }
    if skip + page_size < len(models):
        page["nextPageToken"] = str(skip + page_size)
    return json_of(page)


@router.get("/models/{model:path}", summary="Get a model", response_model=GoogleModel, responses=refusals(404))
async def get_google_model(request: Request, model: str, caller: Authenticated) -> Response:
    """One model by any name it may be asked for."""
    services = services_of(request)
    return json_of(
        google_model(
            model, choose(await services.jobs.catalogue_for(caller), services.model_aliases.get(model, model), None)
        )
    )


def google_model(name: str, model: Model) -> GoogleModel:
    """The model under the name it was asked for."""
    return {
        "name": f"models/{name}",
        "baseModelId": name,
        "version": "" if model.released is None else model.released.isoformat(),
        "displayName": model.name,
        "description": model.description,
        "supportedGenerationMethods": list(METHODS),
    }
