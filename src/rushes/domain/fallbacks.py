"""What may run a job instead of the model it was accepted for, and when it does: only while nothing was accepted."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from decimal import Decimal
from typing import Any

from rushes.domain.options import DEFAULTED
from rushes.domain.request import VideoRequest
from rushes.errors import ProviderAuth, ProviderCreditEmpty, ProviderQuota, ProviderUnavailable, RushesError

MOST_FALLBACKS = 5
FAILURES_TO_GIVE_WAY = 3
LONGEST_WAIT_S = 30.0
"""A provider that asks for a longer wait than this is left at once."""

VERSION = 1


@dataclass(frozen=True, slots=True)
class Fallback:
    """One model that may take a job over, with everything that was pinned for that case when the job was accepted."""

    name: str
    """As the caller asked for it: `provider/id`."""
    provider: str
    model: str
    api: str | None
    credential: str | None
    lane: str
    lane_capacity: int | None
    cost_usd: Decimal | None
    usual_s: float
    deadline_s: float
    reports_progress: bool
    options: Mapping[str, Any]
    warnings: tuple[str, ...] = ()

    def request(self, request: VideoRequest) -> VideoRequest:
        """The job's request with the options that this model gets."""
        return replace(request, **self.options)


def pinned_options(request: VideoRequest) -> dict[str, Any]:
    """The options of a request that a fallback keeps for itself."""
    return {option: getattr(request, option) for option in DEFAULTED}


@dataclass(frozen=True, slots=True)
class Fallbacks:
    """The fallbacks of one job in their order; the first `used` of them have had their turn."""

    models: tuple[Fallback, ...] = ()
    used: int = 0

    @property
    def next(self) -> Fallback | None:
        """Whose turn it would be."""
        return self.models[self.used] if self.used < len(self.models) else None

    def after_next(self) -> Fallbacks:
        """What is left once the next one has its turn."""
        return replace(self, used=self.used + 1)

    def to_json(self) -> str | None:
        """The versioned form that a job row keeps; None for no fallbacks."""
        if not self.models:
            return None
        models = [_json_of(model) for model in self.models]
        return json.dumps({"version": VERSION, "used": self.used, "models": models})

    @classmethod
    def from_json(cls, text: str | None) -> Fallbacks:
        """What `to_json` made."""
        if text is None:
            return NO_FALLBACKS
        content = json.loads(text)
        return cls(tuple(_fallback_from(item) for item in content["models"]), content["used"])


NO_FALLBACKS = Fallbacks()


def gives_way(error: RushesError, failures: int, *, byok: bool) -> bool:
    """Whether a model that has certainly not accepted should leave the job to the next one.

    `failures` counts the calls in a row that it did not accept. A refused prompt is not shopped around. A caller's own
    key that is wrong or spent is the caller's to know of, and opens no other model either.
    """
    match error:
        case ProviderAuth() | ProviderCreditEmpty():
            return not byok
        case ProviderQuota() | ProviderUnavailable():
            waits_long = error.retry_after_s is not None and error.retry_after_s > LONGEST_WAIT_S
            return waits_long or failures >= FAILURES_TO_GIVE_WAY
        case _:
            return False


def _json_of(model: Fallback) -> dict[str, Any]:
    item = asdict(model)
    # Rows keep the name that they had in the first release.
    item["surface"] = item.pop("api")
    return item | {"cost_usd": None if model.cost_usd is None else str(model.cost_usd)}


def _fallback_from(item: dict[str, Any]) -> Fallback:
    cost_usd = None if item["cost_usd"] is None else Decimal(item["cost_usd"])
    given = {**item, "api": item["surface"], "cost_usd": cost_usd, "warnings": tuple(item["warnings"])}
    del given["surface"]
    return Fallback(**given)
