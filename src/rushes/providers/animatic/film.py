"""One film from order to file. It runs in a boxed process: its files are open, and it can open no others."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from random import Random
from typing import BinaryIO

import av

from rushes.domain.progress import Handle
from rushes.errors import ProviderRejected
from rushes.providers.animatic import shot_sequence, soundtrack
from rushes.providers.animatic.encoding import write_film
from rushes.providers.animatic.frame_layout import FRAMES_PER_S, MARKING, FrameLayout
from rushes.providers.animatic.inputs import Clip, load_image, still
from rushes.providers.animatic.landscape import Landscape
from rushes.providers.animatic.order import Input, Order
from rushes.providers.animatic.yuv_image import YuvImage

SOUND_ENDS_EARLY_S = 0.1
"""AAC comes in blocks; ending before the picture keeps the last block from outlasting it."""
REFERENCE_SIDE = 512
"""References are shown small."""


def draw_film(files: Sequence[int], handle: Handle) -> None:
    """Draw the order of `handle`. The files are the film to write, the same film to read, the progress, the inputs.

    Raises ProviderRejected if it cannot be drawn, OSError if the disk fails.
    """
    film, written, progress, *inputs = files
    with ExitStack() as closing:
        opened = [closing.enter_context(open(file, "rb")) for file in inputs]
        try:
            _write(Order.from_handle(handle), opened, film, written, progress)
        except av.FFmpegError as exc:
            if isinstance(exc, OSError) and exc.errno is not None and exc.errno > 0:
                raise OSError(exc.errno, "the film cannot be written") from exc
            raise ProviderRejected("the animatic could not be encoded") from exc


def _write(order: Order, inputs: Sequence[BinaryIO], film: int, written: int, progress: int) -> None:
    files = dict(zip(order.inputs, inputs, strict=True))
    clips = [Clip(files[item]) for item in order.inputs_for("video")]
    clip = clips[0] if clips else None
    own_frames = order.duration_s * FRAMES_PER_S if order.adds_pictures or clip is None else 0
    total = own_frames + (clip.frames if clip is not None else 0)

    references = [load_image(files[item], item.role, REFERENCE_SIDE) for item in order.inputs_for("reference_image")]
    references += [Clip(files[item], "reference_videos").first() for item in order.inputs_for("reference_video")]
    layout = FrameLayout(order, references, total)
    size = layout.picture.size
    pictures = shot_sequence.pictures(
        size,
        own_frames,
        landscape=Landscape(*size, _chance(order), own_frames // shot_sequence.FRAMES_PER_DRAWING),
        opening=_shot(order, files, "input_image", size),
        closing=_shot(order, files, "last_frame", size),
        clip=clip,
    )
    sound = None
    if order.generate_audio:
        length_s = total / FRAMES_PER_S - SOUND_ENDS_EARLY_S
        recordings = [files[item] for item in order.inputs_for("reference_audio")]
        if recordings:
            sound = soundtrack.recorded(recordings, length_s)
        else:
            sound = soundtrack.seconds(length_s, _chance(order))
    with open(progress, "ab", buffering=0) as reported:
        percent = reported.tell()

        def frames() -> Iterator[av.VideoFrame]:
            nonlocal percent
            for index, picture in enumerate(pictures):
                if picture is not None:
                    layout.show(picture)
                layout.advance(index)
                yield layout.canvas.frame(*layout.size)
                while percent < 100 * (index + 1) // total:
                    percent += reported.write(b".")

        write_film(film, written, layout.size, frames(), sound, _metadata(order))


def _shot(order: Order, files: Mapping[Input, BinaryIO], role: str, size: tuple[int, int]) -> YuvImage | None:
    for item in order.inputs_for(role):
        return still(load_image(files[item], role), size)
    return None


def _chance(order: Order) -> Random:
    """What the picture and the key are drawn from: the seed if given, else the prompt; never the attempt."""
    source = f"seed {order.seed}" if order.seed is not None else f"prompt {order.prompt}"
    return Random(source.encode("utf-8", "replace"))


def _metadata(order: Order) -> dict[str, str]:
    title = order.prompt.replace("\0", "").encode("utf-8", "replace").decode()
    return {"title": title, "comment": f"{' — '.join(MARKING)}. Drawn by rushes from the request."}
