"""The body of an interaction, and the fields of ours that it means. Pure translation, no I/O.

Names as google-genai 3.6 has them (`_gaos/types/interactions`). Whatever has no meaning for a video is refused by name.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from rushes.api.gemini.interaction_input import Input, read_input
from rushes.api.gemini.veo_fields import Meaning, add_webhook, pairs, whole_number, wrong
from rushes.catalogue.wording import listed, shown
from rushes.domain.request import VideoTask
from rushes.errors import UnsupportedOption
from rushes.intake.body import refuse_unknown

FIELDS: Final = (
    "model", "input", "background", "store", "stream", "previous_interaction_id", "response_format",
    "response_modalities", "response_mime_type", "generation_config", "labels", "webhook_config", "service_tier",
    "agent", "agent_config", "cached_content", "continuation_token", "environment", "safety_settings",
    "system_instruction", "tools",
)  # fmt: skip
FOR_TEXT: Final = (
    "agent", "agent_config", "cached_content", "continuation_token", "environment", "safety_settings",
    "system_instruction", "tools",
)  # fmt: skip
"""Google's fields for text, speech and tools, which a video has no use for."""
FORMAT_FIELDS: Final = ("type", "aspect_ratio", "resolution", "duration", "delivery", "gcs_uri", "mime_type")
CONFIG_FIELDS: Final = ("seed", "video_config")
TASKS: Final = ("text_to_video", "image_to_video", "reference_to_video", *VideoTask)
DELIVERIES: Final = {"inline": "b64_json", "uri": "url"}
_SECONDS: Final = re.compile(r"([0-9]{1,6})(?:\.0{1,9})?s")


@dataclass(frozen=True, slots=True)
class Order:
    """One interaction as it is asked for: what to make, by which model, and how it is answered."""

    model: str
    meaning: Meaning
    waits: bool
    response_format: str
    task_is_open: bool
    """Whether a video is given, and nothing says what to do with it."""


def order_of(body: Mapping[str, Any]) -> Order:
    """The interaction in our own fields. Null means not given.

    Raises InvalidRequest, UnsupportedOption or UnknownField naming the caller's field.
    """
    refuse_unknown(body, FIELDS)
    given = {name: value for name, value in body.items() if value is not None}
    for name in FOR_TEXT:
        if name in given:
            raise UnsupportedOption(f"{name} has no meaning for a video; leave it out", name)
    model = given.get("model")
    if not isinstance(model, str) or not model:
        raise wrong("model", "is required: the name of a model, such as 'google/gemini-omni-1.2-flash'")
    meaning = Meaning(names={"model": "model", "prompt": "input"})
    is_background = _switch(given, "background", default=False)
    if not _switch(given, "store", default=True):
        raise UnsupportedOption("store false is not offered: delete the interaction when you have its video", "store")
    if _switch(given, "stream", default=False):
        raise UnsupportedOption("stream is not offered; get the interaction until it has ended", "stream")
    if given.get("service_tier", "standard") != "standard":
        raise UnsupportedOption(
            f"service_tier {shown(given['service_tier'])} is not offered; it offers 'standard'", "service_tier"
        )
    task = _add_config(meaning, _object(given, "generation_config"))
    delivery = _add_format(meaning, given)
    previous = given.get("previous_interaction_id")
    if previous is not None:
        if not isinstance(previous, str):
            raise wrong("previous_interaction_id", "must be a text")
        meaning.say("previous_job_id", "previous_interaction_id", previous)
    found = read_input(given.get("input"), task)
    _add_input(meaning, found)
    is_about_video = "video" in meaning.content or "previous_job_id" in meaning.content
    meaning.names["video_task"] = "generation_config.video_config.task"
    if task in list(VideoTask):
        meaning.content["video_task"] = task
    metadata = dict(pairs(given.get("labels"), "labels"))
    add_webhook(meaning, _object(given, "webhook_config"), metadata, "webhook_config")
    if metadata:
        meaning.say("metadata", "labels" if "labels" in given else "webhook_config.user_metadata", metadata)
    return Order(model, meaning, not is_background, delivery, is_about_video and task not in list(VideoTask))


