"""Which models meet a wish, and which of them cost least: for the API, the command line and the docs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import date
from decimal import Decimal, InvalidOperation
from typing import Final

from rushes.catalogue.check import SOUND
from rushes.catalogue.load import Catalogue
from rushes.catalogue.model import Model
from rushes.catalogue.price import estimate_usd
from rushes.catalogue.wording import listed, shown
from rushes.domain.request import InputMedia, Role, VideoRequest, VideoTask
from rushes.errors import UnsupportedOption

FILTERS: Final = ("provider", "inputs", "video_task", "resolution", "max_usd_per_second", "audio", "alive", "sort")
"""The names under which a wish is written."""
SORTS: Final = ("catalogue", "price")
TRUTH: Final = {"true": True, "false": False}
EDITED_S: Final = 5
"""How long a video is taken to be whose length a price follows."""
LONGEST_NUMBER: Final = 20


@dataclass(frozen=True, slots=True)
class Wish:
    """What a caller asks of a model; a part that is None or empty asks nothing."""

    provider: str | None = None
    inputs: frozenset[Role] = frozenset()
    """Roles that it must all take, though not all at once."""
    video_task: VideoTask | None = None
    resolution: str | None = None
    most_usd_per_s: Decimal | None = None
    """Of the least that a second costs with the other parts of the wish. A model of unknown price is too dear."""
    audio: bool | None = None
    """Whether there is sound; a model that leaves the choice meets both."""
    alive: bool | None = None
    """Whether its provider still runs it."""
    by_price: bool = False
    """Whether the cheapest comes first, those of unknown price last."""

    @property
    def asks(self) -> bool:
        """Whether it asks anything of a model."""
        return replace(self, by_price=False) != Wish()

    def is_met_by(self, model: Model, today: date) -> bool:
        """Whether the model can do all of it."""
        if self.provider not in (None, model.provider) or not self.inputs <= model.inputs.keys():
            return False
        if self.video_task is not None and self.video_task not in model.video_tasks:
            return False
        if self.resolution is not None and self.resolution not in model.resolutions:
            return False
        if self.audio is not None and self.audio not in SOUND[model.audio]:
            return False
        if self.alive is not None and self.alive is (model.retired is not None and model.retired <= today):
            return False
        if self.most_usd_per_s is None:
            return True
        usd = self.price_of(model)
        return usd is not None and usd <= self.most_usd_per_s

    def price_of(self, model: Model) -> Decimal | None:
        """The least that a second costs with this resolution, sound and task; None if it is not known."""
        return least_usd_per_s(model, resolution=self.resolution, audio=self.audio, task=self.video_task)

    def met(self, models: Iterable[Model], today: date) -> list[Model]:
        """The models that meet it, in their order or by price."""
        found = [model for model in models if self.is_met_by(model, today)]
        return sorted(found, key=self.rank) if self.by_price else found

    def groups(self, catalogue: Catalogue, today: date) -> list[tuple[str, list[Model]]]:
        """The models that meet it by provider, without providers of which none is left if it asks anything.

        By price, the provider with the cheapest model comes first.
        """
        found = [(provider, self.met(catalogue.models(provider), today)) for provider in catalogue.providers]
        if self.asks:
            found = [(provider, models) for provider, models in found if models]
        if self.by_price:
            found.sort(key=lambda group: min(map(self.rank, group[1]), default=(True, Decimal(0))))
        return found

    def rank(self, model: Model) -> tuple[bool, Decimal]:
        """Sorts the cheapest first and an unknown price last."""
        usd = self.price_of(model)
        return (usd is None, usd or Decimal(0))


def least_usd_per_s(
    model: Model, *, resolution: str | None = None, audio: bool | None = None, task: VideoTask | None = None
) -> Decimal | None:
    """The least that a second of a video of the default length costs by list price; None if that is not known.

    What is None may be anything that the model offers. A model that needs a video is priced for one of 5 s.
    """
    if task is None and Role.VIDEO in model.required_inputs:
        task = next(iter(model.video_tasks), None)
    media: tuple[InputMedia, ...] = ()
    length_s = model.defaults.duration_s
    if task is not None:
        media = (InputMedia(Role.VIDEO, "", "video/mp4", 0, "", duration_s=EDITED_S),)
        entry = model.video_tasks[task]
        length_s = length_s if entry.durations_s is None else entry.duration_s or next(iter(entry.durations_s), None)
    found = []
    for one in (resolution,) if resolution is not None else model.resolutions or (None,):
        for sound in (audio,) if audio is not None else SOUND[model.audio]:
            request = VideoRequest(
                "",
                resolution=one,
                aspect_ratio=model.defaults.aspect_ratio,
                duration_s=length_s,
                generate_audio=sound,
                media=media,
                video_task=task,
            )
            usd = estimate_usd(model, request)
            if usd is not None:
                found.append(usd / (EDITED_S if length_s is None else length_s))
    return min(found, default=None)


def wish_of(written: Mapping[str, str], catalogue: Catalogue) -> Wish:
    """The wish that these texts are, by the names of `FILTERS`; an empty text counts as not given.

    Raises UnsupportedOption naming the filter, the value and what is allowed.
    """
    given = {name: text for name, text in written.items() if text}
    inputs = (_one_of("inputs", text.strip(), _ROLES) for text in given.get("inputs", "").split(",") if text.strip())
    return Wish(
        provider=_named(given, "provider", catalogue.providers),
        inputs=frozenset(_ROLES[name] for name in inputs),
        video_task=_as_task(_named(given, "video_task", tuple(VideoTask))),
        resolution=_named(given, "resolution", resolutions_of(catalogue)),
        most_usd_per_s=_usd(given),
        audio=_truth(given, "audio"),
        alive=_truth(given, "alive"),
        by_price=_named(given, "sort", SORTS) == "price",
    )


_ROLES: Final = {name: role for role in Role for name in (role.value, role.field)}


def _as_task(name: str | None) -> VideoTask | None:
    return None if name is None else VideoTask(name)


def resolutions_of(catalogue: Catalogue) -> tuple[str, ...]:
    """Every resolution that some model makes."""
    return tuple(dict.fromkeys(one for model in catalogue.models() for one in model.resolutions))


def _named(given: Mapping[str, str], name: str, allowed: Iterable[str]) -> str | None:
    return None if name not in given else _one_of(name, given[name], allowed)


def _one_of(name: str, value: str, allowed: Iterable[str]) -> str:
    known = tuple(allowed)
    if value not in known:
        raise UnsupportedOption(f"{name} {shown(value)} is not known; it is one of {listed(known)}", field=name)
    return value


def _truth(given: Mapping[str, str], name: str) -> bool | None:
    return None if name not in given else TRUTH[_one_of(name, given[name], TRUTH)]


def _usd(given: Mapping[str, str]) -> Decimal | None:
    name = "max_usd_per_second"
    if name not in given:
        return None
    try:
        usd = Decimal(given[name]) if len(given[name]) <= LONGEST_NUMBER else Decimal("NaN")
    except InvalidOperation:
        usd = Decimal("NaN")
    if not usd.is_finite() or usd < 0:
        raise UnsupportedOption(
            f"{name} {shown(given[name])} is not a price; it is a number of dollars from 0, such as 0.10", field=name
        )
    return usd
