"""The body of `predictLongRunning`, and the fields of ours that it means. Pure translation, no I/O.

Veo's own names (Vertex AI, "Veo video generation API"; google-genai 2.34 and 3.6). Google passes over what is unknown
inside `instances` and `parameters`, for they are free-form there; so do we, with a warning. All else is refused.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from rushes.api.gemini.media import Media, own_video, written_text
from rushes.catalogue.wording import shown
from rushes.errors import FieldError, UnknownField, UnsupportedOption
from rushes.intake.body import invalid_fields, whole_as_int
from rushes.near_names import near_names

INSTANCE: Final = "instances[0]"
TOP: Final = ("instances", "parameters", "labels", "webhookConfig")
PARTS: Final = ("prompt", "image", "lastFrame", "referenceImages", "video", "mask")
TEXTS: Final = {
    "aspectRatio": "aspect_ratio",
    "resolution": "resolution",
    "negativePrompt": "negative_prompt",
    "personGeneration": "person_generation",
}
NUMBERS: Final = {"durationSeconds": "duration", "sampleCount": "n", "seed": "seed"}
SOUND: Final = "generateAudio"
REFUSED: Final = {
    "storageUri": "videos are kept here, and the operation has them; leave it out",
    "pubsubTopic": "there is no Pub/Sub here; leave it out, or name a webhook in webhookConfig",
}
GOOGLES_OWN: Final = ("compressionQuality", "resizeMode", "fps")
"""Options that only Google's models have, on Vertex AI: they go there as they are."""
REWRITING: Final = "enhancePrompt"
KNOWN: Final = (*TEXTS, *NUMBERS, SOUND, *REFUSED, *GOOGLES_OWN, REWRITING)
REFERENCE_TYPES: Final = ("asset", "style")
LONGEST_LIST: Final = 16


@dataclass(slots=True)
class Meaning:
    """A request in our own fields (`content`), by our names the caller's (`names`), and what the caller should know.

    `google_options` are those that only Google's own models have.
    """

    content: dict[str, Any] = field(default_factory=dict)
    names: dict[str, str] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)
    google_options: dict[str, Any] = field(default_factory=dict)
    rewrites_prompt: bool | None = None

    def say(self, ours: str, theirs: str, value: Any) -> None:
        """The caller's field `theirs` says `value` for our field `ours`."""
        self.content[ours] = value
        self.names[ours] = theirs


def meaning_of(body: Mapping[str, Any]) -> Meaning:
    """The same request in our own fields. Null means not given.

    Raises InvalidRequest, UnsupportedOption or UnknownField naming the caller's field.
    """
    for name in body:
        if name not in TOP:
            near = near_names(name, TOP)
            hint = f" Did you mean {' or '.join(repr(one) for one in near)}?" if near else ""
            message = f"Invalid JSON payload received. Unknown name {shown(name)}: Cannot find field.{hint}"
            raise UnknownField(message, field=name[:100], suggestions=near)
    meaning = Meaning()
    _add_instance(meaning, _the_instance(body.get("instances")))
    _add_parameters(meaning, _object(body.get("parameters"), "parameters"))
    metadata = dict(pairs(body.get("labels"), "labels"))
    webhook = _object(body.get("webhookConfig"), "webhookConfig")
    add_webhook(meaning, webhook, metadata, "webhookConfig")
    if metadata:
        meaning.say("metadata", "labels" if body.get("labels") else "webhookConfig.userMetadata", metadata)
    return meaning


def pairs(value: Any, name: str) -> Mapping[str, str]:
    """An object of texts. Raises InvalidRequest naming it."""
    found = _object(value, name)
    for key, text in found.items():
        if not isinstance(text, str):
            raise wrong(f"{name}.{key}", f"must be a text, not {shown(text)}")
    return found


def add_webhook(meaning: Meaning, webhook: Mapping[str, Any], metadata: dict[str, str], name: str) -> None:
    """Add a webhook of Google's shape: one address, and pairs that go with it, which are among `metadata` here."""
    for key, value in webhook.items():
        # google-genai writes the second one.
        if key in ("userMetadata", "user_metadata"):
            metadata.update(pairs(value, f"{name}.{key}"))
        elif key != "uris":
            field = f"{name}.{key[:100]}"
            raise UnknownField(f"There is no field '{field}'", field, ["uris", "userMetadata"])
    uris = webhook.get("uris")
    if uris is None or uris == []:
        return
    if not isinstance(uris, list) or len(uris) != 1 or not isinstance(uris[0], str):
        raise wrong(f"{name}.uris", "must be a list of one address; a job has one webhook of its own here")
    meaning.say("webhook_url", f"{name}.uris", uris[0])


def whole_number(value: Any, name: str) -> int:
    """A whole number, which JSON of Google's APIs may write as text. Raises InvalidRequest naming it."""
    if isinstance(value, str) and value.removeprefix("-").isdecimal() and value.isascii() and len(value) <= 20:
        return int(value)
    value = whole_as_int(value)
    # In Python true is a number.
    if type(value) is int:
        return value
    raise wrong(name, f"{shown(value)} is not a whole number")


