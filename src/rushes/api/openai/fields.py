"""The fields of a request there, and the fields of ours that they mean. Pure translation, no I/O.

Besides OpenAI's own, the names that vLLM-Omni and SGLang have added for what every provider could mean (read in their
releases 0.30.0 and 0.5.23), and ours. Whatever cannot be said to any model here is refused by name.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum, auto
from typing import Any, Final, TypeVar

import pydantic_core

from rushes.catalogue.wording import shown
from rushes.errors import FieldError, InvalidRequest, UnsupportedOption
from rushes.intake.body import invalid_fields, refuse_unknown, whole_as_int
from rushes.intake.renaming import renamed as renamed_by
from rushes.media.input_store import StoredInput
from rushes.media.sniff import VIDEO_TYPES

Container = TypeVar("Container", list[Any], dict[str, Any])

Given = dict[str, Any]
"""A body's fields: JSON values, and a StoredInput where a file was sent."""


class Kind(Enum):
    """What a field's value is; a form can only say text, so it tells how that is read."""

    TEXT = auto()
    WHOLE = auto()
    SWITCH = auto()
    MEDIA = auto()
    SEVERAL_MEDIA = auto()
    NAMES = auto()
    OBJECT = auto()
    PAIRS = auto()
    """An object of texts."""


@dataclass(frozen=True, slots=True)
class Field:
    """What a field means in our own terms."""

    meaning: str
    kind: Kind


FIELDS: Final[Mapping[str, Field]] = {
    # OpenAI
    "prompt": Field("prompt", Kind.TEXT),
    "model": Field("model", Kind.TEXT),
    "seconds": Field("duration", Kind.WHOLE),
    "size": Field("size", Kind.TEXT),
    "input_reference": Field("input_image", Kind.MEDIA),
    "video": Field("video", Kind.MEDIA),
    # vLLM-Omni and SGLang
    "n": Field("n", Kind.WHOLE),
    "num_outputs_per_prompt": Field("n", Kind.WHOLE),
    "seed": Field("seed", Kind.WHOLE),
    "negative_prompt": Field("negative_prompt", Kind.TEXT),
    "aspect_ratio": Field("aspect_ratio", Kind.TEXT),
    "width": Field("size", Kind.WHOLE),
    "height": Field("size", Kind.WHOLE),
    "generate_sound": Field("generate_audio", Kind.SWITCH),
    "image_reference": Field("input_image", Kind.MEDIA),
    "reference_url": Field("input_image", Kind.MEDIA),
    "input_references": Field("reference_images", Kind.SEVERAL_MEDIA),
    "video_reference": Field("video", Kind.MEDIA),
    "video_url": Field("video", Kind.MEDIA),
    "extra_params": Field("additional_params", Kind.OBJECT),
    # ours
    "resolution": Field("resolution", Kind.TEXT),
    "generate_audio": Field("generate_audio", Kind.SWITCH),
    "person_generation": Field("person_generation", Kind.TEXT),
    "last_frame": Field("last_frame", Kind.MEDIA),
    "reference_images": Field("reference_images", Kind.SEVERAL_MEDIA),
    "reference_videos": Field("reference_videos", Kind.SEVERAL_MEDIA),
    "reference_audios": Field("reference_audios", Kind.SEVERAL_MEDIA),
    "previous_job_id": Field("previous_job_id", Kind.TEXT),
    "previous_index": Field("previous_index", Kind.WHOLE),
    "video_task": Field("video_task", Kind.TEXT),
    "user": Field("user", Kind.TEXT),
    "metadata": Field("metadata", Kind.PAIRS),
    "fallback_models": Field("fallback_models", Kind.NAMES),
    "byok_api_key": Field("byok_api_key", Kind.TEXT),
    "additional_params": Field("additional_params", Kind.OBJECT),
}

FILE_FIELDS: Final = frozenset(name for name, field in FIELDS.items() if field.kind in (Kind.MEDIA, Kind.SEVERAL_MEDIA))

_WHERE_MEDIA_IS: Final = ("image_url", "video_url", "url", "file_id")
_WHOLE_NUMBER: Final = re.compile(r"(-?[0-9]{1,20})(?:\.0{1,20})?")
MOST_MEDIA: Final = 16
"""More references than any model takes."""
_JSON_KINDS: Final = frozenset({Kind.MEDIA, Kind.SEVERAL_MEDIA, Kind.NAMES, Kind.OBJECT, Kind.PAIRS})


def read_form(texts: Sequence[tuple[str, str]]) -> Given:
    """The fields of a form, each text read as what its field wants; what cannot be read stays text.

    `name[sub]` is an object's member and `name[]` one of several values, as OpenAI's client flattens them; an object
    may be JSON as well. Raises InvalidRequest naming a field that is given twice or is malformed JSON.
    """
    given: Given = {}
    for full_name, text in texts:
        name, bracket, inner = full_name.partition("[")
        kind = FIELDS[name].kind if name in FIELDS else Kind.TEXT
        if not bracket:
            _put(given, name, _value(name, kind, text))
        elif inner == "]" and kind in (Kind.SEVERAL_MEDIA, Kind.NAMES):
            _within(given, name, list).append(text)
        elif inner.endswith("]") and inner.count("]") == 1 and kind is Kind.PAIRS:
            _put(_within(given, name, dict), inner[:-1], text, name)
        elif inner.endswith("]") and inner.count("[") <= 1 and kind is Kind.MEDIA:
            outer, _, nested = inner[:-1].partition("][")
            members = _within(given, name, dict)
            _put(_within(members, outer, dict, name) if nested else members, nested or outer, text, name)
        elif kind is Kind.OBJECT:
            # In a form 1, "1" and true look alike, and the provider is sent these as given.
            raise _wrong(name, f"must be JSON text in a form, such as {name}='{{\"key\": 1}}', not {full_name[:80]}")
        else:
            raise _wrong(name, f"cannot be given as {shown(full_name)}")
    return given


