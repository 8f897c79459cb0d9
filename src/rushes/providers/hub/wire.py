"""The `wire` table of a hub's model: which endpoint takes a request, and what our options are called there."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import Annotated, Any, Final, Literal

from pydantic import BeforeValidator, Field, ValidationError, model_validator

from rushes.catalogue.model import Audio, Frozen, Model
from rushes.catalogue.wording import listed, shown
from rushes.domain.request import Role, VideoTask
from rushes.errors import FieldError
from rushes.json_text import json_str

Name = Literal[
    "prompt", "negative_prompt", "aspect_ratio", "resolution", "size", "width", "height", "duration", "seed",
    "generate_audio", "person_generation",
    "input_image", "last_frame", "reference_image", "video", "reference_video", "reference_audio",
]  # fmt: skip
"""What can have a field: our options by the names that callers use, and files by their roles.

`size` (such as `1280x720`), `width` and `height` stand for aspect ratio and resolution together.
"""

PIXELS: Final = {"size", "width", "height"}
LISTS: Final = {"aspect_ratio": "aspect_ratios", "resolution": "resolutions", "duration": "durations_s"}
"""Where the entry lists the values of an option."""
REFERENCES: Final = (Role.REFERENCE_IMAGE, Role.REFERENCE_VIDEO, Role.REFERENCE_AUDIO)


class InputField(Frozen):
    """Where one option or file stands in the input of a hub's model, and how it is spelled there.

    Text alone is short for a field of that name.
    """

    name: str
    choices: dict[str, Any] = Field(default_factory=dict)
    """What the model calls some of our values: `{ "4k" = "2160p", true = "on" }`. The others keep their spelling."""
    per_s: int | None = None
    """The duration is asked for as a count, such as of frames: so many for each second ..."""
    plus: int = 0
    """... and so many more."""
    text: str | None = None
    """The value as text, in place of `{}`: `"{}s"` makes `"5s"` of 5."""
    many: bool | None = None
    """Whether files stand in a list. None: references do, other files do not."""
    key: str | None = None
    """Each file is an object, which has it under this key."""
    also: dict[str, Any] = Field(default_factory=dict)
    """What is sent beside it."""

    @model_validator(mode="after")
    def _is_whole(self) -> InputField:
        if not self.name:
            raise ValueError("a field has a name")
        if self.text is not None and "{}" not in self.text:
            raise ValueError("text has {} where the value goes")
        return self

    def has_many(self, role: Role) -> bool:
        """Whether files of this role stand in a list."""
        return role in REFERENCES if self.many is None else self.many


def _read(written: object) -> object:
    if written is False:
        return None
    return {"name": written} if isinstance(written, str) else written


Fields = dict[Name, Annotated[InputField | None, BeforeValidator(_read)]]
"""A file writes `false` where there is no such field."""


class Call(Frozen):
    """One endpoint, or one model of the hub, and which requests it takes."""

    to: str
    inputs: tuple[Role, ...] = ()
    """It takes requests with a file in one of these roles. Empty: all requests."""
    task: VideoTask | None = None
    """It takes requests for this task. None: any task, or none."""
    fields: Fields = Field(default_factory=dict)
    """How its fields differ from those of the table."""
    fixed: dict[str, Any] = Field(default_factory=dict)

    def takes(self, roles: Collection[Role], task: VideoTask | None) -> bool:
        """Whether a request with files in these roles, for this task, goes here."""
        return (not self.inputs or any(role in roles for role in self.inputs)) and self.task in (None, task)


class Wire(Frozen):
    """The whole table."""

    fields: Fields
    fixed: dict[str, Any] = Field(default_factory=dict)
    """What every request says besides."""
    calls: tuple[Call, ...] = ()
    """The first that takes a request gets it. Empty: the hub knows the model by the entry's id, and it takes all."""
    output: str | None = None
    """The member of the answer that holds the video. None: one of the usual members."""

    def calls_of(self, model: Model) -> tuple[Call, ...]:
        """The calls, each with all the fields and values that hold for it."""
        written = self.calls or (Call(to=model.upstream_id(None)),)
        return tuple(
            call.model_copy(update={"fields": {**self.fields, **call.fields}, "fixed": {**self.fixed, **call.fixed}})
            for call in written
        )


