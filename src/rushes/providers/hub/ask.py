"""A request in the words of one hub's model, as its `wire` table has them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rushes.catalogue.model import Audio, Model
from rushes.catalogue.size import pixels
from rushes.domain.request import Role, VideoRequest
from rushes.errors import UnsupportedOption
from rushes.providers.hub.wire import PIXELS, Call, InputField, choice_key, own_names, wire_of
from rushes.providers.translation import given, refuse_wordless


@dataclass(frozen=True, slots=True)
class Ask:
    """Which endpoint or model of the hub is asked, with which input."""

    to: str
    input: dict[str, Any]
    output: str | None
    """The member of the answer that holds the video, if the table names it."""


def ask_for(model: Model, request: VideoRequest, media: Sequence[tuple[Role, object]], *, hub: str) -> Ask:
    """What to send for this request; `media` are its files as the hub takes them, such as data URLs.

    Options that were not given are not sent. Raises UnsupportedOption for what has no place in the model's input.
    """
    refuse_wordless(request, "n", provider=hub)
    wire = wire_of(model)
    calls = wire.calls_of(model)
    call = _call_for(model, request, calls, hub)
    _refuse_own_names(request, own_names(calls))
    said: dict[str, Any] = {}
    for name, value in _values(model, request, call).items():
        field = call.fields.get(name)  # type: ignore[call-overload]
        if field is not None:
            said |= {**field.also, field.name: _spelled(field, value)}
        elif _is_choice(model, name):
            raise UnsupportedOption(f"'{call.to}' at {hub} has no {name}", field=name)
    for role, files in _by_role(media):
        _add_files(said, call, role, files, hub)
    return Ask(call.to, {**request.additional_params, **call.fixed, **said}, wire.output)


def _call_for(model: Model, request: VideoRequest, calls: Sequence[Call], hub: str) -> Call:
    roles = {item.role for item in request.media}
    for call in calls:
        if call.takes(roles, request.video_task):
            return call
    wanted = sorted({role.field for call in calls for role in call.inputs})
    raise UnsupportedOption(f"'{model.id}' at {hub} needs one of {', '.join(wanted)}", field=wanted[0])


def _refuse_own_names(request: VideoRequest, names: set[str]) -> None:
    for name in request.additional_params:
        if name in names:
            raise UnsupportedOption(
                f"additional_params '{name}' is set from an option or a file of the request; give that instead",
                field="additional_params",
            )


def _values(model: Model, request: VideoRequest, call: Call) -> dict[str, Any]:
    """The options that were given, by the names of fields."""
    said: dict[str, Any] = {
        "prompt": request.prompt,
        "negative_prompt": request.negative_prompt,
        "aspect_ratio": request.aspect_ratio,
        "resolution": request.resolution,
        "duration": request.duration_s,
        "seed": request.seed,
        "generate_audio": request.generate_audio,
        "person_generation": request.person_generation,
    }
    sizes = [name for name, field in call.fields.items() if name in PIXELS and field is not None]
    size = _size(model, request) if sizes else None
    if size is not None:
        width, _, height = size.partition("x")
        in_pixels: dict[str, Any] = {"size": size, "width": int(width), "height": int(height)}
        # Pixels say both; where the model has a field of its own for one of them, it gets that too.
        said |= {name: in_pixels[name] for name in sizes}
        said |= {name: None for name in ("aspect_ratio", "resolution") if name not in call.fields}
    return given(said)


def _size(model: Model, request: VideoRequest) -> str | None:
    if request.resolution is None or request.aspect_ratio is None:
        return None
    named = model.sizes.get(request.resolution, {}).get(request.aspect_ratio)
    return named or pixels(request.resolution, request.aspect_ratio)


def _is_choice(model: Model, name: str) -> bool:
    """Whether another value could have been asked for; a value that is always the same needs no field."""
    match name:
        case "aspect_ratio":
            return len(model.aspect_ratios) > 1
        case "resolution":
            return len(model.resolutions) > 1
        case "duration":
            return len(model.durations_s) > 1
        case "generate_audio":
            return model.audio is Audio.OPTIONAL
        case _:
            return True


def _spelled(field: InputField, value: Any) -> Any:
    key = choice_key(value)
    if key in field.choices:
        return field.choices[key]
    if field.per_s is not None:
        value = value * field.per_s + field.plus
    return value if field.text is None else field.text.replace("{}", choice_key(value))


def _by_role(media: Sequence[tuple[Role, object]]) -> Iterator[tuple[Role, list[object]]]:
    for role in Role:
        files = [file for one, file in media if one is role]
        if files:
            yield role, files


def _add_files(said: dict[str, Any], call: Call, role: Role, files: Sequence[object], hub: str) -> None:
    """Put the files of one role into the input; two roles that share a field stand in one list, in our order."""
    field = _file_fields(call).get(role)
    if field is None:
        raise UnsupportedOption(f"'{call.to}' at {hub} has no {role.field}", field=role.field)
    items = [file if field.key is None else {field.key: file} for file in files]
    before = said.get(field.name)
    if before is not None and not (isinstance(before, list) and field.has_many(role)):
        raise UnsupportedOption(f"{role.field} cannot be combined with the other files for '{call.to}'", role.field)
    if field.has_many(role):
        said[field.name] = [*(before or ()), *items]
    else:
        said[field.name] = items[0]
    said |= field.also


def _file_fields(call: Call) -> Mapping[str, InputField | None]:
    return {str(name): field for name, field in call.fields.items()}
