"""Which model a request means, and which model runs it once the one it means is retired."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from datetime import date

from rushes.catalogue.load import Catalogue, ProviderEntry
from rushes.catalogue.model import Model
from rushes.catalogue.wording import listed, shown
from rushes.errors import FieldError, InvalidRequest, ModelNotFound, ProviderNotFound, UnsupportedOption

DEFAULT_MODEL = "veo-3.0-generate-001"

SUGGESTIONS = 5
NEAR = 0.6
"""From this likeness (0 to 1) on a name is suggested."""
COMPARED_CHARS = 200
"""Near matches are sought for this much of a name, so that a huge one costs nothing."""


def choose(catalogue: Catalogue, model: str | None, provider: str | None) -> Model:
    """The model that `model` (an id, or `provider/id`) and `provider` name together.

    Raises ModelNotFound or ProviderNotFound with near matches, UnsupportedOption if the two contradict each other,
    InvalidRequest if one is empty or `model` is left out where the provider does not have the default model.
    """
    _refuse_empty("model", model)
    _refuse_empty("provider", provider)
    if provider is None:
        return _choose_anywhere(catalogue, DEFAULT_MODEL if model is None else model)
    get_provider(catalogue, provider)
    if model is None:
        return _choose_default_at(catalogue, provider)
    return _choose_at(catalogue, provider, model)


def get_provider(catalogue: Catalogue, name: str) -> ProviderEntry:
    """The provider of this name. Raises ProviderNotFound with near matches."""
    entry = catalogue.find_provider(name)
    if entry is None:
        raise ProviderNotFound(
            f"Provider {shown(name)} not found",
            suggestions=_near(name, [(known, known) for known in catalogue.providers]),
        )
    return entry


def get_model(catalogue: Catalogue, provider: str, model_id: str) -> Model:
    """One provider's model by its exact id. Raises ProviderNotFound or ModelNotFound with near matches."""
    get_provider(catalogue, provider)
    return _get(catalogue, provider, model_id, asked=model_id)


def served(model: Model, api: str | None, today: date, catalogue: Catalogue) -> Model | None:
    """The model that runs today on `api` when `model` is asked for: itself, or after its retirement its successor.

    Successors are followed until one is not retired. None if no such model runs on this API.
    """
    current: Model | None = model
    while current is not None and current.retired is not None and current.retired <= today:
        successor_id = current.successors.get("any")
        if api is not None:
            successor_id = current.successors.get(api, successor_id)
        # The loader has made sure that this ends: no chain leads round in a circle.
        current = None if successor_id is None else catalogue.find(current.provider, successor_id)
    return current


def _refuse_empty(field: str, value: str | None) -> None:
    if value == "":
        message = f"{field} is empty; leave it out or name one"
        raise InvalidRequest(message, [FieldError(field, message)])


def _choose_anywhere(catalogue: Catalogue, name: str) -> Model:
    prefix, _, rest = name.partition("/")
    if rest and prefix in catalogue.providers:
        return _get(catalogue, prefix, rest, asked=name)
    offered = catalogue.offering(name)
    if not offered:
        raise _model_not_found(name, catalogue.models(), full_ids="/" in name)
    makers = {model.maker for model in offered}
    return next((model for model in offered if model.provider in makers), offered[0])


def _choose_at(catalogue: Catalogue, provider: str, name: str) -> Model:
    whole = catalogue.find(provider, name)
    if whole is not None:
        return whole
    prefix, _, rest = name.partition("/")
    if not rest or prefix not in catalogue.providers:
        return _get(catalogue, provider, name, asked=name)
    if prefix != provider:
        raise UnsupportedOption(
            f"model {shown(name)} names provider '{prefix}', but provider is '{provider}'; give only one of the two",
            field="model",
        )
    return _get(catalogue, provider, rest, asked=name)


def _choose_default_at(catalogue: Catalogue, provider: str) -> Model:
    default = catalogue.find(provider, DEFAULT_MODEL)
    if default is not None:
        return default
    ids = [model.id for model in catalogue.models(provider) if model.retired is None][:SUGGESTIONS]
    message = f"model is required with provider '{provider}', for example {listed(ids)}"
    raise InvalidRequest(message, [FieldError("model", message)])


def _get(catalogue: Catalogue, provider: str, model_id: str, *, asked: str) -> Model:
    found = catalogue.find(provider, model_id)
    if found is None:
        raise _model_not_found(asked, catalogue.models(provider), full_ids=asked != model_id)
    return found


def _model_not_found(asked: str, among: Iterable[Model], *, full_ids: bool) -> ModelNotFound:
    # The published client maps a 404 by its words, so this sentence says no more than that.
    names = [(model.id, f"{model.provider}/{model.id}" if full_ids else model.id) for model in among]
    return ModelNotFound(f"Model {shown(asked)} not found", suggestions=_near(asked, names))


def _near(asked: str, names: Iterable[tuple[str, str]]) -> tuple[str, ...]:
    """The suggestions whose name comes near what was asked for, or near the last segment of it; the nearest first."""
    wanted = asked[-COMPARED_CHARS:].lower()
    wanted_last = wanted.rpartition("/")[2]
    whole, last = (difflib.SequenceMatcher(None, "", one, autojunk=False) for one in (wanted, wanted_last))
    likeness = {
        suggestion: max(
            _likeness(whole, name.lower(), wanted), _likeness(last, name.lower().rpartition("/")[2], wanted_last)
        )
        for name, suggestion in names
    }
    near = [suggestion for suggestion, score in likeness.items() if score >= NEAR]
    return tuple(sorted(near, key=lambda suggestion: -likeness[suggestion])[:SUGGESTIONS])


def _likeness(matcher: difflib.SequenceMatcher[str], name: str, wanted: str) -> float:
    """How alike the two are; 0 where a quick look says that they are not near, as of nearly all names."""
    matcher.set_seq1(name)
    is_near = matcher.real_quick_ratio() >= NEAR and matcher.quick_ratio() >= NEAR
    ratio = matcher.ratio() if is_near else 0.0
    # "veo-3.1" is short beside "veo-3.1-fast-generate-001", but it is what was meant.
    is_part = len(wanted) >= 3 and wanted in name
    return max(ratio, NEAR) if is_part else ratio
