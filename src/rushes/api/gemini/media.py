"""Files as Google's clients give them: bytes in base64 or an address, under names that differ by API and client."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from rushes.api.gemini.names import FileName, file_at
from rushes.catalogue.wording import shown
from rushes.errors import FieldError, InvalidRequest, UnsupportedOption
from rushes.intake.body import invalid_fields

Media = Any
"""An object, as it was sent."""

BYTES: Final = ("bytesBase64Encoded", "encodedVideo", "imageBytes", "videoBytes", "data")
ADDRESSES: Final = ("uri", "gcsUri", "fileUri")
TYPES: Final = ("mimeType", "mime_type", "encoding")
"""What the file is said to be; its bytes tell."""
WRAPPERS: Final = ("inlineData", "fileData")
"""Google's documents for REST put bytes and addresses into these."""


def written_text(given: Media, name: str) -> str:
    """The file as our own fields take one: base64, or an address. Raises InvalidRequest or UnsupportedOption."""
    found = [text for text in (_text_in(given, BYTES, name), _text_in(given, ADDRESSES, name)) if text is not None]
    if len(found) != 1:
        raise _malformed(name)
    text = found[0]
    if text[:5].lower() == "gs://":
        raise UnsupportedOption(
            f"{name}: {shown(text)} is in Cloud Storage, which is not read here; send the bytes, an http(s) URL, or "
            "the reference of an upload",
            name,
        )
    if file_at(text) is not None:
        raise UnsupportedOption(f"{name}: a finished video can only be given as the video to go on from", name)
    return text


def own_video(given: Media) -> FileName | None:
    """The video of ours that the object's address leads to, if it does."""
    address = _text_in(given, ADDRESSES, "")
    return None if address is None else file_at(address)


def _text_in(given: Media, names: tuple[str, ...], name: str) -> str | None:
    """What stands under one of the names, bare or in a wrapper; None if nothing does."""
    if not isinstance(given, Mapping):
        raise _malformed(name)
    inner = next((given[one] for one in WRAPPERS if isinstance(given.get(one), Mapping)), given)
    found = [inner[one] for one in names if inner.get(one) is not None]
    if len(found) > 1 or any(not isinstance(text, str) for text in found):
        raise _malformed(name)
    return found[0] if found else None


def _malformed(name: str) -> InvalidRequest:
    trouble = "must be an object with the file in bytesBase64Encoded, or its address in gcsUri or uri"
    return invalid_fields([FieldError(name, trouble)])
