"""What a model looks like as JSON: what it takes, what it costs, and what really runs today."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date
from decimal import Decimal
from typing import Any, Literal

from pydantic import BaseModel, Field

from rushes.catalogue.check import offers_of
from rushes.catalogue.choose import served
from rushes.catalogue.load import Catalogue
from rushes.catalogue.model import Audio, InputLimit, Model, OptionRule
from rushes.domain.options import DEFAULTED
from rushes.domain.request import InputMedia, Role, VideoRequest, VideoTask
from rushes.json_text import json_bytes
from rushes.views.times import day_s

ServedApis = Mapping[str, str | None]
"""The providers that there are credentials for, each with which of its APIs is in use; None where it has one only."""


class PriceView(BaseModel):
    """A row of the price list. A condition that is null matches every request; the first match counts."""

    usd_per_second: float | None = Field(description="For one second of output; null if it is charged otherwise.")
    usd_per_video: float | None
    usd_per_million_tokens: float | None
    usd_per_input_second: float | None = Field(description="For one second of the videos that are given.")
    counts_input_seconds: bool = Field(description="Whether videos that are given are charged like output.")
    usd_per_input_image: float | None = Field(description="For each image that is given beyond `free_input_images`.")
    free_input_images: int
    least_usd: float | None = Field(description="The least that one video costs.")
    resolution: str | None
    generate_audio: bool | None
    aspect_ratio: str | None
    duration: int | None
    video_input: bool | None = Field(description="Whether a video is given.")
    video_task: VideoTask | None


class LimitsView(BaseModel):
    """How much at once, and for how long."""

    n: int = Field(description="Most videos in one job.")
    prompt_characters: int
    concurrent_jobs: int | None = Field(description="Jobs of this model that run at once; null means no limit of ours.")
    usual_seconds: float = Field(description="How long a generation usually takes.")
    deadline_seconds: int = Field(description="After this long a job is given up as expired.")


class InputRuleView(BaseModel):
    """What giving this input asks of the rest of the request. An empty list asks nothing."""

    input: Role
    given: bool = Field(description="False: the rule holds while this input is not given.")
    needs: list[Role]
    needs_one_of: list[Role]
    excludes: list[Role]
    duration: list[int] = Field(description="The only durations it goes with; empty means all.")
    resolution: list[str]
    aspect_ratio: list[str]
    generate_audio: bool | None = Field(description="The only sound it goes with; null means any.")
    follows: list[str] = Field(description="Options that follow from the input, so that none may be asked for.")


class OptionRuleView(BaseModel):
    """Values that go together: where all of `where` holds, only `allowed` is offered."""

    where: dict[str, Any]
    allowed: dict[str, list[Any]]


class InputLimitView(BaseModel):
    """How long the files of one role may be, in seconds; null means not limited."""

    least_seconds: float | None
    most_seconds: float | None = Field(description="Of each file.")
    total_seconds: float | None = Field(description="Of all files of the role together.")


class TaskView(BaseModel):
    """What can be done to the `video` input: the values it takes, and how long the video may be."""

    allowed: dict[str, list[Any]] = Field(description="An option with no value follows from the video.")
    defaults: dict[str, Any]
    least_seconds: float | None
    most_seconds: float | None


class ModelView(BaseModel):
    """One model. `allowed` and `defaults` are keyed by the fields of POST /videos/generations."""

    id: str
    object: Literal["model"] = "model"
    provider: str
    full_id: str = Field(description="`provider/id`; works wherever a model is named.")
    name: str
    description: str
    type: Literal["video_generation"] = "video_generation"
    owned_by: str = Field(description="Who made it.")
    created: int = Field(description="The release in seconds since 1970; 0 where it is not known.")
    capabilities: list[str]
    status: Literal["available", "retired"]
    has_credentials: bool = Field(description="Whether it works without byok_api_key and without a test key.")
    released: date | None
    retired: date | None = Field(description="When it ends or ended at its provider.")
    successor: str | None = Field(
        description="The model that runs in its place once it is retired; null if none does, or while that depends on"
        " the API."
    )
    successors: dict[str, str | None] = Field(description="The same for each of the provider's APIs.")
    surfaces: list[str] = Field(description="Which of the provider's APIs offer it; empty where there is only one.")
    allowed: dict[str, list[Any]] = Field(description="Every value that each option takes.")
    defaults: dict[str, Any] = Field(description="What an option becomes when it is left out.")
    inputs: dict[Role, int] = Field(description="How many files it takes in each role.")
    most_inputs: int | None = Field(description="Files in all roles together; null means as many as the roles allow.")
    required_inputs: list[Role] = Field(description="Roles without which it makes no video.")
    additional_params: list[str] | None = Field(
        description="The only names that `additional_params` may hold; null means any, which the provider judges."
    )
    input_limits: dict[Role, InputLimitView]
    input_rules: list[InputRuleView]
    option_rules: list[OptionRuleView]
    video_tasks: dict[VideoTask, TaskView] = Field(description="What it can do to a video; empty if it takes none.")
    seed: bool
    negative_prompt: bool
    prices: list[PriceView] = Field(description="Empty where the price is not known.")
    currency: str = "USD"
    limits: LimitsView
    source: str
    checked: date = Field(description="When the source was last read.")


def model_texts(catalogue: Catalogue, served_apis: ServedApis, models: Sequence[Model], today: date) -> list[bytes]:
    """These models as JSON. Each is written once a day, because all of them together take long."""
    # Successors follow from other models, so a catalogue that has grown has other views.
    situation = (catalogue.models(), dict(served_apis), today)
    if _kept.situation is None or _kept.situation[0] is not situation[0] or _kept.situation[1:] != situation[1:]:
        _kept.situation, _kept.texts = situation, {}
    for model in models:
        name = (model.provider, model.id)
        if name not in _kept.texts:
            _kept.texts[name] = json_bytes(model_view(catalogue, served_apis, model, today))
    return [_kept.texts[model.provider, model.id] for model in models]


class _Kept:
    """The models of one catalogue on one day."""

    def __init__(self) -> None:
        self.situation: tuple[tuple[Model, ...], dict[str, str | None], date] | None = None
        self.texts: dict[tuple[str, str], bytes] = {}


_kept = _Kept()


def model_view(catalogue: Catalogue, served_apis: ServedApis, model: Model, today: date) -> ModelView:
    """The model as callers see it today."""
    retired = model.retired is not None and model.retired <= today
    successors = {api: _successor(catalogue, model, api, today) for api in model.successors}
    return ModelView(
        id=model.id,
        provider=model.provider,
        full_id=f"{model.provider}/{model.id}",
        name=model.name,
        description=model.description,
        owned_by=model.maker or model.provider,
        created=day_s(model.released),
        capabilities=capabilities(model),
        status="retired" if retired else "available",
        has_credentials=model.provider in served_apis,
        released=model.released,
        retired=model.retired,
        successor=_successor_in_use(catalogue, served_apis, model, successors, today),
        successors=successors,
        surfaces=list(model.apis),
        allowed=allowed(model),
        defaults=defaults(model),
        inputs=model.inputs,
        input_rules=[
            InputRuleView(
                input=rule.role,
                given=rule.given,
                needs=list(rule.needs),
                needs_one_of=list(rule.needs_one_of),
                excludes=list(rule.excludes),
                duration=list(rule.durations_s),
                resolution=list(rule.resolutions),
                aspect_ratio=list(rule.aspect_ratios),
                generate_audio=rule.audio,
                follows=list(rule.follows),
            )
            for rule in model.input_rules
        ],
        most_inputs=model.most_inputs,
        required_inputs=list(model.required_inputs),
        additional_params=None if model.additional_params is None else list(model.additional_params),
        input_limits={role: _limit_view(limit) for role, limit in model.input_limits.items()},
        option_rules=[_option_rule_view(rule) for rule in model.option_rules],
        video_tasks={task: _task_view(model, task) for task in model.video_tasks},
        seed=model.seed,
        negative_prompt=model.negative_prompt,
        prices=[
            PriceView(
                usd_per_second=_number(price.usd_per_s),
                usd_per_video=_number(price.usd_per_video),
                usd_per_million_tokens=_number(price.usd_per_million_tokens),
                usd_per_input_second=_number(price.usd_per_input_s),
                counts_input_seconds=price.counts_input_s,
                usd_per_input_image=_number(price.usd_per_input_image),
                free_input_images=price.free_input_images,
                least_usd=_number(price.least_usd),
                resolution=price.resolution,
                generate_audio=price.audio,
                aspect_ratio=price.aspect_ratio,
                duration=price.duration_s,
                video_input=price.video_input,
                video_task=price.task,
            )
            for price in model.prices
        ],
        limits=LimitsView(
            n=model.max_n,
            prompt_characters=model.prompt_chars,
            concurrent_jobs=model.concurrency,
            usual_seconds=model.usual_s,
            deadline_seconds=model.deadline_s,
        ),
        source=model.source,
        checked=model.checked,
    )


def capabilities(model: Model) -> list[str]:
    """What the model can do, in the words that model lists use."""
    has = {
        "text_to_video": not model.required_inputs,
        "image_to_video": Role.INPUT_IMAGE in model.inputs,
        "reference_to_video": Role.REFERENCE_IMAGE in model.inputs,
        "frame_interpolation": Role.LAST_FRAME in model.inputs,
        "video_extension": VideoTask.EXTEND in model.video_tasks,
        "video_editing": VideoTask.EDIT in model.video_tasks,
        "video_upscaling": VideoTask.UPSCALE in model.video_tasks,
        "video_reference": Role.REFERENCE_VIDEO in model.inputs,
        "audio_reference": Role.REFERENCE_AUDIO in model.inputs,
        "audio_generation": model.audio is not Audio.NEVER,
    }
    return [name for name, present in has.items() if present]


def allowed(model: Model) -> dict[str, list[Any]]:
    """Every value of the options that take listed values; an option with no value is not taken at all."""
    audio = {Audio.OPTIONAL: [True, False], Audio.ALWAYS: [True], Audio.NEVER: [False]}
    return {
        "aspect_ratio": list(model.aspect_ratios),
        "resolution": list(model.resolutions),
        "duration": list(model.durations_s),
        "generate_audio": list(audio[model.audio]),
        "person_generation": list(model.person_generation),
    }


def defaults(model: Model) -> dict[str, Any]:
    """What is pinned for options that are left out; null where the provider decides."""
    return {
        "aspect_ratio": model.defaults.aspect_ratio,
        "resolution": model.defaults.resolution,
        "duration": model.defaults.duration_s,
        "generate_audio": model.defaults.generate_audio,
        "n": 1,
    }


def _successor(catalogue: Catalogue, model: Model, api: str | None, today: date) -> str | None:
    """The model named as successor on this API or, where that is retired as well, the one that serves it."""
    named = model.successors.get(api or "any", model.successors.get("any"))
    successor = None if named is None else catalogue.find(model.provider, named)
    running = None if successor is None else served(successor, api, today, catalogue)
    return None if running is None else running.id


def _successor_in_use(
    catalogue: Catalogue, served_apis: ServedApis, model: Model, by_api: dict[str, str | None], today: date
) -> str | None:
    """On the API that we use; where we use none, what all APIs agree on."""
    api = served_apis.get(model.provider)
    if api is not None:
        return _successor(catalogue, model, api, today)
    agreed = set(by_api.values())
    return agreed.pop() if len(agreed) == 1 else None


def _number(usd: Decimal | None) -> float | None:
    return None if usd is None else float(usd)


def _limit_view(limit: InputLimit) -> InputLimitView:
    return InputLimitView(least_seconds=limit.least_s, most_seconds=limit.most_s, total_seconds=limit.total_s)


def _option_rule_view(rule: OptionRule) -> OptionRuleView:
    where = {
        "resolution": rule.resolution,
        "aspect_ratio": rule.aspect_ratio,
        "duration": rule.duration_s,
        "generate_audio": rule.audio,
    }
    allowed = {"resolution": rule.resolutions, "aspect_ratio": rule.aspect_ratios, "duration": rule.durations_s}
    return OptionRuleView(
        where={name: value for name, value in where.items() if value is not None},
        allowed={name: list(values) for name, values in allowed.items() if values},
    )


def _task_view(model: Model, task: VideoTask) -> TaskView:
    """The task as a request with a video finds it, before other inputs narrow it further."""
    video = InputMedia(Role.VIDEO, key="", content_type="", size_bytes=0, sha256="")
    offers = offers_of(model, VideoRequest("", media=(video,), video_task=task), test=False)
    entry = model.video_tasks[task]
    return TaskView(
        allowed={DEFAULTED[option]: list(offer.values) for option, (_, offer) in offers.items()},
        defaults={DEFAULTED[option]: offer.default for option, (_, offer) in offers.items()},
        least_seconds=entry.least_s,
        most_seconds=entry.most_s,
    )