def wrong(name: str, trouble: str) -> Exception:
    """The error for a value that cannot be read."""
    return invalid_fields([FieldError(name[:100], trouble)])


def _object(value: Any, name: str) -> Mapping[str, Any]:
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise wrong(name, "must be an object")
    return value


def _the_instance(instances: Any) -> Mapping[str, Any]:
    # The field is repeated in Google's definition, and a single object is what JSON of theirs makes of one, too.
    if isinstance(instances, list):
        if len(instances) != 1:
            raise wrong("instances", f"must hold exactly one object, not {len(instances)}")
        instances = instances[0]
    if not isinstance(instances, dict):
        raise wrong("instances", 'must be a list of one object, such as [{"prompt": "A lighthouse"}]')
    return instances


def _add_instance(meaning: Meaning, instance: Mapping[str, Any]) -> None:
    given = {name: value for name, value in instance.items() if value is not None}
    if given.get("mask") is not None:
        raise UnsupportedOption(f"{INSTANCE}.mask: no model here takes a mask; leave it out", f"{INSTANCE}.mask")
    meaning.names["prompt"] = f"{INSTANCE}.prompt"
    if "prompt" in given:
        meaning.say("prompt", f"{INSTANCE}.prompt", given["prompt"])
    for theirs, ours in (("image", "input_image"), ("lastFrame", "last_frame")):
        if theirs in given:
            name = f"{INSTANCE}.{theirs}"
            meaning.say(ours, name, written_text(given[theirs], name))
    if "referenceImages" in given:
        _add_references(meaning, given["referenceImages"])
    if "video" in given:
        _add_video(meaning, given["video"])
    _warn_of_unknown(meaning, instance, PARTS, INSTANCE)


def _add_references(meaning: Meaning, given: Any) -> None:
    name = f"{INSTANCE}.referenceImages"
    if not isinstance(given, list) or len(given) > LONGEST_LIST:
        raise wrong(name, f"must be a list of at most {LONGEST_LIST} objects")
    images = []
    for index, item in enumerate(given):
        path = f"{name}[{index}]"
        if not isinstance(item, dict):
            raise wrong(path, "must be an object with an image and a referenceType")
        kind = item.get("referenceType")
        if kind is not None and (not isinstance(kind, str) or kind.lower() not in REFERENCE_TYPES):
            raise UnsupportedOption(
                f"{path}.referenceType {shown(kind)} is not offered; it offers 'asset', 'style'",
                f"{path}.referenceType",
            )
        images.append(written_text(item.get("image"), f"{path}.image"))
        meaning.names[f"reference_images.{index}"] = f"{path}.image"
        _warn_of_unknown(meaning, item, ("image", "referenceType"), path)
    meaning.say("reference_images", name, images)
    meaning.names["reference_image"] = name


def _add_video(meaning: Meaning, given: Any) -> None:
    name = f"{INSTANCE}.video"
    meaning.names |= {"video": name, "video_task": name, "previous_job_id": name, "previous_index": name}
    add_video(meaning.content, given, name)
    meaning.content["video_task"] = "extend"


def add_video(content: dict[str, Any], given: Media, name: str) -> None:
    """Add the video that is gone on from: by its job where it is one of ours, else as a file."""
    own = own_video(given)
    if own is None:
        content["video"] = written_text(given, name)
    else:
        content["previous_job_id"], content["previous_index"] = own.job_id, own.index


def _add_parameters(meaning: Meaning, parameters: Mapping[str, Any]) -> None:
    for theirs, value in parameters.items():
        name = f"parameters.{theirs}"
        if value is None:
            continue
        if theirs in REFUSED:
            raise UnsupportedOption(f"{name} is not offered: {REFUSED[theirs]}", name)
        if theirs in TEXTS:
            meaning.say(TEXTS[theirs], name, value)
        elif theirs in NUMBERS:
            meaning.say(NUMBERS[theirs], name, whole_number(value, name))
        elif theirs == SOUND:
            meaning.say("generate_audio", name, value)
        elif theirs == REWRITING:
            if not isinstance(value, bool):
                raise wrong(name, f"must be true or false, not {shown(value)}")
            meaning.rewrites_prompt = value
        elif theirs in GOOGLES_OWN:
            meaning.google_options[theirs] = value
    _warn_of_unknown(meaning, parameters, KNOWN, "parameters")


def _warn_of_unknown(meaning: Meaning, given: Mapping[str, Any], known: tuple[str, ...], where: str) -> None:
    for name in given:
        if name not in known:
            near = near_names(name, known)
            hint = f"; did you mean {' or '.join(repr(one) for one in near)}?" if near else ""
            meaning.warnings.append(f"{where}.{name[:100]} is not known here and was ignored{hint}")
