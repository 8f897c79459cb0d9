"""The shape of a catalogue entry. A list is exhaustive: a value that is not in it is refused before money is spent."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import date
from decimal import Decimal
from enum import StrEnum
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict

from rushes.domain.request import Role, VideoTask


class Frozen(BaseModel):
    """Immutable, and strict about unknown keys, so that a typo in a catalogue file is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid")


def _spelled_out(durations: object) -> object:
    """`["4-8", 10]` as `[4, 5, 6, 7, 8, 10]`."""
    if not isinstance(durations, list | tuple):
        return durations
    found: list[object] = []
    for item in durations:
        run = re.fullmatch(r"([1-9][0-9]{0,3})-([1-9][0-9]{0,3})", item) if isinstance(item, str) else None
        found += [item] if run is None else range(int(run[1]), int(run[2]) + 1)
    return tuple(found)


Durations = Annotated[tuple[int, ...], BeforeValidator(_spelled_out)]
"""Whole seconds. A file may write a run of them as "4-15"."""


def _as_json(value: Any) -> Any:
    if isinstance(value, Decimal):
        return float(value)
    if isinstance(value, Mapping):
        return {name: _as_json(item) for name, item in value.items()}
    return [_as_json(item) for item in value] if isinstance(value, list | tuple) else value


class Audio(StrEnum):
    """Whether a sound track can be chosen."""

    OPTIONAL = "optional"
    ALWAYS = "always"
    NEVER = "never"


class Price(Frozen):
    """One row of a price list: what is charged, in USD, and for which requests.

    Exactly one of the three rates is given. A condition that is left out matches every request; the first row whose
    conditions all match is the one that counts.
    """

    usd_per_s: Decimal | None = None
    """For one second of output."""
    usd_per_video: Decimal | None = None
    """For one video, whatever its length."""
    usd_per_million_tokens: Decimal | None = None
    """For a million tokens, of which a video has width x height x `token_fps` x seconds / 1024."""
    token_fps: int = 24

    counts_input_s: bool = False
    """Whether the seconds of the videos that are given are charged like those of output."""
    usd_per_input_s: Decimal | None = None
    """For one second of the videos that are given, where that has a rate of its own."""
    usd_per_input_image: Decimal | None = None
    """For one image that is given, beyond `free_input_images`."""
    free_input_images: int = 0
    least_usd: Decimal | None = None
    """The least that one video costs."""

    resolution: str | None = None
    aspect_ratio: str | None = None
    audio: bool | None = None
    """Whether the output has sound."""
    duration_s: int | None = None
    video_input: bool | None = None
    """Whether a video is given, in any role."""
    task: VideoTask | None = None
    region: str | None = None


class Defaults(Frozen):
    """What an option becomes when the caller leaves it out; pinned on the job when it is accepted."""

    aspect_ratio: str | None = None
    resolution: str | None = None
    duration_s: int | None = None
    generate_audio: bool | None = None


class TestMode(Frozen):
    """Values that test keys may use besides the model's own, because the published contract's page lists them."""

    aspect_ratios: tuple[str, ...] = ()


class InputLimit(Frozen):
    """How long the files of one role may be, in seconds; None: not limited."""

    least_s: float | None = None
    most_s: float | None = None
    """Of each file."""
    total_s: float | None = None
    """Of all files of the role together."""


class TaskEntry(Frozen):
    """One thing that the model can do to the `video` input. What is None is as without a video."""

    durations_s: Durations | None = None
    """The lengths that may be asked for. Empty: none, because the length follows from the video."""
    duration_s: int | None = None
    """The length where the caller gives none."""
    resolutions: tuple[str, ...] | None = None
    aspect_ratios: tuple[str, ...] | None = None
    """Empty: none may be asked for, because they follow from the video."""
    least_s: float | None = None
    most_s: float | None = None
    """How long the video may be that is given."""


class InputRule(Frozen):
    """What an input asks of the rest of the request; an empty list asks nothing.

    Where the caller leaves an option out whose default is not in a list, the first value of the list takes its place.
    """

    role: Role
    given: bool = True
    """False: the rule holds while no file of this role is given."""
    needs: tuple[Role, ...] = ()
    """Roles that must all be given too."""
    needs_one_of: tuple[Role, ...] = ()
    excludes: tuple[Role, ...] = ()
    durations_s: Durations = ()
    resolutions: tuple[str, ...] = ()
    aspect_ratios: tuple[str, ...] = ()
    audio: bool | None = None
    """The only sound that it goes with."""
    follows: tuple[Literal["aspect_ratio", "resolution"], ...] = ()
    """Options that follow from the file, so that none may be asked for."""


