"""One generation as a body asks for it: its fields, and how they become what the job service is asked."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator
from pydantic.config import JsonDict
from pydantic_core import PydanticCustomError

from rushes.catalogue.params import lift_portable
from rushes.catalogue.size import with_size
from rushes.domain.fallbacks import MOST_FALLBACKS
from rushes.domain.job_webhook import JobWebhook
from rushes.domain.request import Role, VideoRequest
from rushes.errors import FieldError, InvalidRequest
from rushes.intake.body import refuse_unknown, shaped
from rushes.jobs.new_job import Asked
from rushes.media.inputs import GivenMedia
from rushes.webhooks.message import MessageType

LONGEST_PROMPT = 32_000

NOT_EMPTY: JsonDict = {"minLength": 1}
"""Said in the document alone: what refuses an empty one, further in, can say more."""

MEDIA = "Base64, a data URL, an http(s) URL, or the reference of an upload."


class GenerationBody(BaseModel):
    """What POST /videos/generations takes. Null means not given."""

    model_config = ConfigDict(strict=True, extra="forbid")

    prompt: str = Field(min_length=1, max_length=LONGEST_PROMPT, description="What the video shows.")
    model: str | None = Field(
        None, json_schema_extra=NOT_EMPTY, description="`ID` or `provider/ID`; default `veo-3.0-generate-001`."
    )
    provider: str | None = Field(None, json_schema_extra=NOT_EMPTY, description="Provider name.")
    aspect_ratio: str | None = Field(None, description="Such as `16:9`; the model's catalogue entry decides.")
    resolution: str | None = Field(None, description="Such as `720p`; the model's catalogue entry decides.")
    size: str | None = Field(
        None,
        json_schema_extra={"pattern": "^[1-9][0-9]{0,4}x[1-9][0-9]{0,4}$"},
        description="Width and height, such as `1280x720`: ratio and resolution in one.",
    )
    duration: int | None = Field(None, ge=1, description="Seconds.")
    n: int | None = Field(None, ge=1, le=10, description="Number of videos; default 1.")
    response_format: Literal["url", "b64_json"] | None = Field(None, description="How finished videos are answered.")
    seed: int | None = Field(None, ge=0, le=2**32 - 1, description="Repeats a result where the model can.")
    negative_prompt: str | None = Field(None, max_length=LONGEST_PROMPT, description="What to avoid.")
    generate_audio: bool | None = Field(None, description="Whether the video has a sound track.")
    person_generation: str | None = Field(None, description="Which people may be shown, where the model asks.")
    input_image: str | None = Field(None, description="The opening shot. " + MEDIA)
    last_frame: str | None = Field(None, description="The closing shot. " + MEDIA)
    reference_image: str | None = Field(None, description="An image for style or subject. " + MEDIA)
    reference_images: list[str] | None = Field(None, description="Several; `reference_image` counts as the first.")
    video: str | None = Field(None, description="A video to extend. " + MEDIA)
    fallback_models: list[str] | None = Field(
        None,
        max_length=MOST_FALLBACKS,
        description="Models, `ID` or `provider/ID`: the next one takes over while none has accepted the job.",
    )
    webhook_url: str | None = Field(
        None, max_length=8192, repr=False, description="Where we tell you of this job's changes, by POST."
    )
    webhook_events: list[MessageType] | None = Field(
        None, min_length=1, description="What to tell `webhook_url` of; all without it."
    )
    additional_params: dict[str, Any] | None = Field(None, description="The provider's own options, sent as given.")
    byok_api_key: str | None = Field(
        None, repr=False, description="Your own key of the provider: used for this job alone, wiped when it ends."
    )

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

    @field_validator("additional_params")
    @classmethod
    def _can_be_written_as_json(cls, params: dict[str, Any] | None) -> dict[str, Any] | None:
        # Read from JSON, 1e999 is infinite, and infinity has no spelling there.
        try:
            json.dumps(params, allow_nan=False)
        except ValueError as exc:
            raise PydanticCustomError("not_finite", "Must hold no number beyond the range of a double") from exc
        return params


def known_events(events: object) -> object:
    """The events of a webhook as their type; what is none of them is left for the field to refuse, with its name."""
    if not isinstance(events, list):
        return events
    known = {one.value: one for one in MessageType}
    return [known.get(one, one) if isinstance(one, str) else one for one in events]


def given_media(body: GenerationBody) -> list[GivenMedia]:
    """The input files of a body, each with the name its errors use; references in the order given."""
    single = (
        (Role.INPUT_IMAGE, body.input_image),
        (Role.LAST_FRAME, body.last_frame),
        (Role.VIDEO, body.video),
        (Role.REFERENCE_IMAGE, body.reference_image),
    )
    media = [GivenMedia(role, role.value, value) for role, value in single if value is not None]
    for index, value in enumerate(body.reference_images or ()):
        media.append(GivenMedia(Role.REFERENCE_IMAGE, f"reference_images.{index}", value))
    return media


def asked_of(content: dict[str, Any], webhook_of: Callable[[str, Sequence[str] | None], JobWebhook]) -> Asked:
    """What a body asks for; `webhook_of` makes a webhook's address and events something that a job may keep.

    Raises InvalidRequest, UnknownField, UnsupportedOption or RefusedInput naming the field.
    """
    params = content.get("additional_params")
    if isinstance(params, dict):
        lifted, rest = lift_portable(content, params)
        content = {**lifted, "additional_params": rest}
    refuse_unknown(content, GenerationBody.model_fields)
    body = shaped(GenerationBody, content)
    video = VideoRequest(
        prompt=body.prompt,
        aspect_ratio=body.aspect_ratio,
        resolution=body.resolution,
        duration_s=body.duration,
        n=1 if body.n is None else body.n,
        seed=body.seed,
        negative_prompt=body.negative_prompt,
        generate_audio=body.generate_audio,
        person_generation=body.person_generation,
        additional_params=body.additional_params or {},
    )
    if body.size is not None:
        video = with_size(video, body.size)
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
        response_format=body.response_format or "url",
        byok_api_key=body.byok_api_key,
        fallback_models=tuple(body.fallback_models or ()),
        webhook=webhook,
    )
