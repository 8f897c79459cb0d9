"""How a request for a retired model becomes one that its successor can run."""

from __future__ import annotations

import dataclasses
from typing import Any

from rushes.catalogue.check import complete, offers_of
from rushes.catalogue.model import Model
from rushes.catalogue.wording import shown
from rushes.domain.options import DEFAULTED
from rushes.domain.request import VideoRequest
from rushes.errors import UnsupportedOption


def complete_for(
    asked: Model, served: Model, request: VideoRequest, *, test: bool
) -> tuple[VideoRequest, tuple[str, ...]]:
    """The request that `served` will run for `asked`, and a warning for each default that had to change.

    What the caller gave must be offered by both, or UnsupportedOption is raised. What was left out keeps the default
    of the model asked for; only where the successor does not offer that value, the successor's default takes over.
    """
    pinned = complete(asked, request, test=test)
    if served is asked:
        return pinned, ()
    dropped = [
        option
        for option in DEFAULTED
        if getattr(request, option) is None and not offers(served, request, option, getattr(pinned, option))
    ]
    left_open: dict[str, Any] = dict.fromkeys(dropped)
    try:
        completed = complete(served, dataclasses.replace(pinned, **left_open), test=test)
    except UnsupportedOption as exc:
        raise UnsupportedOption(
            f"{exc.message} ('{served.id}' serves '{asked.id}', which is retired)", exc.field
        ) from exc
    warnings = tuple(
        f"{DEFAULTED[option]} {shown(getattr(pinned, option))}, the default of '{asked.id}', is not offered by "
        f"'{served.id}', whose own default takes over"
        for option in dropped
    )
    return completed, warnings


def with_defaults_of(completed: VideoRequest, model: Model, request: VideoRequest) -> VideoRequest:
    """What `model` is asked for in place of another, which would have run `completed` for `request`.

    What was left out keeps the other's default where this model offers it, so that the video differs as little as may
    be; else this model's own default takes over.
    """
    kept: dict[str, Any] = {
        option: getattr(completed, option)
        for option in DEFAULTED
        if getattr(request, option) is None and offers(model, request, option, getattr(completed, option))
    }
    return dataclasses.replace(request, **kept)


def offers(model: Model, request: VideoRequest, option: str, value: object) -> bool:
    """Whether one of the options that have defaults may have this value, in a request like this one."""
    try:
        _, offer = offers_of(model, request, test=False)[option]
    except UnsupportedOption:
        return False
    return value is None or value in offer.values
