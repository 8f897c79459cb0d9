"""The fields of a request there, and the fields of ours that they mean. Pure translation, no I/O.

openrouter 1.3.84, `components/videogenerationrequest.py` (checked 2026-11-30). OpenRouter passes over fields that it
does not know, and over options for other providers than the one that runs; so do we, with a warning.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from rushes.catalogue.model import Model
from rushes.catalogue.wording import shown
from rushes.domain.options import LONGEST_METADATA_NAME, LONGEST_METADATA_VALUE, MOST_FILES, MOST_METADATA
from rushes.domain.request import VideoTask
from rushes.errors import FieldError, InvalidRequest, UnsupportedOption
from rushes.intake.body import invalid_fields
from rushes.json_text import json_str
from rushes.near_names import near_names

SAME: Final = ("prompt", "aspect_ratio", "duration", "size", "seed", "generate_audio", "user", "previous_job_id")
"""Fields that are called the same here and mean the same."""
UPSCALING: Final = ("upscale_factor", "creativity")
OTHERS: Final = (
    "model", "resolution", "frame_images", "input_references", "callback_url", "session_id", "trace", "provider",
)  # fmt: skip
KNOWN: Final = (*SAME, *UPSCALING, *OTHERS)

FRAMES: Final = {"first_frame": "input_image", "last_frame": "last_frame"}
REFERENCES: Final = {
    "image_url": "reference_images",
    "video_url": "reference_videos",
    "audio_url": "reference_audios",
}
LONGEST_SESSION: Final = 256
MOST_WARNINGS: Final = 10
"""So many fields are named that were ignored; the job keeps these sentences."""

OPENROUTER: Final = "openrouter"
PROVIDERS: Final = {
    "google-vertex": "google",
    "google-ai-studio": "google",
    "amazon-bedrock": "bedrock",
    "alibaba": "dashscope",
    "byteplus": "seedance",
    "seed": "seedance",
    "x-ai": "xai",
    "kwaivgi": "kling",
}
"""OpenRouter's slugs of providers that we call otherwise."""
PORTABLE: Final = {"negativePrompt": "negative_prompt", "personGeneration": "person_generation"}
"""Google's names in `provider.options` for what is a field of its own here."""


@dataclass(slots=True)
class Meaning:
    """A request in our own fields (`content`), by our names the caller's (`names`), and what the caller should know.

    `options` are those of `provider.options`, by slug.
    """

    model: str
    content: dict[str, Any] = field(default_factory=dict)
    names: dict[str, str] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)
    options: dict[str, dict[str, Any]] = field(default_factory=dict)

    def say(self, ours: str, theirs: str, value: Any) -> None:
        """The caller's field `theirs` says `value` for our field `ours`."""
        self.content[ours] = value
        self.names[ours] = theirs

    def ignore(self, name: str, why: str) -> None:
        """The caller's field has no effect."""
        if len(self.warnings) < MOST_WARNINGS:
            self.warnings.append(f"{name[:100]} was ignored: {why}")


def meaning_of(body: Mapping[str, Any], session_header: str | None = None) -> Meaning:
    """The same request in our own fields. Null means not given.

    `session_header` is the header `x-session-id`, which `session_id` replaces. Raises InvalidRequest or
    UnsupportedOption naming the caller's field.
    """
    given = {name: value for name, value in body.items() if value is not None}
    meaning = Meaning(model=_model(given.get("model")))
    for name in given:
        if name not in KNOWN:
            near = near_names(name, KNOWN)
            hint = f"; did you mean {' or '.join(repr(one) for one in near)}?" if near else ""
            meaning.ignore(name, f"there is no such field{hint}")
    for name in SAME:
        if name in given:
            meaning.say(name, name, given[name])
    for name in UPSCALING:
        if name in given:
            raise UnsupportedOption(
                f"{name} is for upscaling models, and no model here upscales by it; leave it out", name
            )
    resolution = given.get("resolution")
    if resolution is not None:
        # OpenRouter writes 2K and 4K in capitals.
        meaning.say("resolution", "resolution", resolution.lower() if isinstance(resolution, str) else resolution)
    _add_frames(meaning, _list(given, "frame_images"))
    _add_references(meaning, _list(given, "input_references"))
    _add_callback(meaning, given.get("callback_url"))
    _add_metadata(meaning, given.get("session_id"), session_header, given.get("trace"))
    _add_options(meaning, given.get("provider"))
    return meaning


def with_model(meaning: Meaning, model: Model) -> dict[str, Any]:
    """The content with what depends on the model that is asked for: its provider's options, what a video is for.

    Raises UnsupportedOption if two sets of options for one provider differ.
    """
    content = dict(meaning.content)
    options = _options_for(meaning, model)
    tasks = model.video_tasks
    if "previous_job_id" in content and "video_task" not in options and tasks and VideoTask.EXTEND not in tasks:
        # There a job is said to edit or extend, whichever its model can do.
        content["video_task"] = next(iter(tasks)).value
    if options:
        content["additional_params"] = options
    return content


def _options_for(meaning: Meaning, model: Model) -> dict[str, Any]:
    if model.provider == OPENROUTER:
        return _options_there(meaning)
    found: dict[str, Any] = {}
    for slug, options in meaning.options.items():
        name = f"provider.options.{slug}"
        if PROVIDERS.get(slug, slug) != model.provider:
            meaning.ignore(name, f"the model is of '{model.provider}'")
            continue
        meaning.names["additional_params"] = name
        for option, value in options.items():
            ours = PORTABLE.get(option, option) if model.provider == "google" else option
            if ours in found and found[ours] != value:
                raise UnsupportedOption(f"{name}.{option} is given twice with different values; give it once", name)
            found[ours] = value
    return found


