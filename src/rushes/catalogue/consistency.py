"""What must hold inside a catalogue entry, beyond the types of its fields."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping

from rushes.catalogue.model import Audio, Model
from rushes.catalogue.size import SIZE
from rushes.catalogue.wording import listed, shown
from rushes.errors import FieldError

LARGEST_N = 10
"""The contract's own limit on `n`."""


def inconsistency(model: Model) -> FieldError | None:
    """The first thing in the entry that contradicts the rest of it."""
    return next(_inconsistencies(model), None)


def successor_inconsistency(model: Model, by_id: Mapping[str, Model]) -> FieldError | None:
    """The first successor that is unknown, does not serve its API, or leads back to the model."""
    return next(_successor_inconsistencies(model, by_id), None)


def _inconsistencies(model: Model) -> Iterator[FieldError]:
    if not model.id or any(char.isspace() for char in model.id):
        yield FieldError("id", "an id is not empty and has no spaces")
    if model.released is not None and model.retired is not None and model.retired < model.released:
        yield FieldError("retired", f"{model.retired} is before its release on {model.released}")
    yield from _outside("upstream_ids", model.upstream_ids, model.apis)
    yield from _numbers(model)
    yield from _sizes(model)
    yield from _defaults(model)
    yield from _prices(model)
    yield from _input_rules(model)


def _numbers(model: Model) -> Iterator[FieldError]:
    if model.prompt_chars < 1:
        yield FieldError("prompt_chars", f"{model.prompt_chars} is less than 1")
    if any(duration_s < 1 for duration_s in model.durations_s):
        yield FieldError("durations_s", "a duration is at least 1")
    if list(model.durations_s) != sorted(set(model.durations_s)):
        yield FieldError("durations_s", "list each duration once, the shortest first")
    if not 1 <= model.max_n <= LARGEST_N:
        yield FieldError("max_n", f"{model.max_n} is not between 1 and {LARGEST_N}")
    if not 1 <= model.n_per_call <= model.max_n:
        yield FieldError("n_per_call", f"{model.n_per_call} is not between 1 and max_n, which is {model.max_n}")
    if any(count < 1 for count in model.inputs.values()):
        yield FieldError("inputs", "leave out a role of which no file is taken")
    if model.usual_s < 0:
        yield FieldError("usual_s", f"{model.usual_s} is less than 0")
    if model.hold_s < 0:
        yield FieldError("hold_s", f"{model.hold_s} is less than 0")
    if model.deadline_s < model.usual_s:
        yield FieldError("deadline_s", f"{model.deadline_s} is less than usual_s, which is {model.usual_s}")
    if model.concurrency is not None and model.concurrency < 1:
        yield FieldError("concurrency", f"{model.concurrency} is less than 1")


def _sizes(model: Model) -> Iterator[FieldError]:
    yield from _outside("sizes", model.sizes, model.resolutions)
    for resolution, by_ratio in model.sizes.items():
        yield from _outside(f"sizes.{resolution}", by_ratio, model.aspect_ratios)
        for size in by_ratio.values():
            if not SIZE.fullmatch(size):
                yield FieldError(f"sizes.{resolution}", f"{shown(size)} is not WIDTHxHEIGHT in pixels, like '832x480'")


def _defaults(model: Model) -> Iterator[FieldError]:
    defaults = model.defaults
    if defaults.aspect_ratio is not None:
        yield from _outside("defaults.aspect_ratio", [defaults.aspect_ratio], model.aspect_ratios)
    if defaults.resolution is not None:
        yield from _outside("defaults.resolution", [defaults.resolution], model.resolutions)
    if defaults.duration_s is not None:
        yield from _outside("defaults.duration_s", [defaults.duration_s], model.durations_s)
    if defaults.generate_audio is True and model.audio is Audio.NEVER:
        yield FieldError("defaults.generate_audio", "true contradicts audio = 'never'")
    if defaults.generate_audio is False and model.audio is Audio.ALWAYS:
        yield FieldError("defaults.generate_audio", "false contradicts audio = 'always'")


def _prices(model: Model) -> Iterator[FieldError]:
    for price in model.prices:
        if not price.usd_per_s.is_finite() or price.usd_per_s < 0:
            yield FieldError("prices", f"{price.usd_per_s} is not a price")
        if price.resolution is not None:
            yield from _outside("prices.resolution", [price.resolution], model.resolutions)


def _input_rules(model: Model) -> Iterator[FieldError]:
    for rule in model.input_rules:
        yield from _outside("input_rules", [rule.role, *rule.needs, *rule.excludes], model.inputs)
        if rule.durations_s:
            yield from _outside("input_rules.durations_s", rule.durations_s, model.durations_s)
            # Otherwise a caller who gave no duration would be refused for ours.
            if model.defaults.duration_s is not None:
                yield from _outside("input_rules.durations_s", [model.defaults.duration_s], rule.durations_s)


def _successor_inconsistencies(model: Model, by_id: Mapping[str, Model]) -> Iterator[FieldError]:
    for api, successor_id in model.successors.items():
        field = f"successors.{api}"
        successor = by_id.get(successor_id)
        if successor is None:
            yield FieldError(field, f"'{successor_id}' is not in this file")
        elif api != "any" and successor.retired is None and api not in successor.apis:
            yield FieldError(field, f"'{successor_id}' is not served on '{api}'")
        elif _leads_back(model, api, by_id):
            yield FieldError(field, f"following '{successor_id}' leads round in a circle")


def _leads_back(model: Model, api: str, by_id: Mapping[str, Model]) -> bool:
    seen = {model.id}
    current: Model | None = model
    while current is not None:
        next_id = current.successors.get(api, current.successors.get("any"))
        if next_id in seen:
            return True
        if next_id is None:
            return False
        seen.add(next_id)
        current = by_id.get(next_id)
    return False


def _outside(field: str, values: Collection[object], allowed: Collection[object]) -> Iterator[FieldError]:
    for value in values:
        if value not in allowed:
            yield FieldError(field, f"{shown(value)} is not listed" + (f"; {listed(allowed)} are" if allowed else ""))
