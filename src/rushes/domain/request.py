"""What a caller asks a model for, in portable terms."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from enum import StrEnum
from typing import Any

from pydantic_core import from_json

Json = Any

VERSION = 1


class Role(StrEnum):
    """What an input file is for."""

    INPUT_IMAGE = "input_image"
    LAST_FRAME = "last_frame"
    REFERENCE_IMAGE = "reference_image"
    VIDEO = "video"


@dataclass(frozen=True, slots=True)
class InputMedia:
    """One input file, by reference: its bytes are in our storage under `key`, never in the row."""

    role: Role
    key: str
    content_type: str
    size_bytes: int
    sha256: str


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

    def media_for(self, role: Role) -> tuple[InputMedia, ...]:
        """The inputs that play `role`, in the order given."""
        return tuple(item for item in self.media if item.role is role)

    def to_json(self) -> str:
        """The versioned form that the job row keeps."""
        content = {item.name: getattr(self, item.name) for item in fields(self)}
        content["media"] = [{item.name: getattr(media, item.name) for item in fields(media)} for media in self.media]
        return json.dumps({"version": VERSION, **content}, ensure_ascii=False, separators=(",", ":"))

    @classmethod
    def from_json(cls, text: str) -> VideoRequest:
        """The request that `to_json` wrote."""
        content = from_json(text)
        if content.pop("version") != VERSION:
            raise ValueError("this request was written by a newer version of rushes")
        media = tuple(InputMedia(**{**item, "role": Role(item["role"])}) for item in content.pop("media"))
        return cls(media=media, **content)