def _options_there(meaning: Meaning) -> dict[str, Any]:
    """The options for a model that runs at OpenRouter itself, which gets them as they are."""
    found: dict[str, Any] = {}
    passed_on: dict[str, dict[str, Any]] = {}
    for slug, options in meaning.options.items():
        is_google = PROVIDERS.get(slug) == "google"
        rest = {}
        for option, value in options.items():
            if is_google and option in PORTABLE:
                found[PORTABLE[option]] = value
            else:
                rest[option] = value
        if rest:
            passed_on[slug] = rest
    meaning.names["additional_params"] = "provider.options"
    return found | ({"provider": {"options": passed_on}} if passed_on else {})


def _model(value: object) -> str:
    if isinstance(value, str):
        return value
    raise _wrong("model", "must be a text, such as 'google/veo-3.1'" if value is not None else "is required")


def _add_frames(meaning: Meaning, frames: list[Any]) -> None:
    for index, frame in enumerate(frames):
        name = f"frame_images.{index}"
        part = _object(frame, name)
        kind = part.get("frame_type")
        if not isinstance(kind, str) or kind not in FRAMES:
            raise _wrong(f"{name}.frame_type", f"must be 'first_frame' or 'last_frame', not {shown(kind)}")
        if FRAMES[kind] in meaning.content:
            raise _wrong(name, f"is one '{kind}' too many; a video has one")
        if part.get("type", "image_url") != "image_url":
            raise _wrong(f"{name}.type", f"must be 'image_url', not {shown(part['type'])}")
        meaning.say(FRAMES[kind], name, _url(part, "image_url", name))


def _add_references(meaning: Meaning, references: list[Any]) -> None:
    for index, reference in enumerate(references):
        name = f"input_references.{index}"
        part = _object(reference, name)
        kind = part.get("type")
        if not isinstance(kind, str) or kind not in REFERENCES:
            raise _wrong(f"{name}.type", f"must be one of {', '.join(REFERENCES)}, not {shown(kind)}")
        ours = REFERENCES[kind]
        files = meaning.content.setdefault(ours, [])
        meaning.names[f"{ours}.{len(files)}"] = name
        # A role that the model does not take at all is called by its own name.
        meaning.names[ours] = meaning.names[ours.removesuffix("s")] = "input_references"
        files.append(_url(part, kind, name))


def _add_callback(meaning: Meaning, url: object) -> None:
    if url is None:
        return
    if not isinstance(url, str) or not url.lower().startswith("https://"):
        raise _wrong("callback_url", f"must be an https URL, not {shown(url)}")
    meaning.say("webhook_url", "callback_url", url)
    meaning.content["webhook_events"] = ["video.completed", "video.failed", "video.cancelled"]


def _add_metadata(meaning: Meaning, session: object, session_header: str | None, trace: object) -> None:
    metadata: dict[str, str] = {}
    name = "x-session-id" if session is None else "session_id"
    session = session_header if session is None else session
    if session is not None:
        if not isinstance(session, str) or len(session) > LONGEST_SESSION:
            raise _wrong(name, f"must be a text of at most {LONGEST_SESSION} characters")
        metadata["session_id"] = session
    for key, value in _object({} if trace is None else trace, "trace").items():
        if value is None:
            continue
        text = value if isinstance(value, str) else json_str(value)
        pair = f"trace.{key}"
        if len(pair) > LONGEST_METADATA_NAME:
            raise _wrong("trace", f"has a name of {len(key)} characters; at most {LONGEST_METADATA_NAME - 6} are kept")
        if len(text) > LONGEST_METADATA_VALUE:
            raise _wrong(pair, f"has {len(text)} characters; at most {LONGEST_METADATA_VALUE} are kept")
        metadata[pair] = text
    if len(metadata) > MOST_METADATA:
        raise _wrong("trace", f"makes {len(metadata)} pairs with session_id; a job keeps {MOST_METADATA}")
    if metadata:
        meaning.say("metadata", "trace", metadata)


def _add_options(meaning: Meaning, provider: object) -> None:
    if provider is None:
        return
    for name, value in _object(provider, "provider").items():
        if name != "options":
            meaning.ignore(f"provider.{name}", "there is no such field; the model's name says what runs it")
            continue
        for slug, options in _object({} if value is None else value, "provider.options").items():
            if options is not None:
                meaning.options[slug] = dict(_object(options, f"provider.options.{slug[:100]}"))


def _url(part: Mapping[str, Any], kind: str, name: str) -> str:
    value = part.get(kind)
    url = value.get("url") if isinstance(value, Mapping) else value
    if not isinstance(url, str):
        raise _wrong(f"{name}.{kind}", "must be an object with a url: an http(s) URL or a data URL")
    return url


def _list(given: Mapping[str, Any], name: str) -> list[Any]:
    value = given.get(name, [])
    if not isinstance(value, list):
        raise _wrong(name, "must be a list")
    if len(value) > MOST_FILES:
        raise _wrong(name, f"has {len(value)} files; a request may have {MOST_FILES}")
    return value


def _object(value: object, name: str) -> Mapping[str, Any]:
    if isinstance(value, Mapping):
        return value
    raise _wrong(name, f"must be an object, not {shown(value)}")


def _wrong(name: str, trouble: str) -> InvalidRequest:
    return invalid_fields([FieldError(name[:100], trouble)])
