"""Setting text in the one font that comes with Pillow: what it lacks is spelt plainly, what does not fit is cut."""

from __future__ import annotations

import unicodedata
from functools import cache

from PIL import ImageFont
from PIL.ImageFont import FreeTypeFont

LONGEST_CHARS = 2000
"""More than any frame has room for; the rest is not even measured."""

_PLAIN = str.maketrans({
    "ß": "ss", "æ": "ae", "Æ": "AE", "ø": "o", "Ø": "O", "œ": "oe", "Œ": "OE", "ł": "l", "Ł": "L", "đ": "d", "ı": "i",
    "’": "'", "‘": "'", "“": '"', "”": '"', "–": "-", "—": "-", "×": "x",
})  # fmt: skip


@cache
def font(size: int) -> FreeTypeFont:
    """The bundled font at a size in pixels."""
    loaded = ImageFont.load_default(max(6, size))
    if not isinstance(loaded, FreeTypeFont):
        raise TypeError("Pillow was built without FreeType, so there is no font to draw with")
    return loaded


@cache
def _can_show(character: str) -> bool:
    missing = font(24).getmask("\uffff")
    glyph = font(24).getmask(character)
    return character == " " or (glyph.size[0] > 0 and bytes(glyph) != bytes(missing))


def showable(text: str) -> str:
    """`text` in characters the font has: accents taken off, other scripts and emoji left out, spaces made single."""
    plain = unicodedata.normalize("NFKD", text[:LONGEST_CHARS]).translate(_PLAIN)
    kept = "".join(character if _can_show(character) else "" for character in " ".join(plain.split()))
    return " ".join(kept.split())


def is_mostly_lost(text: str) -> bool:
    """Whether the font lacks more than half of the letters, so that what is left would say nothing."""
    letters = [c for c in unicodedata.normalize("NFKD", text[:LONGEST_CHARS]).translate(_PLAIN) if c.isalnum()]
    return sum(_can_show(letter) for letter in letters) * 2 < len(letters) or not showable(text)


def cut(text: str, face: FreeTypeFont, width: float) -> str:
    """`text` on one line of `width` pixels, ending in an ellipsis if it is longer."""
    if face.getlength(text) <= width:
        return text
    shown = _longest_start(text, face, width - face.getlength("…"))
    return text[:shown].rstrip() + "…"


def wrap(text: str, face: FreeTypeFont, width: float, most_lines: int) -> tuple[list[str], bool]:
    """Lines of at most `width` pixels, and whether they hold all of the text; if not, the last ends in an ellipsis."""
    lines: list[str] = []
    rest = text
    while rest:
        if len(lines) == most_lines - 1:
            lines.append(cut(rest, face, width))
            return lines, face.getlength(rest) <= width
        end = max(1, _longest_start(rest, face, width))
        if end < len(rest) and rest[end] != " " and " " in rest[:end]:
            end = rest.rindex(" ", 0, end)
        lines.append(rest[:end].rstrip())
        rest = rest[end:].lstrip()
    return lines, True


def _longest_start(text: str, face: FreeTypeFont, width: float) -> int:
    low, high = 0, len(text)
    while low < high:
        middle = (low + high + 1) // 2
        if face.getlength(text[:middle]) <= width:
            low = middle
        else:
            high = middle - 1
    return low
