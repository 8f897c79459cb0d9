"""Checks a request against the model's entry before money is spent, and pins the options that were left out."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

from rushes.catalogue.model import Audio, InputRule, Model, OptionRule, TaskEntry
from rushes.catalogue.wording import listed, shown
from rushes.domain.options import DEFAULTED
from rushes.domain.request import Role, VideoRequest, VideoTask
from rushes.errors import FieldError, InvalidRequest, UnsupportedOption

LISTS: Final = {"aspect_ratio": "aspect_ratios", "resolution": "resolutions", "duration_s": "durations_s"}
"""Where an entry, a task or a rule lists the values of an option."""

SOUND: Final = {Audio.OPTIONAL: (True, False), Audio.ALWAYS: (True,), Audio.NEVER: (False,)}


@dataclass(frozen=True, slots=True)
class Offer:
    """The values that an option may have, and what it becomes when it is left out. `because` says what narrows them."""

    values: tuple[Any, ...]
    default: Any
    because: str = ""

    def narrowed(self, values: Sequence[Any], because: str) -> Offer:
        """Those of the values that are in the list too, in its order; a default that is out becomes the first."""
        left = tuple(value for value in values if value in self.values)
        default = self.default if self.default is None or self.default in left else next(iter(left), None)
        return Offer(left, default, because)


def complete(model: Model, request: VideoRequest, *, test: bool) -> VideoRequest:
    """The request as the model will get it: every option offered by the model, every default filled in.

    With `test` the values that the entry lists for test keys are accepted too. Completing twice changes nothing.
    Raises UnsupportedOption naming the field, the value and what the model offers.
    """
    _check_n(model, request.n)
    _check_texts(model, request)
    _check_seed(model, request.seed)
    _check_inputs(model, request)
    _check_params(model, request)
    pinned: dict[str, Any] = {"video_task": _task(model, request)}
    pinned["person_generation"] = request.person_generation
    if request.person_generation is not None and request.person_generation not in model.person_generation:
        says = f"it offers {listed(model.person_generation)}" if model.person_generation else "it takes none"
        raise _not_offered(model, "person_generation", request.person_generation, says)
    for option, (base, offer) in offers_of(model, request, test=test).items():
        pinned[option] = _value(model, option, getattr(request, option), base, offer)
    _apply_option_rules(model, request, pinned)
    completed = dataclasses.replace(request, **pinned)
    _check_companions(model, completed)
    _check_lengths(model, completed)
    return completed


def offers_of(model: Model, request: VideoRequest, *, test: bool) -> dict[str, tuple[Offer, Offer]]:
    """For each option: what the model offers at all, and what of that goes with this request's files and task."""
    task = _task(model, request)
    roles = {item.role for item in request.media}
    found = {}
    for option in DEFAULTED:
        base = _base(model, option, test=test)
        offer = base if task is None else _for_task(base, option, task, model.video_tasks[task])
        for rule in model.input_rules:
            if (rule.role in roles) is rule.given:
                offer = _for_rule(offer, option, rule)
        found[option] = (base, offer)
    return found


def _base(model: Model, option: str, *, test: bool) -> Offer:
    default = getattr(model.defaults, option)
    if option == "generate_audio":
        return Offer(SOUND[model.audio], default)
    values = getattr(model, LISTS[option])
    if option == "aspect_ratio" and test:
        values = (*values, *model.test_mode.aspect_ratios)
    return Offer(values, default)


def _for_task(base: Offer, option: str, task: VideoTask, entry: TaskEntry) -> Offer:
    if option not in LISTS:
        return base
    values = getattr(entry, LISTS[option])
    default = entry.duration_s if option == "duration_s" and entry.duration_s is not None else base.default
    if values is None:
        return Offer(base.values, default, base.because)
    # A task may have lengths that nothing else has, so its list stands in place of the model's.
    default = default if default in values else next(iter(values), None)
    return Offer(values, default, f" for video_task '{task}'")


