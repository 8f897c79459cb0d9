"""What translations of several adapters share: stages, content items, given and wordless options, texts of replies."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import Enum, auto
from typing import Any, Final

from rushes.domain.progress import Handle
from rushes.domain.request import InputMedia, Role, VideoRequest
from rushes.errors import ProviderUnavailable, UnsupportedOption
from rushes.providers.base import Credential
from rushes.providers.body import Inline
from rushes.providers.credentials import Pinned


class Stage(Enum):
    """What a status word means."""

    WORKING = auto()
    DONE = auto()
    FAILED = auto()
    CANCELLED = auto()
    EXPIRED = auto()


CONTENT_ITEMS: Final = {
    Role.INPUT_IMAGE: ("image_url", "first_frame"),
    Role.LAST_FRAME: ("image_url", "last_frame"),
    Role.REFERENCE_IMAGE: ("image_url", "reference_image"),
    Role.VIDEO: ("video_url", "reference_video"),
    Role.REFERENCE_VIDEO: ("video_url", "reference_video"),
    Role.REFERENCE_AUDIO: ("audio_url", "reference_audio"),
}
"""For each of our roles, the kind of content item and its role there. The prompt says what to do to a `video`."""


def content_items(prompt: str, media: Sequence[tuple[Role, Inline]]) -> list[dict[str, Any]]:
    """The prompt and the files as one list, as Seedance takes them, and MiniMax after it."""
    items: list[dict[str, Any]] = [{"type": "text", "text": prompt}]
    for role, inline in media:
        kind, their_role = CONTENT_ITEMS[role]
        items.append({"type": kind, kind: {"url": inline}, "role": their_role})
    return items


def given(said: Mapping[str, Any]) -> dict[str, Any]:
    """The options that were given: what is None is not sent."""
    return {name: value for name, value in said.items() if value is not None}


def refuse_wordless(request: VideoRequest, *fields: str, provider: str) -> None:
    """Raises UnsupportedOption if one of these options is given: the provider has no words for it.

    `n` counts as given when it is not 1: the job makes one call for each video.
    """
    for field in fields:
        value = getattr(request, field)
        if value is not None and (field != "n" or value != 1):
            raise UnsupportedOption(f"{provider} has no {field}", field=field)


def own_handle(request: VideoRequest, credential: Credential, *, provider: str) -> Handle | None:
    """The handle of the video that is given, if this provider made it with this key and the handle is kept."""
    previous = request.previous
    if previous is None or previous.provider != provider or not isinstance(previous.handle, dict):
        return None
    return previous.handle if previous.credential == Pinned(credential, previous.api).fingerprint else None


def text_of(body: object, name: str) -> str:
    """A text, or a number as text, of a reply's object; empty if it is not there."""
    value = body.get(name) if isinstance(body, Mapping) else None
    return str(value) if isinstance(value, str | int) and not isinstance(value, bool) else ""


def accepted_id(body: object, name: str, what: str, *, provider: str) -> str:
    """The id of what was accepted. Raises ProviderUnavailable without one: it is unknown whether it was accepted."""
    found = text_of(body, name)
    if not found:
        raise ProviderUnavailable(f"{provider} may have accepted it, but named no {what}", accepted=None)
    return found


def data_uri(item: InputMedia, content: bytes) -> Inline:
    """A file as a `data:` URI of a document."""
    return Inline(content, prefix=f"data:{item.content_type};base64,")


def bearer(credential: Credential) -> dict[str, str]:
    """The header of an API key."""
    return {"Authorization": f"Bearer {credential.secret}"}
