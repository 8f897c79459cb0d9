"""What is seen between the bars: the clip to be extended, the opening shot, the landscape, the closing shot."""

from __future__ import annotations

from collections.abc import Iterator

from rushes.providers.animatic.inputs import Clip
from rushes.providers.animatic.landscape import Landscape
from rushes.providers.animatic.yuv_image import YuvImage

SHOT_SHARE = 0.2
DISSOLVE_FRAMES = 12

FRAMES_PER_DRAWING = 2
"""Drawn 'on twos', as animators do: half the work, and the eye takes it for film."""


def pictures(
    size: tuple[int, int],
    frames: int,
    *,
    landscape: Landscape,
    opening: YuvImage | None = None,
    closing: YuvImage | None = None,
    clip: Clip | None = None,
) -> Iterator[YuvImage | None]:
    """One for each frame, the clip's first and then `frames` more: a picture, or None while the last still stands."""
    opening_frames = round(frames * SHOT_SHARE) if opening is not None else 0
    if clip is not None:
        last = None
        for picture in clip.pictures(size):
            last = picture if picture is not None else last
            yield picture
        opening = last if opening is None else opening
    closing_frame = frames - round(frames * SHOT_SHARE) if closing is not None else frames

    for index in range(frames):
        if index < opening_frames:
            yield opening if index == 0 else None
        elif index >= closing_frame:
            yield closing if index == closing_frame else None
        elif (index - opening_frames) % FRAMES_PER_DRAWING == 0:
            view = landscape.at(index // FRAMES_PER_DRAWING)
            since_opening, until_closing = index - opening_frames + 1, closing_frame - index
            if opening is not None and since_opening < DISSOLVE_FRAMES:
                view = opening.blend(view, since_opening / DISSOLVE_FRAMES)
            if closing is not None and until_closing < DISSOLVE_FRAMES:
                view = closing.blend(view, until_closing / DISSOLVE_FRAMES)
            yield view
        else:
            yield None