def _for_rule(offer: Offer, option: str, rule: InputRule) -> Offer:
    because = f" together with {rule.role.field}" if rule.given else f" without {rule.role.field}"
    if option in rule.follows:
        return Offer((), None, because)
    values: Sequence[Any] = ()
    if option == "generate_audio":
        values = () if rule.audio is None else (rule.audio,)
    else:
        values = getattr(rule, LISTS[option])
    return offer.narrowed(values, because) if values else offer


def _value(model: Model, option: str, given: Any, base: Offer, offer: Offer) -> Any:
    if given is None:
        return offer.default
    if given in offer.values:
        return given
    field = DEFAULTED[option]
    if option == "generate_audio" and given not in base.values:
        never = "never" if model.audio is Audio.NEVER else "always"
        raise _not_offered(
            model, field, given, f"its videos {never} have sound, so it offers {listed(SOUND[model.audio])}"
        )
    # What narrows the offer is said only where the model offers the value at all.
    because = offer.because if given in base.values or base.values != offer.values else ""
    says = f"it offers {listed(offer.values)}" if offer.values else f"it takes no {field}"
    raise _not_offered(model, field, given, says, because)


def _task(model: Model, request: VideoRequest) -> VideoTask | None:
    if not request.media_for(Role.VIDEO):
        if request.video_task is None:
            return None
        raise UnsupportedOption(
            f"video_task '{request.video_task}' needs a video; add video or previous_job_id", field="video_task"
        )
    task = VideoTask.EXTEND if request.video_task is None else request.video_task
    if task in model.video_tasks:
        return task
    default = " (the default)" if request.video_task is None else ""
    raise UnsupportedOption(
        f"video_task '{task}'{default} is not offered by '{model.id}'; it offers {listed(model.video_tasks)}",
        field="video_task",
    )


def _apply_option_rules(model: Model, request: VideoRequest, pinned: dict[str, Any]) -> None:
    """Pick the first listed value for what the caller left open; refuse what the caller gave against a rule."""
    for rule in (rule for rule in model.option_rules if _holds(rule, pinned)):
        for option, values in _narrowed_by(rule):
            value = pinned[option]
            if value is None or value in values:
                continue
            if getattr(request, option) is not None:
                raise _against(model, rule, option, value)
            pinned[option] = values[0]
    for rule in (rule for rule in model.option_rules if _holds(rule, pinned)):
        for option, values in _narrowed_by(rule):
            if pinned[option] is not None and pinned[option] not in values:
                raise _against(model, rule, option, pinned[option])


def _conditions(rule: OptionRule) -> Iterator[tuple[str, Any]]:
    for option in DEFAULTED:
        wanted = getattr(rule, "audio" if option == "generate_audio" else option)
        if wanted is not None:
            yield option, wanted


def _holds(rule: OptionRule, pinned: dict[str, Any]) -> bool:
    return all(pinned[option] == wanted for option, wanted in _conditions(rule))


def _narrowed_by(rule: OptionRule) -> Iterator[tuple[str, Sequence[Any]]]:
    for option, name in LISTS.items():
        values = getattr(rule, name)
        if values:
            yield option, values


def _against(model: Model, rule: OptionRule, option: str, value: Any) -> UnsupportedOption:
    field = DEFAULTED[option]
    with_what = " and ".join(f"{DEFAULTED[name]} {shown(wanted)}" for name, wanted in _conditions(rule))
    values = getattr(rule, LISTS[option])
    return _not_offered(model, field, value, f"it offers {listed(values)}", f" together with {with_what}")


def _check_n(model: Model, n: int) -> None:
    if n < 1:
        message = f"n {n} is too few; it is at least 1"
        raise InvalidRequest(message, [FieldError("n", message)])
    if n > model.max_n:
        raise _not_offered(model, "n", n, f"it makes at most {model.max_n}")


def _check_texts(model: Model, request: VideoRequest) -> None:
    if request.negative_prompt is not None and not model.negative_prompt:
        raise _not_offered(model, "negative_prompt", request.negative_prompt, "it takes no negative_prompt")
    for field, text in (("prompt", request.prompt), ("negative_prompt", request.negative_prompt)):
        if text is not None and len(text) > model.prompt_chars:
            raise UnsupportedOption(
                f"{field} {shown(text)} has {len(text)} characters; '{model.id}' takes at most {model.prompt_chars}",
                field=field,
            )


