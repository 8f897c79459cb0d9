"""How each model ends: the table that lets people meet every fate of a job without paying, as test cards do."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass

from rushes.errors import ContentFiltered, ProviderError, ProviderRejected

Ending = Callable[[str], ProviderError | None]
"""Given the attempt id, the error that the generation ends with, or None if it succeeds."""


def _succeeds(attempt_id: str) -> None:
    return None


def _is_rejected(attempt_id: str) -> ProviderError:
    return ProviderRejected(
        "the model 'animatic/fail' fails every generation, as it is made to do; use 'animatic/storyboard' for a video",
        provider_error="rejected_on_purpose",
    )


def _is_filtered(attempt_id: str) -> ProviderError:
    return ContentFiltered(
        "the model 'animatic/filtered' refuses every prompt as a safety filter would; "
        "use 'animatic/storyboard' for a video",
        provider_error="filtered_on_purpose",
    )


def _is_rejected_half_the_time(attempt_id: str) -> ProviderError | None:
    if hashlib.sha256(attempt_id.encode()).digest()[0] % 2:
        return None
    return ProviderRejected(
        "the model 'animatic/flaky' fails every other generation by chance, and this was one; try again",
        provider_error="flaky_on_purpose",
    )


@dataclass(frozen=True, slots=True)
class Behaviour:
    """The fate of a model's generations; `takes_s` is the least time before they end, by the clock passed in."""

    takes_s: float = 0
    ending: Ending = _succeeds
    never_ends: bool = False
    loses_answer: bool = False


BEHAVIOURS = {
    "storyboard": Behaviour(),
    "slow": Behaviour(takes_s=10),
    "fail": Behaviour(takes_s=1, ending=_is_rejected),
    "filtered": Behaviour(takes_s=1, ending=_is_filtered),
    "flaky": Behaviour(takes_s=1, ending=_is_rejected_half_the_time),
    "stuck": Behaviour(never_ends=True),
    "lost": Behaviour(loses_answer=True),
}