class OptionRule(Frozen):
    """Which values go with others: where every condition holds, only the listed values are offered.

    Where the caller leaves an option out whose value is not in a list, the first value of the list takes its place.
    """

    resolution: str | None = None
    aspect_ratio: str | None = None
    duration_s: int | None = None
    audio: bool | None = None
    """The conditions."""
    durations_s: Durations = ()
    resolutions: tuple[str, ...] = ()
    aspect_ratios: tuple[str, ...] = ()


class Model(Frozen):
    """One model of one provider: what it accepts, costs and promises, with the page that says so."""

    id: str
    provider: str
    name: str
    description: str = ""
    maker: str | None = None
    """The provider that made it: a bare id offered by several goes there."""

    released: date | None = None
    retired: date | None = None
    successors: dict[str, str] = {}
    """Per API (or "any"), the model id that a retired one is served by."""
    apis: tuple[str, ...] = ()
    """Which of the provider's APIs serve it today; empty where the provider has only one, or where none does."""
    upstream_ids: dict[str, str] = {}
    """Per API or region, the id to send there, where it is not ours."""
    regions: tuple[str, ...] = ()
    """Where the provider has several regions: those that have the model. Empty: all of them."""
    wire: Annotated[dict[str, Any], BeforeValidator(_as_json)] = {}
    """What the adapter alone reads: how it says things to this model. The adapter checks it at the start."""

    prompt_chars: int
    aspect_ratios: tuple[str, ...] = ()
    resolutions: tuple[str, ...] = ()
    sizes: dict[str, dict[str, str]] = {}
    """Per resolution and aspect ratio, the WIDTHxHEIGHT to ask for, where a provider takes pixels and this model
    wants others than `catalogue.size.pixels` gives."""
    durations_s: Durations = ()
    defaults: Defaults = Defaults()
    audio: Audio = Audio.NEVER
    seed: bool = False
    negative_prompt: bool = False
    person_generation: tuple[str, ...] = ()
    inputs: dict[Role, int] = {}
    """How many files it takes in each role; a role left out is not accepted."""
    most_inputs: int | None = None
    """How many files it takes in all roles together. None: as many as `inputs` adds up to."""
    required_inputs: tuple[Role, ...] = ()
    """Roles without which the model makes nothing: at least one file of each must be given."""
    additional_params: tuple[str, ...] | None = None
    """The only names that `additional_params` may hold. None: any, and the provider judges."""
    input_limits: dict[Role, InputLimit] = {}
    """How long videos and audio may be."""
    input_rules: tuple[InputRule, ...] = ()
    option_rules: tuple[OptionRule, ...] = ()
    tasks: dict[VideoTask, TaskEntry] = {}
    """What it can do to the `video` input. A model that takes one and lists nothing extends it."""
    max_n: int = 1
    """Videos per job."""
    n_per_call: int = 1
    """Videos per provider call; a job for more is several calls."""
    test_mode: TestMode = TestMode()

    usual_s: float
    """How long a generation usually takes; progress is estimated from it where none is reported."""
    poll_interval_s: float = 5
    """Time between polls of a young job; older ones are polled less often."""
    deadline_s: int = 1200
    """After this long since the job was accepted it is given up as expired."""
    hold_s: float = 0
    """How long a new job stays cancellable before it is submitted."""
    concurrency: int | None = None
    """How many jobs of this model run at once; the rest stay pending. None: no limit of ours."""
    reports_progress: bool = False
    repeatable_submit: bool = False
    """Submitting twice under one attempt id makes one generation, so a lost answer is simply asked for again."""
    can_cancel: bool = False
    output_lifetime_s: int = 86_400
    """How long the provider keeps a finished video; storing it is retried for that long."""

    prices: tuple[Price, ...] = ()
    """First match wins; none means unknown."""
    source: str
    checked: date

    def upstream_id(self, api: str | None) -> str:
        """The id that this API or region of the provider knows the model by."""
        return self.id if api is None else self.upstream_ids.get(api, self.id)

    def in_region(self, region: str | None) -> Model:
        """The entry without the prices of other regions."""
        prices = tuple(price for price in self.prices if price.region in (None, region))
        return self if len(prices) == len(self.prices) else self.model_copy(update={"prices": prices})

    @property
    def video_tasks(self) -> Mapping[VideoTask, TaskEntry]:
        """What it can do to the `video` input; nothing if it takes none."""
        if not self.inputs.get(Role.VIDEO):
            return {}
        return self.tasks or {VideoTask.EXTEND: TaskEntry()}