def _add_input(meaning: Meaning, found: Input) -> None:
    meaning.say("prompt", "input", found.prompt)
    for ours, block in found.single.items():
        meaning.say(ours, block.name, block.value)
    for ours, blocks in found.several.items():
        meaning.say(ours, "input", [block.value for block in blocks])
        meaning.names |= {f"{ours}.{index}": block.name for index, block in enumerate(blocks)}
        meaning.names[ours.removesuffix("s")] = "input"
    if found.previous is not None:
        if "previous_job_id" in meaning.content:
            raise UnsupportedOption(
                "previous_interaction_id: the input has a video to go on from too; give one of the two",
                "previous_interaction_id",
            )
        meaning.say("previous_job_id", found.previous_name, found.previous.job_id)
        meaning.say("previous_index", found.previous_name, found.previous.index)


def _add_config(meaning: Meaning, config: Mapping[str, Any]) -> str | None:
    """Add the seed, and return the task."""
    given = {name: value for name, value in config.items() if value is not None}
    for name in given:
        if name not in CONFIG_FIELDS:
            field = f"generation_config.{name[:100]}"
            raise UnsupportedOption(f"{field} has no meaning for a video; it takes {listed(CONFIG_FIELDS)}", field)
    if "seed" in given:
        name = "generation_config.seed"
        meaning.say("seed", name, whole_number(given["seed"], name))
    video_config = given.get("video_config", {})
    name = "generation_config.video_config"
    if not isinstance(video_config, dict) or video_config.keys() - {"task"}:
        raise wrong(name, "must be an object with a task")
    task = video_config.get("task")
    if task is not None and task not in TASKS:
        raise UnsupportedOption(f"{name}.task {shown(task)} is not offered; it offers {listed(TASKS)}", f"{name}.task")
    return None if task is None else str(task)


def _add_format(meaning: Meaning, given: Mapping[str, Any]) -> str:
    """Add what the format says of the video, and return how our own API calls the way in which it is delivered."""
    modalities = given.get("response_modalities")
    if modalities is not None and [str(one).lower() for one in _list(modalities, "response_modalities")] != ["video"]:
        raise UnsupportedOption(
            "response_modalities must be ['video']; only videos are made here", "response_modalities"
        )
    if str(given.get("response_mime_type", "video/mp4")) != "video/mp4":
        raise UnsupportedOption("response_mime_type must be 'video/mp4'", "response_mime_type")
    shape = given.get("response_format", {})
    if isinstance(shape, list):
        if len(shape) != 1:
            raise wrong("response_format", f"must be one object, not {len(shape)}")
        shape = shape[0]
    if not isinstance(shape, dict):
        raise wrong("response_format", "must be an object")
    for name, value in shape.items():
        if value is not None:
            _add_of_format(meaning, name, value)
    # Google puts a video inside the answer if nothing else is said.
    return DELIVERIES[shape.get("delivery") or "inline"]


def _add_of_format(meaning: Meaning, name: str, value: Any) -> None:
    field = f"response_format.{name[:100]}"
    match name:
        case "aspect_ratio" | "resolution":
            meaning.say(name, field, value)
        case "duration":
            # A protobuf Duration; Google refuses a bare number.
            found = _SECONDS.fullmatch(value) if isinstance(value, str) else None
            if found is None:
                raise wrong(field, f"{shown(value)} is not a whole number of seconds, such as '6s'")
            meaning.say("duration", field, int(found[1]))
        case "delivery":
            if not isinstance(value, str) or value not in DELIVERIES:
                raise UnsupportedOption(f"{field} {shown(value)} is not offered; it offers {listed(DELIVERIES)}", field)
        case "gcs_uri":
            raise UnsupportedOption(f"{field} is not offered: videos are kept here; leave it out", field)
        case "type":
            if value != "video":
                raise UnsupportedOption(f"{field} {shown(value)} is not offered; only videos are made here", field)
        case "mime_type":
            if value != "video/mp4":
                raise UnsupportedOption(f"{field} {shown(value)} is not offered; it offers 'video/mp4'", field)
        case _:
            refuse_unknown([name], FORMAT_FIELDS, "field of response_format named")


def _object(given: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    value = given.get(name, {})
    if not isinstance(value, dict):
        raise wrong(name, "must be an object")
    return value


def _list(value: Any, name: str) -> Sequence[Any]:
    if not isinstance(value, list) or len(value) > 10:
        raise wrong(name, "must be a short list")
    return value


def _switch(given: Mapping[str, Any], name: str, *, default: bool) -> bool:
    value = given.get(name, default)
    if not isinstance(value, bool):
        raise wrong(name, f"must be true or false, not {shown(value)}")
    return value
