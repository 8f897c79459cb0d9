"""Checks a request against the model's entry before money is spent, and pins the options that were left out."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import TypeVar

from rushes.catalogue.model import Audio, Model
from rushes.catalogue.wording import listed, shown
from rushes.domain.request import Role, VideoRequest
from rushes.errors import FieldError, InvalidRequest, UnsupportedOption

Value = TypeVar("Value", str, int)


def complete(model: Model, request: VideoRequest, *, test: bool) -> VideoRequest:
    """The request as the model will get it: every option offered by the model, every default filled in.

    With `test` the values that the entry lists for test keys are accepted too. Completing twice changes nothing.
    Raises UnsupportedOption naming the field, the value and what the model offers.
    """
    defaults = model.defaults
    aspect_ratios = (*model.aspect_ratios, *model.test_mode.aspect_ratios) if test else model.aspect_ratios
    _check_n(model, request.n)
    _check_texts(model, request)
    _check_seed(model, request.seed)
    _check_inputs(model, request)
    completed = dataclasses.replace(
        request,
        aspect_ratio=_offered(model, "aspect_ratio", request.aspect_ratio, aspect_ratios, defaults.aspect_ratio),
        resolution=_offered(model, "resolution", request.resolution, model.resolutions, defaults.resolution),
        duration_s=_offered(model, "duration", request.duration_s, model.durations_s, defaults.duration_s),
        generate_audio=_audio(model, request.generate_audio),
        person_generation=_offered(
            model, "person_generation", request.person_generation, model.person_generation, None
        ),
    )
    _check_input_rules(model, completed)
    return completed


def _offered(
    model: Model, field: str, given: Value | None, allowed: Sequence[Value], default: Value | None
) -> Value | None:
    if given is None:
        return default
    if given in allowed:
        return given
    raise _not_offered(model, field, given, f"it offers {listed(allowed)}" if allowed else f"it takes no {field}")


def _audio(model: Model, given: bool | None) -> bool | None:
    if given is None:
        return model.defaults.generate_audio
    if model.audio is Audio.ALWAYS and given is False:
        raise _not_offered(model, "generate_audio", given, "its videos always have sound, so it offers true")
    if model.audio is Audio.NEVER and given is True:
        raise _not_offered(model, "generate_audio", given, "its videos never have sound, so it offers false")
    return given


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
    for role in Role:
        count, most = len(request.media_for(role)), model.inputs.get(role, 0)
        if count == 0 or count <= most:
            continue
        if most == 0:
            offers = listed(name.value for name in model.inputs)
            raise UnsupportedOption(
                f"{role} is not offered by '{model.id}'; " + (f"it takes {offers}" if offers else "it takes no media"),
                field=role,
            )
        raise UnsupportedOption(f"{role} is given {count} times; '{model.id}' takes at most {most}", field=role)


def _check_input_rules(model: Model, request: VideoRequest) -> None:
    given = {item.role for item in request.media}
    for rule in model.input_rules:
        if rule.role not in given:
            continue
        for role in rule.needs:
            if role not in given:
                raise UnsupportedOption(f"{rule.role} needs {role} with '{model.id}'; add it", field=rule.role)
        for role in rule.excludes:
            if role in given:
                raise UnsupportedOption(
                    f"{rule.role} and {role} cannot be combined with '{model.id}'; leave out one", field=rule.role
                )
        if rule.durations_s and request.duration_s is not None and request.duration_s not in rule.durations_s:
            raise UnsupportedOption(
                f"duration {request.duration_s} is not offered by '{model.id}' together with {rule.role}; "
                f"it offers {listed(rule.durations_s)}",
                field="duration",
            )


def _not_offered(model: Model, field: str, value: object, offer: str) -> UnsupportedOption:
    return UnsupportedOption(f"{field} {shown(value)} is not offered by '{model.id}'; {offer}", field=field)
