"""Every field of a generation, in one table that the body's schema, the check and the shown request follow."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final

from rushes.domain.request import Role, VideoTask

LONGEST_PROMPT: Final = 32_000
LONGEST_NAME: Final = 300
"""Of a model or a provider, as callers write it."""
MOST_FILES: Final = 16
"""Of one list of references; more than any model takes."""
LONGEST_USER: Final = 256
MOST_METADATA: Final = 16
LONGEST_METADATA_NAME: Final = 40
LONGEST_METADATA_VALUE: Final = 500

FILE: Final = "Base64, a data URL, an http(s) URL, or the reference of an upload."


class Reader(StrEnum):
    """Who reads an option."""

    PROVIDER = "provider"
    """The adapter, from the completed request; checked against the model's entry."""
    ROUTING = "routing"
    """It chooses what runs the request."""
    GATEWAY = "gateway"
    """The service itself: it is never sent upstream."""


@dataclass(frozen=True, slots=True)
class Option:
    """One field of a generation. Every field may be left out but the prompt; null means not given."""

    name: str
    """As callers write it."""
    kind: Any
    """Its type, without None."""
    reader: Reader
    description: str = ""
    attribute: str | None = None
    """The attribute of `VideoRequest` that holds it; None for files, and where the provider does not read it."""
    role: Role | None = None
    """The role of the files that it takes."""
    has_default: bool = False
    """Whether the model's entry lists its values and says what it becomes when it is left out."""
    bounds: Mapping[str, Any] = field(default_factory=dict)
    """What limits it whatever the model, as pydantic's `Field` takes it."""


def _option(name: str, kind: Any, description: str, *, has_default: bool = False, **bounds: Any) -> Option:
    attribute = {"duration": "duration_s"}.get(name, name)
    return Option(name, kind, Reader.PROVIDER, description, attribute, has_default=has_default, bounds=bounds)


def _file(role: Role, description: str) -> Option:
    return Option(role.value, str, Reader.PROVIDER, f"{description} {FILE}", role=role)


def _files(role: Role, description: str) -> Option:
    return Option(
        f"{role.value}s", list[str], Reader.PROVIDER, description, role=role, bounds={"max_length": MOST_FILES}
    )


NOT_EMPTY: Final = {"json_schema_extra": {"minLength": 1}}
"""Said in the document alone: what refuses an empty one, further in, can say more."""

OPTIONS: Final[tuple[Option, ...]] = (
    Option(
        "prompt", str, Reader.PROVIDER, "What the video shows.", "prompt",
        bounds={"min_length": 1, "max_length": LONGEST_PROMPT},
    ),
    Option("model", str, Reader.ROUTING, "`ID` or `provider/ID`; default `veo-3.0-generate-001`.",
           bounds={**NOT_EMPTY, "max_length": LONGEST_NAME}),
    Option("provider", str, Reader.ROUTING, "Provider name.", bounds={**NOT_EMPTY, "max_length": LONGEST_NAME}),
    _option("aspect_ratio", str, "Such as `16:9`; the model's catalogue entry decides.", has_default=True),
    _option("resolution", str, "Such as `720p`; the model's catalogue entry decides.", has_default=True),
    Option(
        "size", str, Reader.ROUTING, "Width and height, such as `1280x720`: ratio and resolution in one.",
        bounds={"json_schema_extra": {"pattern": "^[1-9][0-9]{0,4}x[1-9][0-9]{0,4}$"}},
    ),
    _option("duration", int, "Seconds; of an extension, how much is added.", has_default=True, ge=1),
    _option("n", int, "Number of videos; default 1.", ge=1, le=10),
    _option("seed", int, "Repeats a result where the model can.", ge=0, le=2**32 - 1),
    _option("negative_prompt", str, "What to avoid.", max_length=LONGEST_PROMPT),
    _option("generate_audio", bool, "Whether the video has a sound track.", has_default=True),
    _option("person_generation", str, "Which people may be shown, where the model asks."),
    _file(Role.INPUT_IMAGE, "The opening shot."),
    _file(Role.LAST_FRAME, "The closing shot."),
    _file(Role.REFERENCE_IMAGE, "An image for style or subject."),
    _files(Role.REFERENCE_IMAGE, "Several; `reference_image` counts as the first."),
    _files(Role.REFERENCE_VIDEO, "Videos for style, subject or motion, each given as `video` is."),
    _files(
        Role.REFERENCE_AUDIO,
        "Voices or music: WAV, MP3, M4A, FLAC or Ogg, each given as `video` is.",
    ),
    _file(Role.VIDEO, "The video that `video_task` is done to."),
    Option(
        "previous_job_id", str, Reader.ROUTING,
        "A finished job of yours: its video is taken as `video`, without sending it again.",
        bounds={"max_length": 100},
    ),
    Option(
        "previous_index", int, Reader.ROUTING, "Which of that job's videos; default 0, the first.",
        bounds={"ge": 0, "le": 9},
    ),
    _option(
        "video_task", VideoTask, "What is done to the video: `extend` (default), `edit` or `upscale`."
    ),
    Option(
        "user", str, Reader.GATEWAY,
        "Your own tag, such as an end user's id: shown, filters lists, groups usage. It is never sent upstream.",
        bounds={"min_length": 1, "max_length": LONGEST_USER},
    ),
    Option(
        "metadata", dict[str, str], Reader.GATEWAY,
        f"Up to {MOST_METADATA} pairs of your own, names of up to {LONGEST_METADATA_NAME} characters and values of "
        f"up to {LONGEST_METADATA_VALUE}: shown, and in webhooks. They are never sent upstream.",
    ),
)  # fmt: skip
"""What a request may say of the video, in the order of the documents. What only concerns how the answer comes
(`response_format`, webhooks, keys, fallbacks) is in `intake/generation.py`."""

DEFAULTED: Final = {
    option.attribute: option.name for option in OPTIONS if option.has_default and option.attribute is not None
}
"""The options that a model's entry completes: attributes of `VideoRequest`, with the names that callers use."""
