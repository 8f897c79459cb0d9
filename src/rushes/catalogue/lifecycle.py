"""Which models are retired or soon will be, and what serves them then."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta

from rushes.catalogue.choose import served
from rushes.catalogue.load import Catalogue
from rushes.catalogue.model import Model


@dataclass(frozen=True, slots=True)
class Ending:
    """A model that is retired or has a date for it, as seen on one day."""

    model: Model
    retired: date
    days_left: int
    """Until its retirement; 0 or less once it is retired."""
    successors: dict[str, str]
    """Per API (or "any"), the id of the model that serves it from then on; only APIs that have one."""

    @property
    def is_retired(self) -> bool:
        """Whether that day has come."""
        return self.days_left <= 0

    def successor_on(self, api: str | None) -> str | None:
        """The id of the model that serves it on one API, if any does."""
        anywhere = self.successors.get("any")
        return anywhere if api is None else self.successors.get(api, anywhere)


def endings(catalogue: Catalogue, today: date, *, within_days: int) -> list[Ending]:
    """Every model that is retired, or will be within so many days; the next to go first, the long gone last."""
    last = today + timedelta(days=within_days)
    found = [
        Ending(model, model.retired, (model.retired - today).days, _successors(catalogue, model, today))
        for model in catalogue.models()
        if model.retired is not None and model.retired <= last
    ]
    return sorted(found, key=lambda ending: (ending.is_retired, abs(ending.days_left)))


def _successors(catalogue: Catalogue, model: Model, today: date) -> dict[str, str]:
    """Who serves on each API when both have come: today, and the day of the retirement."""
    assert model.retired is not None
    day = max(today, model.retired)
    found: dict[str, str] = {}
    for api in model.successors:
        heir = served(model, None if api == "any" else api, day, catalogue)
        if heir is not None:
            found[api] = heir.id
    return found
