"""What must hold inside a catalogue entry, beyond the types of its fields."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping

from rushes.catalogue.check import SOUND
from rushes.catalogue.model import Audio, Model
from rushes.catalogue.size import SIZE
from rushes.catalogue.wording import listed, shown
from rushes.domain.request import MediaKind, Role
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
    yield from _outside("upstream_ids", model.upstream_ids, (*model.apis, *model.regions))
    yield from _numbers(model)
    yield from _sizes(model)
    yield from _defaults(model)
    yield from _prices(model)
    yield from _inputs(model)
    yield from _rules(model)
    yield from _tasks(model)


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


RATES = ("usd_per_s", "usd_per_video", "usd_per_million_tokens")
EXTRAS = ("usd_per_input_s", "usd_per_input_image", "least_usd")


def _prices(model: Model) -> Iterator[FieldError]:
    for price in model.prices:
        given = [name for name in RATES if getattr(price, name) is not None]
        if len(given) != 1:
            yield FieldError("prices", f"a row has exactly one of {', '.join(RATES)}")
        for name in (*given, *EXTRAS):
            usd = getattr(price, name)
            if usd is not None and (not usd.is_finite() or usd < 0):
                yield FieldError("prices", f"{usd} is not a price")
        if price.counts_input_s and price.usd_per_input_s is not None:
            yield FieldError("prices", "counts_input_s and usd_per_input_s exclude each other")
        if price.free_input_images < 0 or price.token_fps < 1:
            yield FieldError("prices", "free_input_images is at least 0, and token_fps at least 1")
        if price.resolution is not None:
            yield from _outside("prices.resolution", [price.resolution], _every(model, "resolutions"))
        if price.aspect_ratio is not None:
            yield from _outside("prices.aspect_ratio", [price.aspect_ratio], _every(model, "aspect_ratios"))
        if price.duration_s is not None:
            yield from _outside("prices.duration_s", [price.duration_s], _every(model, "durations_s"))
        if price.task is not None:
            yield from _outside("prices.task", [price.task], model.video_tasks)
        if price.region is not None:
            yield from _outside("prices.region", [price.region], model.regions or [price.region])


def _every(model: Model, name: str) -> list[object]:
    """What the model lists, and what its tasks list besides."""
    return [*getattr(model, name), *(value for task in model.tasks.values() for value in getattr(task, name) or ())]


def _inputs(model: Model) -> Iterator[FieldError]:
    yield from _outside("input_limits", model.input_limits, model.inputs)
    yield from _outside("required_inputs", model.required_inputs, model.inputs)
    for role, limit in model.input_limits.items():
        if role.kind is MediaKind.IMAGE:
            yield FieldError(f"input_limits.{role}", "an image has no length")
        if limit.least_s is not None and limit.most_s is not None and limit.most_s < limit.least_s:
            yield FieldError(f"input_limits.{role}", f"most_s, {limit.most_s:g}, is less than least_s")
    if model.most_inputs is not None and model.most_inputs < 1:
        yield FieldError("most_inputs", f"{model.most_inputs} is less than 1")


def _rules(model: Model) -> Iterator[FieldError]:
    for rule in model.input_rules:
        companions = [*rule.needs, *rule.needs_one_of, *rule.excludes]
        yield from _outside("input_rules", [rule.role, *companions], model.inputs)
        if companions and not rule.given:
            yield FieldError("input_rules", "a rule for an input that is not given narrows options alone")
        for name in ("durations_s", "resolutions", "aspect_ratios"):
            yield from _outside(f"input_rules.{name}", getattr(rule, name), _every(model, name))
        if rule.audio is not None:
            yield from _outside("input_rules.audio", [rule.audio], SOUND[model.audio])
    for option_rule in model.option_rules:
        for name, one in (
            ("durations_s", option_rule.duration_s),
            ("resolutions", option_rule.resolution),
            ("aspect_ratios", option_rule.aspect_ratio),
        ):
            wanted = () if one is None else (one,)
            yield from _outside("option_rules", [*wanted, *getattr(option_rule, name)], _every(model, name))


def _tasks(model: Model) -> Iterator[FieldError]:
    if model.tasks and not model.inputs.get(Role.VIDEO):
        yield FieldError("tasks", "a model without a video among its inputs has no tasks")
    for task, entry in model.tasks.items():
        if entry.duration_s is not None:
            durations_s = model.durations_s if entry.durations_s is None else entry.durations_s
            yield from _outside(f"tasks.{task}.duration_s", [entry.duration_s], durations_s)
        if any(duration_s < 1 for duration_s in entry.durations_s or ()):
            yield FieldError(f"tasks.{task}.durations_s", "a duration is at least 1")


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
