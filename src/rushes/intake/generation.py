"""One generation as a body asks for it: its fields, and how they become what the job service is asked."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, create_model, field_validator
from pydantic_core import PydanticCustomError

from rushes.catalogue.params import PORTABLE, lift_portable
from rushes.catalogue.size import with_size
from rushes.domain.fallbacks import MOST_FALLBACKS
from rushes.domain.job_webhook import JobWebhook
from rushes.domain.options import (
    LONGEST_METADATA_NAME,
    LONGEST_METADATA_VALUE,
    MOST_METADATA,
    OPTIONS,
)
from rushes.domain.request import VideoRequest, VideoTask
from rushes.errors import FieldError, InvalidRequest, UnsupportedOption
from rushes.intake.body import invalid_fields, refuse_unknown, shaped
from rushes.jobs.new_job import Asked, Previous
from rushes.jobs.routing import OnRetired
from rushes.media.inputs import GivenMedia
from rushes.webhooks.message import MessageType

LONGEST_KEY = 16_384
"""The longest credential that a provider has is a JSON document of about 2 KiB."""
MOST_EVENTS = 20
LONGEST_RETENTION_S = 100 * 366 * 86_400
MOST_REQUEST_BYTES = 64 * 1024
"""What a job stores of its request, without its media: every list of jobs and every worker reads it."""

LONGEST_CHARACTER_BYTES = 6
"""Of one character in JSON, escaped as `\\u0000`; in UTF-8 it has at most four."""
ROOM_FOR_REST_BYTES = 8192
"""More than the options beside the texts can take."""

TOO_LARGE = f"Makes the request to be stored larger than {MOST_REQUEST_BYTES // 1024} KiB"
_ENCODER = json.JSONEncoder(allow_nan=False, ensure_ascii=False, separators=(",", ":"))


class _Strict(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid")


def _portable() -> type[_Strict]:
    """What a request may say of the video, as a model: made from the table of options."""
    fields: dict[str, Any] = {}
    for option in OPTIONS:
        is_required = option.name == "prompt"
        kind = option.kind if is_required else option.kind | None
        default = ... if is_required else None
        fields[option.name] = (kind, Field(default, description=option.description, **option.bounds))
    return create_model("PortableOptions", __base__=_Strict, **fields)


PortableOptions: type[_Strict] = _portable()


class GenerationBody(PortableOptions):  # type: ignore[misc,valid-type]  # made at run time, from one table
    """What POST /videos/generations takes. Null means not given."""

    response_format: Literal["url", "b64_json"] | None = Field(None, description="How finished videos are answered.")
    fallback_models: list[str] | None = Field(
        None,
        max_length=MOST_FALLBACKS,
        description="Models, `ID` or `provider/ID`: the next one takes over while none has accepted the job.",
    )
    on_retired: OnRetired | None = Field(
        None, description="`refuse`: no successor may serve a retired model. `successor` where the operator lets one."
    )
    retention_s: float | None = Field(
        None,
        gt=0,
        le=LONGEST_RETENTION_S,
        allow_inf_nan=False,
        description="How long the finished videos are kept, in seconds; at most as long as the account's are.",
    )
    webhook_url: str | None = Field(
        None, max_length=8192, repr=False, description="Where we tell you of this job's changes, by POST."
    )
    webhook_events: list[MessageType] | None = Field(
        None, min_length=1, max_length=MOST_EVENTS, description="What to tell `webhook_url` of; all without it."
    )
    additional_params: dict[str, Any] | None = Field(None, description="The provider's own options, sent as given.")
    byok_api_key: str | None = Field(
        None,
        max_length=LONGEST_KEY,
        repr=False,
        description="Your own key of the provider: used for this job alone, wiped when it ends.",
    )

    @field_validator("video_task", mode="before")
    @classmethod
    def _known_task(cls, task: object) -> object:
        # Strict: from JSON a member of an enumeration comes as text.
        return VideoTask(task) if isinstance(task, str) and task in list(VideoTask) else task

    @field_validator("on_retired", mode="before")
    @classmethod
    def _known_end(cls, word: object) -> object:
        return known_end(word)

    @field_validator("metadata", mode="before")
    @classmethod
    def _few_metadata(cls, metadata: object) -> object:
        # Before any pair is looked at: of a million wrong ones each would be an error of its own.
        if isinstance(metadata, dict) and len(metadata) > MOST_METADATA:
            raise PydanticCustomError("metadata", f"Must hold at most {MOST_METADATA} pairs, not {len(metadata)}")
        return metadata

    @field_validator("metadata")
    @classmethod
    def _small_metadata(cls, metadata: dict[str, str] | None) -> dict[str, str] | None:
        return metadata if metadata is None else _checked_metadata(metadata)

    @field_validator("webhook_events", mode="before")
    @classmethod
    def _known_events(cls, events: object) -> object:
        return known_events(events)

    @field_validator("prompt")
    @classmethod
    def _says_something(cls, prompt: str) -> str:
        if not prompt.strip():
            raise PydanticCustomError("blank", "Must hold more than white space")
        return prompt


def _check_params(params: Mapping[str, Any]) -> None:
    """Raise InvalidRequest if the other options take more than 64 KiB as JSON, or JSON cannot express them."""
    options = {name: value for name, value in params.items() if name not in PORTABLE}
    try:
        # A body has a bounded number of values, but its texts may be huge.
        is_large = (
            _text_chars(options, MOST_REQUEST_BYTES) > MOST_REQUEST_BYTES
            or len(_ENCODER.encode(options)) > MOST_REQUEST_BYTES
        )
    except ValueError as exc:
        # Read from JSON, 1e999 is infinite.
        message = "Must hold no number beyond the range of a double"
        raise invalid_fields([FieldError("additional_params", message)]) from exc
    if is_large:
        raise invalid_fields([FieldError("additional_params", TOO_LARGE)])


def _text_chars(value: Any, most: int) -> int:
    """How many characters the texts within a JSON value have, counted until they are more than `most`."""
    chars = 0
    waiting = [value]
    while waiting and chars <= most:
        here = waiting.pop()
        # What was read from JSON has these types and no subclass of them. `isinstance` takes five times as long.
        kind = type(here)
        if kind is str:
            chars += len(here)
        elif kind is dict:
            chars += sum(map(len, here))
            waiting += here.values()
        elif kind is list:
            waiting += here
    return chars


def _check_stored_size(request: VideoRequest) -> None:
    """Raise InvalidRequest, naming the largest option, if the request takes more than a job may store."""
    texts = (
        request.prompt, request.negative_prompt, request.aspect_ratio, request.resolution, request.person_generation
    )  # fmt: skip
    characters = sum(len(text) for text in texts if text is not None)
    at_most = characters * LONGEST_CHARACTER_BYTES + ROOM_FOR_REST_BYTES
    if at_most <= MOST_REQUEST_BYTES and not request.additional_params:
        return
    if len(request.to_json().encode("utf-8", "surrogatepass")) <= MOST_REQUEST_BYTES:
        return
    sizes = {
        "prompt": len(request.prompt.encode("utf-8", "surrogatepass")),
        "negative_prompt": len((request.negative_prompt or "").encode("utf-8", "surrogatepass")),
        "additional_params": len(_ENCODER.encode(request.additional_params)),
    }
    raise invalid_fields([FieldError(max(sizes, key=lambda name: sizes[name]), TOO_LARGE)])


def known_end(word: object) -> object:
    """What happens to retired models, as its type; an unknown word is left for the field to refuse."""
    return OnRetired(word) if isinstance(word, str) and word in list(OnRetired) else word


def known_events(events: object) -> object:
    """The events of a webhook as their type. An unknown one is left for the field to refuse, with its name."""
    if not isinstance(events, list):
        return events
    known = {one.value: one for one in MessageType}
    return [known.get(one, one) if isinstance(one, str) else one for one in events]


def given_media(body: GenerationBody) -> list[GivenMedia]:
    """The input files of a body, each with the name its errors use; references in the order given."""
    media: list[GivenMedia] = []
    for option in OPTIONS:
        if option.role is None or (value := getattr(body, option.name)) is None:
            continue
        if isinstance(value, str):
            media.append(GivenMedia(option.role, option.name, value))
        else:
            media += [GivenMedia(option.role, f"{option.name}.{index}", one) for index, one in enumerate(value)]
    return media


def _checked_metadata(metadata: dict[str, str]) -> dict[str, str]:
    for name, value in metadata.items():
        if not 1 <= len(name) <= LONGEST_METADATA_NAME:
            raise PydanticCustomError(
                "metadata", f"Each name must have 1 to {LONGEST_METADATA_NAME} characters, not {len(name)}"
            )
        if len(value) > LONGEST_METADATA_VALUE:
            raise PydanticCustomError(
                "metadata",
                "The value of '{name}' must have at most {most} characters, not {length}",
                {"name": name, "most": LONGEST_METADATA_VALUE, "length": len(value)},
            )
    return metadata


def asked_of(content: dict[str, Any], webhook_of: Callable[[str, Sequence[str] | None], JobWebhook]) -> Asked:
    """What a body asks for; `webhook_of` makes a webhook's address and events something that a job may keep.

    Raises InvalidRequest, UnknownField, UnsupportedOption or RefusedInput naming the field.
    """
    params = content.get("additional_params")
    if isinstance(params, dict):
        _check_params(params)
        lifted, rest = lift_portable(content, params)
        content = {**lifted, "additional_params": rest}
    refuse_unknown(content, GenerationBody.model_fields)
    body = shaped(GenerationBody, content)
    said = {option.attribute: getattr(body, option.name) for option in OPTIONS if option.attribute is not None}
    video = VideoRequest(
        **{name: value for name, value in said.items() if value is not None},
        additional_params=body.additional_params or {},
    )
    if body.size is not None:
        video = with_size(video, body.size)
    _check_stored_size(video)
    webhook = None
    if body.webhook_url is not None:
        webhook = webhook_of(body.webhook_url, body.webhook_events)
    elif body.webhook_events is not None:
        message = "webhook_events: Needs a webhook_url to tell"
        raise InvalidRequest(message, [FieldError("webhook_events", message)])
    return Asked(
        request=video,
        media=tuple(given_media(body)),
        model=body.model,
        provider=body.provider,
        previous=_previous(body),
        user=body.user,
        metadata=body.metadata or {},
        response_format=body.response_format or "url",
        byok_api_key=body.byok_api_key,
        fallback_models=None if body.fallback_models is None else tuple(body.fallback_models),
        on_retired=body.on_retired,
        retention_s=body.retention_s,
        webhook=webhook,
    )


def _previous(body: GenerationBody) -> Previous | None:
    if body.previous_job_id is None:
        if body.previous_index is not None:
            raise _wrong("previous_index", "Needs a previous_job_id")
        return None
    if body.video is not None:
        raise _wrong("previous_job_id", "Takes the place of video; give only one of the two")
    return Previous(body.previous_job_id, body.previous_index or 0)


def _wrong(field: str, message: str) -> UnsupportedOption:
    return UnsupportedOption(f"{field}: {message}", field)
