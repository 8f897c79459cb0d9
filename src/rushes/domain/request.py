"""What a caller asks a model for, in portable terms."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from enum import StrEnum
from typing import Any

from pydantic_core import from_json

Json = Any

VERSION = 1

_ENCODER = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"))


class MediaKind(StrEnum):
    """What an input file holds."""

    IMAGE = "image"
    VIDEO = "video"
    AUDIO = "audio"


class Role(StrEnum):
    """What an input file is for."""

    INPUT_IMAGE = "input_image"
    LAST_FRAME = "last_frame"
    REFERENCE_IMAGE = "reference_image"
    VIDEO = "video"
    """The video that `video_task` is done to."""
    REFERENCE_VIDEO = "reference_video"
    REFERENCE_AUDIO = "reference_audio"

    @property
    def kind(self) -> MediaKind:
        """What a file in this role holds."""
        match self:
            case Role.VIDEO | Role.REFERENCE_VIDEO:
                return MediaKind.VIDEO
            case Role.REFERENCE_AUDIO:
                return MediaKind.AUDIO
            case _:
                return MediaKind.IMAGE

    @property
    def field(self) -> str:
        """The field of a request that takes files in this role."""
        return f"{self.value}s" if self in (Role.REFERENCE_VIDEO, Role.REFERENCE_AUDIO) else self.value


class VideoTask(StrEnum):
    """What is done to the `video` input."""

    EXTEND = "extend"
    """Go on from its end; the duration is how much is added."""
    EDIT = "edit"
    """Change it as the prompt says; it keeps its length."""
    UPSCALE = "upscale"
    """Make it larger; it keeps its length."""


@dataclass(frozen=True, slots=True)
class InputMedia:
    """One input file, by reference: its bytes are in our storage under `key`, never in the row."""

    role: Role
    key: str
    content_type: str
    size_bytes: int
    sha256: str
    duration_s: float | None = None
    """Of a video or audio, as measured; None for an image, and for files taken in by earlier releases."""
    width: int | None = None
    height: int | None = None
    """In pixels, as measured; None for audio, and for files taken in by earlier releases."""


@dataclass(frozen=True, slots=True)
class PreviousVideo:
    """The earlier job of ours whose video is the `video` input.

    Where `provider`, `api` and `credential` are those that this request runs on, its adapter may go on from the
    provider's own record (`provider_video_id`, `handle`) instead of sending the bytes.
    """

    job_id: str
    index: int
    provider: str
    model: str
    """The model that made it."""
    api: str | None
    credential: str | None
    """The fingerprint of the key that it was made with; None where the job needed no key."""
    provider_video_id: str | None
    handle: Json | None
    """The adapter's own handle of the call that made it; None if it is not kept."""
    handle_index: int
    """Which of that call's videos it is."""
    completed_at: int
    """When it was finished, in milliseconds since 1970 UTC: providers keep their records for a while only."""


@dataclass(frozen=True, slots=True)
class VideoRequest:
    """One accepted generation: every option that was given or defaulted. None means: not given, no default.

    `additional_params` are the provider's own options, sent to it as given.
    """

    prompt: str
    aspect_ratio: str | None = None
    resolution: str | None = None
    duration_s: int | None = None
    n: int = 1
    seed: int | None = None
    negative_prompt: str | None = None
    generate_audio: bool | None = None
    person_generation: str | None = None
    media: tuple[InputMedia, ...] = ()
    additional_params: Mapping[str, Json] = field(default_factory=dict)
    video_task: VideoTask | None = None
    """What is done to the `video` input; None without one."""
    previous: PreviousVideo | None = None

    def media_for(self, role: Role) -> tuple[InputMedia, ...]:
        """The inputs that play `role`, in the order given."""
        if not self.media:
            return ()
        return tuple(item for item in self.media if item.role is role)

    def to_json(self) -> str:
        """The versioned form that the job row keeps."""
        content = {name: getattr(self, name) for name in VideoRequest.__slots__}
        content["media"] = [_given(media) for media in self.media]
        content["previous"] = None if self.previous is None else asdict(self.previous)
        # The previous release does not know these, and may read this row while both run.
        for name in ("video_task", "previous"):
            if content[name] is None:
                del content[name]
        return _ENCODER.encode({"version": VERSION, **content})

    @classmethod
    def from_json(cls, text: str) -> VideoRequest:
        """The request that `to_json` wrote."""
        content = from_json(text)
        if content.pop("version") != VERSION:
            raise ValueError("this request was written by a newer version of rushes")
        media = tuple(InputMedia(**{**item, "role": Role(item["role"])}) for item in content.pop("media"))
        task, previous = content.pop("video_task", None), content.pop("previous", None)
        return cls(
            media=media,
            video_task=None if task is None else VideoTask(task),
            previous=None if previous is None else PreviousVideo(**previous),
            **content,
        )


def _given(media: InputMedia) -> dict[str, Json]:
    content = {item.name: getattr(media, item.name) for item in fields(media)}
    # As above: an image has never had these.
    return {name: value for name, value in content.items() if value is not None}
