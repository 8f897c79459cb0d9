"""Where the answer of a hub's model has its video.

Most models answer `{"video": {"url": ...}}` or a bare URL, some a list of files. In another answer the only member that
is a video by its ending or type is taken. An answer without a video is an output all the same, whose download fails:
the generation is paid for, so the job ends and is not submitted again.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import PurePosixPath
from typing import Any, Final
from urllib.parse import urlsplit

from rushes.catalogue.wording import listed
from rushes.domain.output import Output
from rushes.errors import OutputInvalid

VERSION: Final = 1
USUAL: Final = ("video", "videos", "output")
"""The members that usually hold the video."""
MOST_VIDEOS: Final = 10
MOST_NAMED: Final = 8
KINDS: Final = {
    "video": ("mp4", "webm", "mov", "m4v", "mkv"),
    "image": ("png", "jpg", "jpeg", "webp", "gif", "bmp", "avif", "svg"),
    "audio": ("mp3", "wav", "m4a", "flac", "ogg", "aac"),
    "text": ("txt", "json", "srt", "vtt"),
    "model": ("glb", "obj", "ply", "safetensors", "zip"),
}
"""What files with these endings are."""
HINT: Final = "its catalogue entry can name the member that holds one (wire.output)"


def outputs_in(answer: object, member: str | None) -> tuple[Output, ...]:
    """The videos of an answer, at most ten; one output that says what is wrong if there is no video."""
    found, where = _named(answer, member)
    videos: list[Output] = []
    others: list[str] = []
    for url, kind in _files(found):
        if kind in ("", "video"):
            videos.append({"version": VERSION, "url": url})
        elif kind not in others:
            others.append(kind)
    if videos:
        return tuple(videos[:MOST_VIDEOS])
    return ({"version": VERSION, "trouble": f"{_described(found, others)}{where}, but no video"},)


def url_of(output: Output, *, hub: str) -> str:
    """Where the video is. Raises OutputInvalid if the answer had none."""
    trouble = output.get("trouble")
    if trouble is not None:
        raise OutputInvalid(f"the model at {hub} answered {trouble}; {HINT}")
    return str(output["url"])


def _named(answer: object, member: str | None) -> tuple[object, str]:
    """The part of the answer that should hold the video, and where that is."""
    if not isinstance(answer, Mapping) or (member is None and isinstance(answer.get("url"), str)):
        return answer, ""
    for name in USUAL if member is None else (member, *USUAL):
        if answer.get(name) is not None:
            return answer[name], f" under '{name}'"
    held = [item for item in answer.values() if any(kind == "video" for _, kind in _files(item))]
    return held[0] if len(held) == 1 else answer, ""


def _files(found: object) -> Iterator[tuple[str, str]]:
    """Each file's URL and its kind; an unknown kind is empty."""
    for item in found if isinstance(found, list) else [found]:
        if isinstance(item, str) and _is_url(item):
            yield item, _kind(item, None)
        elif isinstance(item, Mapping) and isinstance(item.get("url"), str) and _is_url(item["url"]):
            yield item["url"], _kind(item["url"], item.get("content_type"))


def _is_url(text: str) -> bool:
    return text.startswith(("https://", "http://"))


def _kind(url: str, content_type: Any) -> str:
    if isinstance(content_type, str) and content_type.partition("/")[0] in ("video", "image", "audio", "text"):
        return content_type.partition("/")[0]
    try:
        ending = PurePosixPath(urlsplit(url).path).suffix.removeprefix(".").lower()
    except ValueError:
        return ""
    return next((kind for kind, endings in KINDS.items() if ending in endings), "")


def _described(found: object, others: list[str]) -> str:
    if others:
        return "files of kind " + listed(others)
    if found in (None, "", [], {}):
        return "nothing"
    match found:
        case str():
            return "text"
        case list():
            return "a list without links"
        case Mapping():
            return "an object with " + listed(sorted(str(name) for name in found)[:MOST_NAMED])
        case _:
            return "a number"
