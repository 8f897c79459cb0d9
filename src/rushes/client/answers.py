"""What a service answers, typed. Each keeps the JSON it was read from; fields that we do not know are in there too."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from datetime import datetime
from typing import Any, TypeVar

from rushes.client.errors import UnexpectedAnswer

Json = Mapping[str, Any]
Shape = TypeVar("Shape")

ENDED = ("completed", "failed")


EXTENSIONS = {"video/mp4": ".mp4", "video/webm": ".webm", "video/quicktime": ".mov"}


@dataclass(frozen=True, slots=True)
class Video:
    """One finished video. `url` needs no key and works for a while; None when the video is no longer kept."""

    url: str | None = field(repr=False)
    size_bytes: int | None
    sha256: str | None
    content_type: str
    width: int | None
    height: int | None
    duration_s: float | None

    @property
    def extension(self) -> str:
        """What the name of its file ends with: ".mp4", ".webm", ".mov", or ".bin" for a kind that is not known."""
        return EXTENSIONS.get(self.content_type, ".bin")

    @classmethod
    def from_json(cls, content: Json) -> Video:
        """The video that an object of `result.data` describes."""
        return cls(
            url=content.get("url"),
            size_bytes=content.get("file_size"),
            sha256=content.get("sha256"),
            content_type=content.get("content_type") or "video/mp4",
            width=content.get("width"),
            height=content.get("height"),
            duration_s=content.get("duration"),
        )


@dataclass(eq=False, repr=False)
class JobState:
    """One job as it was when it was read. `progress` is in percent."""

    id: str
    status: str
    progress: int
    model: str
    provider: str
    served_model: str
    prompt: str
    n: int
    created_at: datetime
    started_at: datetime | None
    completed_at: datetime | None
    error: str | None
    error_code: str | None
    cost_usd: float | None
    cost_is_estimated: bool
    warnings: tuple[str, ...]
    videos: tuple[Video, ...]
    content: Json

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.id} {self.status} {self.progress}% {self.provider}/{self.model}>"

    @property
    def has_ended(self) -> bool:
        """Whether nothing will change any more."""
        return self.status in ENDED

    @classmethod
    def from_json(cls, content: Json) -> JobState:
        """The job that the service's object describes."""
        usage = content.get("usage") or {}
        result = content.get("result") or {}
        return JobState(
            id=content["job_id"],
            status=content["status"],
            progress=content["progress"],
            model=content["model"],
            provider=content["provider"],
            served_model=content.get("served_model") or content["model"],
            prompt=content["prompt"],
            n=content.get("n") or 1,
            created_at=datetime.fromisoformat(content["created_at"]),
            started_at=_moment(content.get("started_at")),
            completed_at=_moment(content.get("completed_at")),
            error=content.get("error"),
            error_code=content.get("error_code"),
            cost_usd=usage.get("cost"),
            cost_is_estimated=bool(usage.get("estimated")),
            warnings=tuple(content.get("warnings") or ()),
            videos=tuple(Video.from_json(video) for video in result.get("data") or ()),
            content=content,
        )

    @classmethod
    def from_envelope(cls, envelope: Json, prompt: str, n: int) -> JobState:
        """The job that an answer to a create describes; it does not repeat what was asked for."""
        state = cls.from_json({"progress": 0, "prompt": prompt, "n": n, **envelope})
        state.content = envelope
        return state

    def become(self, newer: JobState) -> None:
        """Take over everything that a later reading says."""
        for each in fields(JobState):
            setattr(self, each.name, getattr(newer, each.name))


@dataclass(frozen=True, slots=True)
class JobPage:
    """Some jobs, newest first. `total` is None where counting would cost too much."""

    jobs: tuple[JobState, ...]
    total: int | None
    next_cursor: str | None
    content: Json = field(repr=False)

    @classmethod
    def from_json(cls, content: Json) -> JobPage:
        """The page that the service's object describes."""
        return cls(
            jobs=tuple(JobState.from_json(job) for job in content["jobs"]),
            total=content.get("total"),
            next_cursor=content.get("next_cursor"),
            content=content,
        )


@dataclass(frozen=True, slots=True)
class Price:
    """What a video costs under these conditions; None matches everything. One of the three rates is given."""

    usd_per_s: float | None
    resolution: str | None = None
    audio: bool | None = None
    usd_per_video: float | None = None
    usd_per_million_tokens: float | None = None


@dataclass(frozen=True, slots=True)
class Model:
    """One model: what it accepts and costs. An empty list of values means that the option does not exist there."""

    id: str
    provider: str
    name: str
    aspect_ratios: tuple[str, ...]
    resolutions: tuple[str, ...]
    durations_s: tuple[int, ...]
    audio: tuple[bool, ...]
    """Whether it can be had with a sound track, without one, or both."""
    inputs: tuple[str, ...]
    prices: tuple[Price, ...]
    is_retired: bool
    """Whether its provider has ended it, so that its successor answers for it, if any."""
    successor: str | None
    has_credentials: bool | None
    content: Json = field(repr=False)

    @classmethod
    def from_json(cls, content: Json) -> Model:
        """The model that the service's object describes."""
        allowed = content["allowed"]
        return cls(
            id=content["id"],
            provider=content["provider"],
            name=content.get("name") or content["id"],
            aspect_ratios=tuple(allowed.get("aspect_ratio") or ()),
            resolutions=tuple(allowed.get("resolution") or ()),
            durations_s=tuple(allowed.get("duration") or ()),
            audio=tuple(allowed.get("generate_audio") or ()),
            inputs=tuple(content.get("inputs") or ()),
            prices=tuple(
                Price(
                    price.get("usd_per_second"),
                    price.get("resolution"),
                    price.get("generate_audio"),
                    price.get("usd_per_video"),
                    price.get("usd_per_million_tokens"),
                )
                for price in content.get("prices") or ()
            ),
            is_retired=content.get("status") == "retired",
            successor=content.get("successor"),
            has_credentials=content.get("has_credentials"),
            content=content,
        )


def read(shape: Callable[[Json], Shape], content: object) -> Shape:
    """The answer as its type. Raises UnexpectedAnswer for JSON that is not of that shape."""
    try:
        return shape(content)  # type: ignore[arg-type]  # a wrong type is what the except is for
    except (KeyError, TypeError, ValueError, AttributeError) as exc:
        raise UnexpectedAnswer(
            f"the answer is not what a rushes service says ({type(exc).__name__}: {exc}); is its version far from ours?"
        ) from exc


def _moment(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(text)
