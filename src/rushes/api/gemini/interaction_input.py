"""The input of an interaction: a text, or blocks of text and media, whose roles the task and tags in the text say.

The tags are `<FIRST_FRAME>`, `<LAST_FRAME>`, `<IMAGE_REF_0>` and `<VIDEO_REF_0>`. They stand for the files in the order
of the blocks, or name one: `<IMAGE_REF_0>@Image2` (ai.google.dev, "Generate and edit videos with Gemini Omni Flash").
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from rushes.api.gemini.media import own_video, written_text
from rushes.api.gemini.names import FileName
from rushes.api.gemini.veo_fields import wrong
from rushes.catalogue.wording import shown
from rushes.domain.request import VideoTask
from rushes.errors import UnsupportedOption

MEDIA: Final = ("image", "video", "audio")
MOST_BLOCKS: Final = 64

_NAMED: Final = re.compile(r"<(FIRST_FRAME|LAST_FRAME|IMAGE_REF_[0-9]{1,2})>@Image([0-9]{1,2})")
_TAG: Final = re.compile(r"<(FIRST_FRAME|LAST_FRAME|(?:IMAGE|VIDEO)_REF_[0-9]{1,2})>")
_HEAD: Final = re.compile(r"\s*(?:\[# (?:Sources|References)[^\]]*\]\s*)*(?:<(?:FIRST|LAST)_FRAME>\s*)*")
"""What only says which file is which. A reference's tag stays: the sentence may be about it."""
_FRAMES: Final = {"FIRST_FRAME": "input_image", "LAST_FRAME": "last_frame"}


@dataclass(frozen=True, slots=True)
class Block:
    """One file of the input: where it stands, and what our own fields take for it."""

    name: str
    value: str
    own: FileName | None = None


@dataclass(slots=True)
class Input:
    """What the input says in our own fields; `previous` is the video of ours that is gone on from."""

    prompt: str
    single: dict[str, Block] = field(default_factory=dict)
    several: dict[str, list[Block]] = field(default_factory=dict)
    previous: FileName | None = None
    previous_name: str = "input"


def read_input(given: Any, task: str | None) -> Input:
    """The input in our own fields. Raises InvalidRequest or UnsupportedOption naming the block."""
    texts: list[str] = []
    files: dict[str, list[Block]] = {kind: [] for kind in MEDIA}
    for name, block in _blocks(given):
        kind = block.get("type")
        if kind == "text":
            text = block.get("text")
            if not isinstance(text, str):
                raise wrong(f"{name}.text", "must be a text")
            texts.append(text)
        elif isinstance(kind, str) and kind in files:
            files[kind].append(_file(kind, name, block))
        else:
            raise UnsupportedOption(
                f"{name}.type {shown(kind)} is not offered; it offers 'text', 'image', 'video', 'audio'", f"{name}.type"
            )
    prompt = "\n".join(texts)
    found = Input(_HEAD.sub("", prompt, count=1) or prompt)
    tags = list(dict.fromkeys(_TAG.findall(prompt)))
    _place_images(found, files["image"], tags, dict(_NAMED.findall(prompt)), task, has_video=bool(files["video"]))
    _place_videos(found, files["video"], tags, task)
    if files["audio"]:
        found.several["reference_audios"] = files["audio"]
    return found


def _blocks(given: Any) -> list[tuple[str, Mapping[str, Any]]]:
    """The blocks with their names. A turn of the caller's may stand around them, as google-genai sends it."""
    if isinstance(given, str):
        return [("input", {"type": "text", "text": given})]
    if isinstance(given, dict):
        items = [("input", given)]
    elif isinstance(given, list) and 1 <= len(given) <= MOST_BLOCKS:
        items = [(f"input[{index}]", item) for index, item in enumerate(given)]
    else:
        raise wrong("input", f"is required: a text, or a list of at most {MOST_BLOCKS} blocks of text and media")
    blocks: list[tuple[str, Mapping[str, Any]]] = []
    for name, item in items:
        if not isinstance(item, dict):
            raise wrong(name, "must be an object with a type")
        if item.get("type") != "user_input":
            blocks.append((name, item))
            continue
        content = item.get("content")
        inner = [{"type": "text", "text": content}] if isinstance(content, str) else content
        if not isinstance(inner, list) or len(inner) > MOST_BLOCKS or any(not isinstance(one, dict) for one in inner):
            raise wrong(f"{name}.content", f"must be a list of at most {MOST_BLOCKS} blocks")
        blocks += [(f"{name}.content[{place}]", one) for place, one in enumerate(inner)]
    return blocks


def _file(kind: str, name: str, block: Mapping[str, Any]) -> Block:
    own = own_video(block) if kind == "video" else None
    return Block(name, "" if own is not None else written_text(block, name), own)


def _place_images(
    found: Input,
    images: Sequence[Block],
    tags: Sequence[str],
    named: Mapping[str, str],
    task: str | None,
    *,
    has_video: bool,
) -> None:
    left = list(images)
    place_of: dict[str, int] = {}
    for tag, number in named.items():
        block = images[int(number) - 1] if 1 <= int(number) <= len(images) else None
        if block is None or block.name in place_of:
            raise wrong("input", f"names Image{number} for <{tag}>, which is not there or is something else already")
        place_of[block.name] = int(tag.rpartition("_")[2]) if tag not in _FRAMES else 0
        if tag in _FRAMES:
            found.single[_FRAMES[tag]] = block
            left.remove(block)
    left.sort(key=lambda block: place_of.get(block.name, MOST_BLOCKS))
    frames = [tag for tag in _FRAMES if tag in tags and tag not in named]
    is_tagged = bool(tags)
    if not is_tagged and task == "image_to_video":
        if len(left) > len(_FRAMES):
            raise wrong("input", f"has {len(left)} images; with the task 'image_to_video' it may have 2")
        frames = list(_FRAMES)[: len(left)]
    elif not is_tagged and task is None and len(left) == 1 and not has_video:
        frames = ["FIRST_FRAME"]
    if len(frames) > len(left):
        raise wrong("input", f"has fewer images than tags: <{frames[len(left)]}> has none")
    for tag in frames:
        found.single[_FRAMES[tag]] = left.pop(0)
    if left:
        found.several["reference_images"] = left


def _place_videos(found: Input, videos: Sequence[Block], tags: Sequence[str], task: str | None) -> None:
    references = [tag for tag in tags if tag.startswith("VIDEO_REF_")]
    # The one that is worked on comes last, behind those that the text refers to.
    is_worked_on = task in list(VideoTask) or (task is None and len(videos) > len(references))
    main = videos[-1] if videos and is_worked_on else None
    others = [block for block in videos if block is not main]
    if main is not None:
        if main.own is None:
            found.single["video"] = main
        else:
            found.previous, found.previous_name = main.own, main.name
    for block in others:
        if block.own is not None:
            raise UnsupportedOption(
                f"{block.name}: a finished video can only be given as the one to work on", block.name
            )
    if others:
        found.several["reference_videos"] = others
