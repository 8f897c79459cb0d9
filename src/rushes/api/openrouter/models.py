"""What can be asked for, in OpenRouter's shape: the operator's aliases, and the catalogue.

openrouter 1.3.84, `components/videomodel.py`; the names of prices as its list had them on 2026-10-09.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Final, NotRequired

from fastapi import APIRouter, Request
from starlette.responses import Response

# Not typing's: pydantic cannot read that one before Python 3.12.
from typing_extensions import TypedDict

from rushes.api.answers import json_of
from rushes.api.authentication import Authenticated
from rushes.api.named_models import named_models
from rushes.api.openrouter.answers import refusals
from rushes.api.openrouter.surface import MODELS
from rushes.api.services import services_of
from rushes.catalogue.model import Audio, Model, Price
from rushes.catalogue.size import pixels
from rushes.domain.request import Role
from rushes.views.times import day_s

router = APIRouter()

FRAMES: Final = {Role.INPUT_IMAGE: "first_frame", Role.LAST_FRAME: "last_frame"}
MILLION: Final = 1_000_000


class OpenrouterModel(TypedDict):
    """One model; its `id` is what to ask for. A null list means that nothing can be chosen."""

    id: str
    canonical_slug: str
    name: str
    description: str
    created: int
    supported_resolutions: list[str] | None
    supported_aspect_ratios: list[str] | None
    supported_sizes: list[str] | None
    supported_durations: list[int] | None
    supported_frame_images: list[str] | None
    generate_audio: bool
    seed: bool
    upscale_factor: None
    creativity: None
    pricing_skus: NotRequired[dict[str, str]]
    allowed_passthrough_parameters: list[str]


class OpenrouterModels(TypedDict):
    """All models."""

    data: list[OpenrouterModel]


@router.get(
    f"/videos/{MODELS}", summary="List models that make videos", response_model=OpenrouterModels, responses=refusals()
)
async def list_video_models(request: Request, caller: Authenticated) -> Response:
    """Aliases first, then all models that the caller may use as `provider/ID`; retired ones too."""
    models = await named_models(services_of(request), caller)
    return json_of({"data": [openrouter_model(name, model) for name, model in models.items()]})


def openrouter_model(name: str, model: Model) -> OpenrouterModel:
    """The model under the name to ask for it by."""
    view: OpenrouterModel = {
        "id": name,
        "canonical_slug": f"{model.provider}/{model.id}",
        "name": model.name,
        "description": model.description,
        "created": day_s(model.released),
        "supported_resolutions": [_capital(one) for one in model.resolutions] or None,
        "supported_aspect_ratios": list(model.aspect_ratios) or None,
        "supported_sizes": _sizes(model) or None,
        "supported_durations": list(model.durations_s) or None,
        "supported_frame_images": [word for role, word in FRAMES.items() if model.inputs.get(role)] or None,
        "generate_audio": model.audio is not Audio.NEVER,
        "seed": model.seed,
        "upscale_factor": None,
        "creativity": None,
        "allowed_passthrough_parameters": _passed_on(model),
    }
    skus = pricing_skus(model)
    if skus:
        view["pricing_skus"] = skus
    return view


def pricing_skus(model: Model) -> dict[str, str]:
    """The price list by OpenRouter's names; empty where these cannot say it, or it is not known."""
    named = [_sku(price) for price in model.prices]
    return {} if None in named else dict(one for one in named if one is not None)


def _sku(price: Price) -> tuple[str, str] | None:
    others = (price.aspect_ratio, price.duration_s, price.task, price.region, price.least_usd, price.usd_per_input_s)
    if any(one is not None for one in (*others, price.usd_per_input_image)):
        return None
    tier = "" if price.resolution is None else f"_{price.resolution}"
    sound = {True: "_with_audio", False: "_without_audio", None: ""}[price.audio]
    if price.usd_per_s is not None and price.video_input is None and not price.counts_input_s:
        return f"duration_seconds{sound}{tier}", _figure(price.usd_per_s)
    if price.usd_per_million_tokens is not None:
        rate = _figure(price.usd_per_million_tokens / MILLION)
        if price.video_input is None and not price.counts_input_s:
            return f"video_tokens{tier}{sound}", rate
        if price.video_input and price.counts_input_s and price.audio is None:
            return f"video_tokens{tier}_with_video_input", rate
    return None


def _figure(number: Decimal) -> str:
    return format(number.normalize(), "f")


def _capital(resolution: str) -> str:
    return resolution.upper() if resolution.endswith("k") else resolution


def _sizes(model: Model) -> list[str]:
    found = (
        model.sizes.get(resolution, {}).get(ratio) or pixels(resolution, ratio)
        for resolution in model.resolutions
        for ratio in model.aspect_ratios
    )
    return list(dict.fromkeys(one for one in found if one is not None))


def _passed_on(model: Model) -> list[str]:
    portable = ("negative_prompt",) if model.negative_prompt else ()
    people = ("person_generation",) if model.person_generation else ()
    return [*portable, *people, *(model.additional_params or ())]
