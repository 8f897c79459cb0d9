"""The parts of the frame around the picture: the marking, the timecode, the title, what was asked, and the playhead."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from PIL import Image, ImageDraw, ImageOps

from rushes.providers.animatic import typesetting
from rushes.providers.animatic.order import Order, frame_size
from rushes.providers.animatic.yuv_image import Canvas, Colour, YuvImage, yuv

MARKING = ("ANIMATIC", "not a model's output")
FRAMES_PER_S = 24

PAPER: Colour = (20, 22, 27)
INK: Colour = (243, 238, 228)
PENCIL: Colour = (148, 154, 166)
AMBER: Colour = (242, 179, 61)
RAIL: Colour = (52, 56, 66)


@dataclass(frozen=True, slots=True)
class Box:
    """A rectangle of even pixels."""

    left: int
    top: int
    right: int
    bottom: int

    @property
    def size(self) -> tuple[int, int]:
        """Width and height."""
        return self.right - self.left, self.bottom - self.top


class FrameLayout:
    """One frame of the film, redrawn in place: a letterbox whose bars carry the words, with `picture` between them."""

    def __init__(self, order: Order, references: Sequence[Image.Image], frames: int) -> None:
        self.size = frame_size(order.aspect_ratio, order.resolution)
        self._frames = frames
        width, height = self.size
        self._unit = min(self.size) / 720
        margin = self._px(32)
        page = Image.new("RGB", self.size, PAPER)
        draw = ImageDraw.Draw(page)

        header = self._px(58)
        self._draw_marking(draw, margin, header)
        self._digits, self._digit_width = self._timecode_digits()
        self._timecode_at = (width - margin - 11 * self._digit_width, (header - self._digits["0"].height) // 2)

        title, title_size = self._set_title(order.prompt, width - 2 * margin)
        notes = self._notes(order, width - 2 * margin)
        thumbnails = self._thumbnails(references, width - 2 * margin)
        leading = round(title_size * 1.24)
        note_size, note_leading = self._px(20), self._px(29)
        words = leading * len(title) + self._px(8) + note_leading * len(notes)
        if thumbnails is not None:
            words += thumbnails.height + self._px(16)
        rail_height = self._px(6)
        bar = self._even(self._px(22) + words + self._px(14) + rail_height + self._px(24))

        self.picture = Box(0, header, width, height - bar)
        y = self.picture.bottom + self._px(20)
        for line in title:
            draw.text((margin, y), line, INK, typesetting.font(title_size))
            y += leading
        y += self._px(8)
        for line in notes:
            draw.text((margin, y), line, PENCIL, typesetting.font(note_size))
            y += note_leading
        if thumbnails is not None:
            page.paste(thumbnails, (margin, y + self._px(10)))

        rail_top = height - self._px(24) - rail_height
        self._rail = Box(margin, rail_top, self._even(width - margin), rail_top + rail_height)
        draw.rectangle((margin, rail_top, self._rail.right - 1, self._rail.bottom - 1), RAIL)
        self._playhead = margin
        self.canvas = Canvas.of(page)

    def _px(self, units: float) -> int:
        """Pixels for a length that looks right where the short side is 720; even, and never nothing."""
        return max(2, self._even(units * self._unit))

    @staticmethod
    def _even(length: float) -> int:
        return 2 * round(length / 2)

    def _draw_marking(self, draw: ImageDraw.ImageDraw, margin: int, header: int) -> None:
        slats, slat = 4, self._px(7)
        top, bottom = header // 2 - self._px(9), header // 2 + self._px(9)
        for index in range(slats):
            left = margin + 2 * slat * index
            draw.polygon([(left + slat, top), (left + 2 * slat, top), (left + slat, bottom), (left, bottom)], AMBER)
        text_left = margin + 2 * slat * slats + self._px(14)
        face = typesetting.font(self._px(22))
        kind, warning = MARKING
        draw.text((text_left, header / 2), kind, AMBER, face, anchor="lm")
        # The bundled font has no dash of this length.
        dash_left = text_left + round(face.getlength(kind)) + self._px(9)
        dash_right, dash_top = dash_left + self._px(22), header // 2 + round(self._unit)
        draw.rectangle((dash_left, dash_top, dash_right, dash_top + max(1, round(2 * self._unit)) - 1), AMBER)
        draw.text((dash_right + self._px(9), header / 2), warning, AMBER, face, anchor="lm")

    def _timecode_digits(self) -> tuple[dict[str, Image.Image], int]:
        face = typesetting.font(self._px(24))
        width = max(round(face.getlength(digit)) for digit in "0123456789") + 1
        height = self._px(30)
        digits = {}
        for character in "0123456789:":
            tile = Image.new("L", (width, height), yuv(PAPER)[0])
            ImageDraw.Draw(tile).text((width / 2, height / 2), character, yuv(INK)[0], face, anchor="mm")
            digits[character] = tile
        return digits, width

    def _set_title(self, prompt: str, width: int) -> tuple[list[str], int]:
        if typesetting.is_mostly_lost(prompt):
            text = "(the prompt's script is not in this draft's font; the whole prompt is in the file's title)"
            sizes: tuple[int, ...] = (26,)
        else:
            text, sizes = typesetting.showable(prompt), (44, 36, 30)
        is_tall = self.size[1] > self.size[0]
        most_lines = 5 if is_tall else 2
        lines: list[str] = []
        for size in sizes:
            lines, is_whole = typesetting.wrap(text, typesetting.font(self._px(size)), width, most_lines)
            if is_whole:
                return lines, self._px(size)
        smallest = self._px(sizes[-1])
        return typesetting.wrap(text, typesetting.font(smallest), width, most_lines + 1)[0], smallest

    def _notes(self, order: Order, width: int) -> list[str]:
        face = typesetting.font(self._px(20))
        facts = [
            f"animatic/{order.model}",
            f"{order.duration_s} s",
            f"{self.size[0]} x {self.size[1]}",
            order.aspect_ratio,
            "sound" if order.generate_audio else "silent",
        ]
        if order.task:
            facts.append(f"{order.task} of a video")
        if order.seed is not None:
            facts.append(f"seed {order.seed}")
        if order.person_generation is not None:
            facts.append(f"people: {order.person_generation}")
        notes, _ = typesetting.wrap(typesetting.showable("  ·  ".join(facts)).replace(" · ", "  ·  "), face, width, 2)
        references = [
            f"{item.role.replace('_', ' ')} {_length(item.duration_s)}".strip()
            for item in order.inputs
            if item.role in ("reference_video", "reference_audio")
        ]
        for label, text in (
            ("with: ", ", ".join(references)),
            ("without: ", order.negative_prompt),
            ("params: ", order.additional_params),
        ):
            if text:
                notes.append(typesetting.cut(label + typesetting.showable(text), face, width))
        return notes

    def _thumbnails(self, references: Sequence[Image.Image], width: int) -> Image.Image | None:
        if not references:
            return None
        side, gap = self._px(76), self._px(10)
        face = typesetting.font(self._px(20))
        label = "reference" if len(references) == 1 else "references"
        label_width = round(face.getlength(label)) + 2 * gap
        fitting = max(1, min(len(references), (width - label_width - self._px(60)) // (side + gap)))
        row = Image.new("RGB", (width, side), PAPER)
        draw = ImageDraw.Draw(row)
        draw.text((0, side / 2), label, PENCIL, face, anchor="lm")
        x = label_width
        for reference in references[:fitting]:
            row.paste(ImageOps.fit(reference, (side, side), Image.Resampling.BILINEAR), (x, 0))
            x += side + gap
        if len(references) > fitting:
            draw.text((x, side / 2), f"+{len(references) - fitting}", PENCIL, face, anchor="lm")
        return row

    def show(self, picture: YuvImage) -> None:
        """Put a picture between the bars, with a viewfinder's marks in its corners."""
        box = self.picture
        self.canvas.paste(picture, box.left, box.top)
        inset, arm, thick = self._px(24), self._px(30), self._px(2)
        for x, inward_x in ((box.left + inset, 0), (box.right - inset, 1)):
            for y, inward_y in ((box.top + inset, 0), (box.bottom - inset, 1)):
                left, top = x - inward_x * arm, y - inward_y * arm
                edge_x, edge_y = x - inward_x * thick, y - inward_y * thick
                self.canvas.fill(INK, left, edge_y, left + arm, edge_y + thick)
                self.canvas.fill(INK, edge_x, top, edge_x + thick, top + arm)

    def advance(self, index: int) -> None:
        """Set the timecode and the playhead to frame `index`; frames must come in order."""
        x, y = self._timecode_at
        seconds, frame = divmod(index, FRAMES_PER_S)
        for character in f"{seconds // 3600:02}:{seconds // 60 % 60:02}:{seconds % 60:02}:{frame:02}":
            self.canvas.y.paste(self._digits[character], (x, y))
            x += self._digit_width
        rail = self._rail
        reached = rail.left + self._even((rail.right - rail.left) * (index + 1) / self._frames)
        self.canvas.fill(AMBER, self._playhead, rail.top, max(reached, self._playhead), rail.bottom)
        self._playhead = reached


def _length(duration_s: float | None) -> str:
    return "" if duration_s is None else f"({duration_s:g} s)"
