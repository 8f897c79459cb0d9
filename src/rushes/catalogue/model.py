"""The shape of a catalogue entry. A list is exhaustive: a value that is not in it is refused before money is spent."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from enum import StrEnum

from pydantic import BaseModel, ConfigDict

from rushes.domain.request import Role


class Frozen(BaseModel):
    """Immutable, and strict about unknown keys, so that a typo in a catalogue file is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Audio(StrEnum):
    """Whether a sound track can be chosen."""

    OPTIONAL = "optional"
    ALWAYS = "always"
    NEVER = "never"


class Price(Frozen):
    """List price of one second of output in USD; a condition left out matches every request."""

    usd_per_s: Decimal
    resolution: str | None = None
    audio: bool | None = None


class Defaults(Frozen):
    """What an option becomes when the caller leaves it out; pinned on the job when it is accepted."""

    aspect_ratio: str | None = None
    resolution: str | None = None
    duration_s: int | None = None
    generate_audio: bool | None = None


class TestMode(Frozen):
    """Values that test keys may use besides the model's own, because the published contract's page lists them."""

    aspect_ratios: tuple[str, ...] = ()


class InputRule(Frozen):
    """What an input asks of the rest of the request; an empty list asks nothing."""

    role: Role
    needs: tuple[Role, ...] = ()
    excludes: tuple[Role, ...] = ()
    durations_s: tuple[int, ...] = ()


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
    """Per API, the id to send there, where it is not ours."""

    prompt_chars: int
    aspect_ratios: tuple[str, ...] = ()
    resolutions: tuple[str, ...] = ()
    sizes: dict[str, dict[str, str]] = {}
    """Per resolution and aspect ratio, the WIDTHxHEIGHT to ask for, where a provider takes pixels and this model
    wants others than `catalogue.size.pixels` gives."""
    durations_s: tuple[int, ...] = ()
    defaults: Defaults = Defaults()
    audio: Audio = Audio.NEVER
    seed: bool = False
    negative_prompt: bool = False
    person_generation: tuple[str, ...] = ()
    inputs: dict[Role, int] = {}
    """How many files it takes in each role; a role left out is not accepted."""
    input_rules: tuple[InputRule, ...] = ()
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
        """The id that this API of the provider knows the model by."""
        return self.id if api is None else self.upstream_ids.get(api, self.id)

    def price_usd_per_s(self, *, resolution: str | None, audio: bool | None) -> Decimal | None:
        """The list price of one output second under these options, or None if it is unknown."""
        for price in self.prices:
            if price.resolution in (None, resolution) and price.audio in (None, audio):
                return price.usd_per_s
        return None
