"""One film from order to file. Runs in a child process: this module and what it imports load Pillow and PyAV."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from pathlib import Path
from random import Random

import av

from rushes.errors import ProviderRejected
from rushes.providers.animatic import reel, soundtrack
from rushes.providers.animatic.encoding import write_film
from rushes.providers.animatic.inputs import Clip, load_image, still
from rushes.providers.animatic.landscape import Landscape
from rushes.providers.animatic.order import Order
from rushes.providers.animatic.planes import Planes
from rushes.providers.animatic.sheet import FRAMES_PER_S, MARKING, Sheet

SOUND_ENDS_EARLY_S = 0.1
"""AAC comes in blocks; ending before the picture keeps the last block from outlasting it."""


def draw_film(order: Order, scratch: Path) -> None:
    """Draw `order` to scratch/<attempt_id>.mp4, which appears whole or not at all.

    Raises ProviderRejected if it cannot be drawn, OSError if the disk fails.
    """
    part = scratch / f"{order.attempt_id}.mp4.{secrets.token_hex(4)}.part"
    scratch.mkdir(parents=True, exist_ok=True)
    try:
        _write(order, scratch, part)
        part.replace(scratch / f"{order.attempt_id}.mp4")
    except av.FFmpegError as exc:
        if isinstance(exc, OSError) and exc.errno is not None and exc.errno > 0:
            raise OSError(exc.errno, f"'{part}' cannot be written") from exc
        raise ProviderRejected("the animatic could not be encoded") from exc
    finally:
        part.unlink(missing_ok=True)


def _write(order: Order, scratch: Path, part: Path) -> None:
    clips = [Clip(scratch / item.file) for item in order.inputs_for("video")]
    clip = clips[0] if clips else None
    own_frames = order.duration_s * FRAMES_PER_S if order.adds_pictures or clip is None else 0
    total = own_frames + (clip.frames if clip is not None else 0)

    references = [load_image(scratch / item.file, item.role) for item in order.inputs_for("reference_image")]
    references += [
        Clip(scratch / item.file, "reference_videos").first() for item in order.inputs_for("reference_video")
    ]
    sheet = Sheet(order, references, total)
    size = sheet.picture.size
    pictures = reel.pictures(
        size,
        own_frames,
        landscape=Landscape(*size, _chance(order), own_frames // reel.FRAMES_PER_DRAWING),
        opening=_shot(order, scratch, "input_image", size),
        closing=_shot(order, scratch, "last_frame", size),
        clip=clip,
    )
    sound = None
    if order.generate_audio:
        length_s = total / FRAMES_PER_S - SOUND_ENDS_EARLY_S
        recordings = [scratch / item.file for item in order.inputs_for("reference_audio")]
        if recordings:
            sound = soundtrack.recorded(recordings, length_s)
        else:
            sound = soundtrack.seconds(length_s, _chance(order))
    with (scratch / f"{order.attempt_id}.progress").open("ab", buffering=0) as progress:
        percent = progress.tell()

        def frames() -> Iterator[av.VideoFrame]:
            nonlocal percent
            for index, picture in enumerate(pictures):
                if picture is not None:
                    sheet.show(picture)
                sheet.advance(index)
                yield sheet.canvas.frame(*sheet.size)
                while percent < 100 * (index + 1) // total:
                    percent += progress.write(b".")

        write_film(part, sheet.size, frames(), sound, _metadata(order))


def _shot(order: Order, scratch: Path, role: str, size: tuple[int, int]) -> Planes | None:
    for item in order.inputs_for(role):
        return still(load_image(scratch / item.file, role), size)
    return None


def _chance(order: Order) -> Random:
    """What the picture and the key are drawn from: the seed if given, else the prompt; never the attempt."""
    source = f"seed {order.seed}" if order.seed is not None else f"prompt {order.prompt}"
    return Random(source.encode("utf-8", "replace"))


def _metadata(order: Order) -> dict[str, str]:
    title = order.prompt.replace("\0", "").encode("utf-8", "replace").decode()
    return {"title": title, "comment": f"{' — '.join(MARKING)}. Drawn by rushes from the request."}
