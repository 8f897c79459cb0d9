"""What a provider delivers, and what we keep of it."""

from __future__ import annotations

from dataclasses import asdict, dataclass

Output = dict[str, object]
"""One finished video at the provider: JSON that its adapter alone understands (a URL, a file id, a path)."""


@dataclass(frozen=True, slots=True)
class StoredVideo:
    """One finished video in our storage: the provider's bytes unchanged, and what we measured of them.

    Width and height are as a player shows them. They and the duration are None if they could not be measured; `trouble`
    then says why, and what the bytes look like.
    """

    key: str
    size_bytes: int
    sha256: str
    content_type: str
    width: int | None
    height: int | None
    duration_s: float | None
    trouble: str | None = None

    def to_json(self) -> dict[str, object]:
        """A plain object, for the job row."""
        return asdict(self)
