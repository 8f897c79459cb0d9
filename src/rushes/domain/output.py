"""What a provider delivers, and what we keep of it."""

from __future__ import annotations

from dataclasses import asdict, dataclass

Output = dict[str, object]
"""One finished video at the provider: JSON that its adapter alone understands (a URL, a file id, a path)."""


@dataclass(frozen=True, slots=True)
class StoredVideo:
    """One finished video in our storage: the provider's bytes unchanged, and what we measured of them."""

    key: str
    size_bytes: int
    sha256: str
    content_type: str
    width: int
    height: int
    duration_s: float

    def to_json(self) -> dict[str, object]:
        """A plain object, for the job row."""
        return asdict(self)
