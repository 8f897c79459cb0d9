"""What is to be drawn: everything a child process needs, and all that a handle holds."""

from __future__ import annotations

import json
import re
from dataclasses import asdict, dataclass, field, fields

from rushes.domain.progress import Handle
from rushes.errors import UnsupportedOption

VERSION = 1

LONGEST_DURATION_S = 60
SHORTEST_SIDE, LONGEST_SHORT_SIDE = 144, 2160
WIDEST_RATIO = 4

# With a test key we draw for every provider's models, so each of their words for a size is known here.
_NAMED_SHORT_SIDES = {"1k": 1024, "2k": 1440, "4k": 2160}
_PROVIDER_CHOOSES = {"auto": "16:9", "adaptive": "16:9"}


@dataclass(frozen=True, slots=True)
class Input:
    """One input file in the scratch directory, and the role (domain/request.py) that it plays."""

    role: str
    file: str
    duration_s: float | None = None
    """How long it lasts, if it is a video or audio and was measured."""


@dataclass(frozen=True, slots=True)
class Order:
    """One animatic to draw. `attempt_id` and `started_at_ms` name and time it, and never influence the picture."""

    attempt_id: str
    started_at_ms: int
    model: str
    prompt: str
    aspect_ratio: str = "16:9"
    resolution: str = "720p"
    duration_s: int = 8
    seed: int | None = None
    negative_prompt: str | None = None
    generate_audio: bool = False
    person_generation: str | None = None
    additional_params: str = ""
    """As compact JSON; empty where none were given."""
    inputs: tuple[Input, ...] = field(default=())
    task: str = ""
    """What is done to the video; empty without one."""

    @property
    def adds_pictures(self) -> bool:
        """Whether the film goes on beyond the video that is given."""
        return self.task in ("", "extend")

    def to_handle(self) -> Handle:
        """The versioned JSON that any process can go on from."""
        return {"version": VERSION, **asdict(self), "inputs": [asdict(item) for item in self.inputs]}

    @classmethod
    def from_handle(cls, handle: Handle) -> Order:
        """The order that `to_handle` wrote."""
        content = json.loads(json.dumps(handle))
        if content.pop("version") != VERSION:
            raise ValueError("this handle was written by a newer version of rushes")
        inputs = tuple(Input(**item) for item in content.pop("inputs"))
        return cls(inputs=inputs, **{item.name: content[item.name] for item in fields(cls) if item.name in content})

    def inputs_for(self, role: str) -> tuple[Input, ...]:
        """The inputs that play `role`, in the order given."""
        return tuple(item for item in self.inputs if item.role == role)

    def check(self) -> None:
        """Raise UnsupportedOption for a value that cannot be drawn."""
        frame_size(self.aspect_ratio, self.resolution)
        if self.adds_pictures and not 1 <= self.duration_s <= LONGEST_DURATION_S:
            raise UnsupportedOption(
                f"'duration' {self.duration_s} cannot be drawn; it must be from 1 to {LONGEST_DURATION_S} seconds",
                field="duration",
            )


def frame_size(aspect_ratio: str, resolution: str) -> tuple[int, int]:
    """Width and height in pixels, both even; the resolution is the short side.

    Raises UnsupportedOption for a ratio that is not W:H or is longer than 4:1, and for an unknown resolution.
    """
    short = _short_side(resolution)
    match = re.fullmatch(r"([1-9][0-9]{0,3}):([1-9][0-9]{0,3})", _PROVIDER_CHOOSES.get(aspect_ratio, aspect_ratio))
    if match is None:
        raise UnsupportedOption(
            f"'aspect_ratio' '{aspect_ratio}' cannot be drawn; it must be of the form W:H, such as 16:9",
            field="aspect_ratio",
        )
    ratio = int(match[1]) / int(match[2])
    if max(ratio, 1 / ratio) > WIDEST_RATIO:
        raise UnsupportedOption(
            f"'aspect_ratio' '{aspect_ratio}' cannot be drawn; it must be from 1:{WIDEST_RATIO} to {WIDEST_RATIO}:1",
            field="aspect_ratio",
        )
    long = 2 * round(short * max(ratio, 1 / ratio) / 2)
    return (long, short) if ratio >= 1 else (short, long)


def _short_side(resolution: str) -> int:
    word = resolution.lower()
    lines = re.fullmatch(r"([1-9][0-9]{2,3})p", word)
    short = int(lines[1]) if lines is not None else _NAMED_SHORT_SIDES.get(word, 0)
    if not SHORTEST_SIDE <= short <= LONGEST_SHORT_SIDE:
        raise UnsupportedOption(
            f"'resolution' '{resolution}' cannot be drawn; it must be 720p, 1080p or the like, from "
            f"{SHORTEST_SIDE}p to {LONGEST_SHORT_SIDE}p, or one of {', '.join(_NAMED_SHORT_SIDES)}",
            field="resolution",
        )
    return short + short % 2