def meaning_of(given: Given) -> dict[str, Any]:
    """The same request in our own fields. Null means not given.

    Raises UnknownField, InvalidRequest, or UnsupportedOption where two names of one thing are given.
    """
    refuse_unknown(given, FIELDS)
    present = {name: value for name, value in given.items() if value is not None}
    content: dict[str, Any] = {}
    said_by: dict[str, str] = {}
    if "width" in present or "height" in present:
        present["width"] = _size(present, present.pop("height", None))
    for name, value in present.items():
        meaning, translated = _meaning(name, value)
        if meaning in content:
            raise UnsupportedOption(f"{said_by[meaning]} and {name} mean the same; give only one of the two", name)
        content[meaning], said_by[meaning] = translated, name
    return content


def renamed(error: Exception, given: Given) -> Exception:
    """The error about our fields as one about the caller's: it names what the caller wrote."""
    names: dict[str, str] = {}
    for name, value in given.items():
        # Of width and height together, the first speaks.
        if name in FIELDS and name != "height" and value is not None:
            names[FIELDS[name].meaning] = name
    if "size" in names:
        for part in ("aspect_ratio", "resolution"):
            names.setdefault(part, names["size"])
    return renamed_by(error, names, beside=("size", "width"))


def hashable(given: Given) -> dict[str, Any]:
    """The fields with each file represented by its content, for the fingerprint of an idempotent request."""
    return {name: _told(value) for name, value in given.items()}


def _meaning(name: str, value: Any) -> tuple[str, Any]:
    field = FIELDS[name]
    if field.kind is Kind.MEDIA:
        if isinstance(value, list):
            if len(value) != 1:
                raise _wrong(
                    name, "takes one file; several are given as reference_images, a closing shot as last_frame"
                )
            value = value[0]
        # A server of SGLang takes a video there as the video to go on from.
        is_video = name == "input_reference" and isinstance(value, StoredInput) and value.content_type in VIDEO_TYPES
        return "video" if is_video else field.meaning, _media(name, value)
    if field.kind is Kind.SEVERAL_MEDIA:
        items = value if isinstance(value, list) else [value]
        if len(items) > MOST_MEDIA:
            raise _wrong(name, f"has {len(items)} files; a request may have {MOST_MEDIA}")
        return field.meaning, [_media(name, item) for item in items]
    if name == "seconds":
        return field.meaning, _seconds(value)
    return field.meaning, value


def _media(name: str, value: Any) -> str:
    match value:
        case str():
            return value
        case StoredInput():
            return value.id
        case dict():
            text = _text_in(value)
            if text is not None:
                return text
    raise _wrong(name, f"must be a file, a text, or an object with one of {', '.join(_WHERE_MEDIA_IS)}")


def _text_in(value: Mapping[str, Any]) -> str | None:
    """What an object says of a file: `{"url": ...}`, `{"type": "image_url", "image_url": ...}` or its nested form."""
    found = [(where, inner) for where, inner in value.items() if where in _WHERE_MEDIA_IS and inner is not None]
    # `type` repeats the other name, and `detail` is a hint to chat models.
    if len(found) != 1 or value.keys() - {found[0][0], "type", "detail"}:
        return None
    inner = found[0][1]
    if isinstance(inner, Mapping):
        inner = inner.get("url") if inner.keys() <= {"url", "detail"} else None
    return inner if isinstance(inner, str) else None


def _seconds(value: Any) -> int:
    whole = _WHOLE_NUMBER.fullmatch(value) if isinstance(value, str) else None
    if whole is not None:
        return int(whole[1])
    value = whole_as_int(value)
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    raise _wrong("seconds", f"{shown(value)} is not a whole number of seconds, such as '8'")


def _size(given: Given, height: Any) -> str:
    width, height = whole_as_int(given.get("width")), whole_as_int(height)
    # In Python true is a number.
    if type(width) is not int or type(height) is not int:
        name = "height" if type(width) is int else "width"
        raise _wrong(name, "width and height are whole numbers of pixels and go together; or give size")
    return f"{width}x{height}"


def _within(given: Given, name: str, shape: type[Container], field: str | None = None) -> Container:
    """The list or object that the field is being made of."""
    value = given.setdefault(name, shape())
    if not isinstance(value, shape):
        raise _wrong(field or name, "is given twice")
    return value


def _put(into: dict[str, Any], name: str, value: Any, field: str | None = None) -> None:
    if name in into:
        raise _wrong(field or name, "is given twice")
    into[name] = value


def _value(name: str, kind: Kind, text: str) -> Any:
    whole = _WHOLE_NUMBER.fullmatch(text) if kind is Kind.WHOLE and name != "seconds" else None
    if whole is not None:
        return int(whole[1])
    if kind is Kind.SWITCH and text.lower() in ("true", "false"):
        return text.lower() == "true"
    if kind in _JSON_KINDS and text[:1] in ("{", "["):
        try:
            return pydantic_core.from_json(text, allow_inf_nan=False)
        except ValueError as exc:
            raise _wrong(name, f"is not complete, correct JSON: {exc}") from exc
    return text


def _told(value: Any) -> Any:
    if isinstance(value, StoredInput):
        return {"sha256": value.sha256}
    return [_told(item) for item in value] if isinstance(value, list) else value


def _wrong(name: str, trouble: str) -> InvalidRequest:
    return invalid_fields([FieldError(name[:100], trouble)])
