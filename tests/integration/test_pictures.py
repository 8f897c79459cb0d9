"""The README's pictures are small, load nothing, and are what their script draws."""

from __future__ import annotations

import xml.etree.ElementTree as ET

from PIL import Image

from docs import console_pictures, pictures


def test_the_pictures_are_small() -> None:
    sizes = [path.stat().st_size for path in (pictures.FRAME, pictures.TERMINAL)]
    assert max(sizes) <= pictures.MOST_BYTES


def test_the_frame_is_a_picture_of_the_declared_size() -> None:
    with Image.open(pictures.FRAME) as frame:
        assert frame.size == pictures.FRAME_SIZE


def test_the_terminal_loads_nothing() -> None:
    text = pictures.TERMINAL.read_text("utf-8")
    ET.fromstring(text)
    addresses = [word for word in text.split('"') if word.startswith(("http:", "https:"))]
    assert addresses == ["http://www.w3.org/2000/svg"]
    assert "url(http" not in text


def test_the_consoles_pictures_are_small() -> None:
    for name in console_pictures.NAMES:
        with Image.open(console_pictures.path_of(name)) as picture:
            assert picture.width == console_pictures.WIDTH
        assert console_pictures.path_of(name).stat().st_size <= console_pictures.MOST_BYTES
