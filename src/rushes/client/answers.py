"""The answers of a service as types. Each keeps its JSON in `content`, with the fields that have no attribute here."""

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
    """One finished video. `url` needs no key and expires; it is None after the video was deleted."""

    url: str | None = field(repr=False)
    size_bytes: int | None
    sha256: str | None
    content_type: str
    width: int | None
    height: int | None
    duration_s: float | None

    @property
    def extension(self) -> str:
        """The end of its file name: ".mp4", ".webm", ".mov", or ".bin" for an unknown kind."""
        return EXTENSIONS.get(self.content_type, ".bin")

    @classmethod
    def from_json(cls, content: Json) -> Video:
        """Read an object of `result.data`."""
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
    """One job at the time of a read. `progress` is in percent."""

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
    def user(self) -> str | None:
        """The tag that the job was given."""
        user = self.content.get("user")
        return user if isinstance(user, str) else None

    @property
    def metadata(self) -> dict[str, str]:
        """The pairs that the job was given."""
        return dict(self.content.get("metadata") or {})

    @property
    def has_ended(self) -> bool:
        """Whether the job is completed or failed, so that it no longer changes."""
        return self.status in ENDED

    @classmethod
    def from_json(cls, content: Json) -> JobState:
        """Read a job object of the service."""
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
        """Read the answer to a create, which does not repeat the prompt and `n`."""
        state = cls.from_json({"progress": 0, "prompt": prompt, "n": n, **envelope})
        state.content = envelope
        return state

    def become(self, newer: JobState) -> None:
        """Replace every field by that of a later read."""
        for each in fields(JobState):
            setattr(self, each.name, getattr(newer, each.name))


@dataclass(frozen=True, slots=True)
class JobPage:
    """Some jobs, newest first. `total` is None for filters whose count would cost too much."""

    jobs: tuple[JobState, ...]
    total: int | None
    next_cursor: str | None
    content: Json = field(repr=False)

    @classmethod
    def from_json(cls, content: Json) -> JobPage:
        """Read a page object of the service."""
        return cls(
            jobs=tuple(JobState.from_json(job) for job in content["jobs"]),
            total=content.get("total"),
            next_cursor=content.get("next_cursor"),
            content=content,
        )


@dataclass(frozen=True, slots=True)
class Price:
    """The price of a video under these conditions; None matches every value. One of the three rates is given."""

    usd_per_s: float | None
    resolution: str | None = None
    audio: bool | None = None
    usd_per_video: float | None = None
    usd_per_million_tokens: float | None = None


@dataclass(frozen=True, slots=True)
class Model:
    """One model: the values it accepts, and its prices. An empty list means that the model lacks this option."""

    id: str
    provider: str
    name: str
    aspect_ratios: tuple[str, ...]
    resolutions: tuple[str, ...]
    durations_s: tuple[int, ...]
    audio: tuple[bool, ...]
    """Whether it makes videos with a sound track, without one, or both."""
    inputs: tuple[str, ...]
    prices: tuple[Price, ...]
    is_retired: bool
    """Whether its provider has retired it. Its successor, if any, then serves its requests."""
    successor: str | None
    has_credentials: bool | None
    content: Json = field(repr=False)

    @classmethod
    def from_json(cls, content: Json) -> Model:
        """Read a model object of the service."""
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
    """Read an answer as this type. Raises UnexpectedAnswer for JSON of another shape."""
    try:
        return shape(content)  # type: ignore[arg-type]  # a wrong type is what the except is for
    except (KeyError, TypeError, ValueError, AttributeError) as exc:
        raise UnexpectedAnswer(
            f"the answer is not that of a rushes service ({type(exc).__name__}: {exc}); compare the versions of both"
        ) from exc


def _moment(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(text)