def _check_seed(model: Model, seed: int | None) -> None:
    if seed is not None and not model.seed:
        raise _not_offered(model, "seed", seed, "it takes no seed")


def _check_inputs(model: Model, request: VideoRequest) -> None:
    for role in Role if request.media else ():
        count, most = len(request.media_for(role)), model.inputs.get(role, 0)
        if count == 0 or count <= most:
            continue
        if most == 0:
            offers = listed(name.field for name in model.inputs)
            raise UnsupportedOption(
                f"{role.field} is not offered by '{model.id}'; "
                + (f"it takes {offers}" if offers else "it takes no media"),
                field=role.field,
            )
        raise UnsupportedOption(
            f"{role.field} is given {count} times; '{model.id}' takes at most {most}", field=role.field
        )
    if model.most_inputs is not None and len(request.media) > model.most_inputs:
        raise UnsupportedOption(
            f"{len(request.media)} files are given; '{model.id}' takes at most {model.most_inputs} in all",
            field=request.media[model.most_inputs].role.field,
        )
    for role in model.required_inputs:
        if not request.media_for(role):
            raise UnsupportedOption(f"{role.field} is missing; '{model.id}' makes no video without it", role.field)


def _check_params(model: Model, request: VideoRequest) -> None:
    if model.additional_params is None:
        return
    for name in request.additional_params:
        if name not in model.additional_params:
            offers = listed(model.additional_params)
            raise UnsupportedOption(
                f"additional_params {shown(name)} is not offered by '{model.id}'; "
                + (f"it offers {offers}" if offers else "it takes none"),
                field="additional_params",
            )


def _check_companions(model: Model, request: VideoRequest) -> None:
    given = {item.role for item in request.media}
    for rule in model.input_rules:
        if not rule.given or rule.role not in given:
            continue
        field = rule.role.field
        for role in rule.needs:
            if role not in given:
                raise UnsupportedOption(f"{field} needs {role.field} with '{model.id}'; add it", field=field)
        if rule.needs_one_of and not given.intersection(rule.needs_one_of):
            names = " or ".join(role.field for role in rule.needs_one_of)
            raise UnsupportedOption(f"{field} needs {names} with '{model.id}'; add one", field=field)
        for role in rule.excludes:
            if role in given:
                raise UnsupportedOption(
                    f"{field} and {role.field} cannot be combined with '{model.id}'; leave out one", field=field
                )


def _check_lengths(model: Model, request: VideoRequest) -> None:
    """Of the files that have been read; the others are not known to be too long."""
    given = {item.role for item in request.media}
    for role in (role for role in Role if role in given) if given else ():
        limit = model.input_limits.get(role)
        entry = None
        if role is Role.VIDEO and request.video_task is not None:
            entry = model.video_tasks[request.video_task]
        least = [one.least_s for one in (limit, entry) if one is not None and one.least_s is not None]
        most = [one.most_s for one in (limit, entry) if one is not None and one.most_s is not None]
        lengths_s = [item.duration_s for item in request.media_for(role) if item.duration_s is not None]
        for length_s in lengths_s:
            if least and length_s < max(least):
                raise _wrong_length(model, role, length_s, f"takes at least {max(least):g} s")
            if most and length_s > min(most):
                raise _wrong_length(model, role, length_s, f"takes at most {min(most):g} s")
        if limit is not None and limit.total_s is not None and sum(lengths_s) > limit.total_s:
            raise _wrong_length(model, role, sum(lengths_s), f"takes at most {limit.total_s:g} s", whole=" in all")


def _wrong_length(model: Model, role: Role, length_s: float, takes: str, whole: str = "") -> UnsupportedOption:
    return UnsupportedOption(f"{role.field} lasts {length_s:g} s{whole}; '{model.id}' {takes}{whole}", field=role.field)


def _not_offered(model: Model, field: str, value: object, offer: str, because: str = "") -> UnsupportedOption:
    return UnsupportedOption(f"{field} {shown(value)} is not offered by '{model.id}'{because}; {offer}", field=field)
