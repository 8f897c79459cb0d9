"""How far a generation is, as an adapter reports it and as a caller sees it."""

from __future__ import annotations

from dataclasses import dataclass

from rushes.domain.output import Output
from rushes.errors import ProviderError

Handle = dict[str, object]
"""What an adapter needs to find its generation again: JSON that it alone understands. The job row keeps it."""

PROGRESS_CEILING = 95
"""The most that an unfinished job shows, in percent, whether its progress is reported or estimated."""


@dataclass(frozen=True, slots=True)
class Working:
    """Not done yet. `fraction` (0 to 1) only if the provider reports one; `wait_s` if it asks us to wait."""

    fraction: float | None = None
    wait_s: float | None = None


@dataclass(frozen=True, slots=True)
class Done:
    """Finished with at least one output; `missing` says why there are fewer than asked for."""

    outputs: tuple[Output, ...]
    missing: str | None = None


@dataclass(frozen=True, slots=True)
class Failed:
    """Finished without any output; `error` says why, in our terms."""

    error: ProviderError


Progress = Working | Done | Failed


@dataclass(frozen=True, slots=True)
class Submission:
    """An accepted generation: how to find it again, how far it already is, and the id its provider knows it by."""

    handle: Handle
    progress: Progress = Working()
    provider_video_id: str | None = None


def estimate_percent(elapsed_s: float, usual_s: float) -> int:
    """Progress in percent for a provider that reports none: linear in its usual time, at most 95."""
    if usual_s <= 0:
        return PROGRESS_CEILING
    return int(max(0.0, min(PROGRESS_CEILING, 100 * elapsed_s / usual_s)))