def wire_of(model: Model) -> Wire:
    """The table of an entry that `check` has found no fault with."""
    return Wire.model_validate(model.wire)


def own_names(calls: Collection[Call]) -> set[str]:
    """Every name in the model's input that the table sets, in one request or another."""
    placed = [field for call in calls for field in call.fields.values() if field is not None]
    return {
        *(field.name for field in placed),
        *(name for field in placed for name in field.also),
        *(name for call in calls for name in call.fixed),
    }


def choice_key(value: object) -> str:
    """A value as a key of `choices`: text as it is, all else as JSON."""
    return value if isinstance(value, str) else json_str(value)


def check(model: Model) -> FieldError | None:
    """The first fault of the table: a wrong field, or an option or file of the entry that has no place in it."""
    if not model.wire:
        return FieldError("wire", 'a hub\'s model names its fields here: fields = { prompt = "prompt", ... }')
    try:
        wire = wire_of(model)
    except ValidationError as exc:
        return _first(exc)
    return next(_faults(model, wire), None)


def _faults(model: Model, wire: Wire) -> Iterator[FieldError]:
    calls = wire.calls_of(model)
    placed = {name for call in calls for name, field in call.fields.items() if field is not None}
    if placed & PIXELS:
        placed |= {"aspect_ratio", "resolution"}
    for name in _needed(model):
        if name not in placed:
            yield FieldError("wire.fields", f"the entry offers {name}, but no field is named for it")
    for call in calls:
        for name, field in call.fields.items():
            if field is not None:
                yield from _field_faults(model, name, field)


def _needed(model: Model) -> Iterator[str]:
    """What the entry lets a caller choose, by the names of fields."""
    yield "prompt"
    yield from (name for name, values in LISTS.items() if len(_offered(model, values)) > 1)
    flags = {
        "generate_audio": model.audio is Audio.OPTIONAL,
        "seed": model.seed,
        "negative_prompt": model.negative_prompt,
        "person_generation": bool(model.person_generation),
    }
    yield from (name for name, is_offered in flags.items() if is_offered)
    yield from model.inputs


def _offered(model: Model, values: str) -> set[Any]:
    return {*getattr(model, values), *(value for task in model.tasks.values() for value in getattr(task, values) or ())}


def _field_faults(model: Model, name: str, field: InputField) -> Iterator[FieldError]:
    where = f"wire.fields.{name}"
    if name in set(Role):
        role = Role(name)
        if not field.has_many(role) and model.inputs.get(role, 0) > 1:
            yield FieldError(where, f"the entry takes {model.inputs[role]} files, so they need a list: many = true")
        if field.choices or field.text is not None or field.per_s is not None:
            yield FieldError(where, "a file has no choices, text or per_s")
        return
    if field.many is not None or field.key is not None:
        yield FieldError(where, "only files have many and key")
    if field.per_s is not None and name != "duration":
        yield FieldError(where, "only duration has per_s")
    if name in LISTS:
        known = {choice_key(value) for value in _offered(model, LISTS[name])}
        for choice in field.choices:
            if choice not in known:
                yield FieldError(where, f"the entry does not offer {shown(choice)}; it offers {listed(sorted(known))}")


def _first(exc: ValidationError) -> FieldError:
    error = exc.errors(include_url=False)[0]
    # Pydantic marks a wrong key of a table with a last part of its own.
    names = [str(part) for part in error["loc"] if part != "[key]"]
    message = "there is no such field" if error["type"] == "extra_forbidden" else error["msg"]
    return FieldError(".".join(["wire", *names]), message)
