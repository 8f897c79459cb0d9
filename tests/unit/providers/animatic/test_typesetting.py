from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rushes.providers.animatic.typesetting import cut, font, is_mostly_lost, showable, wrap


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("Café à la crème", "Cafe a la creme"),
        ("Straße “groß”", 'Strasse "gross"'),
        ("a  b\n c", "a b c"),
        ("dawn 😀 over", "dawn over"),
    ],
)
def test_what_the_font_lacks_is_spelt_plainly_or_left_out(text: str, shown: str) -> None:
    assert showable(text) == shown


@pytest.mark.parametrize(("text", "lost"), [("夕暮れの海", True), ("😀", True), ("", True), ("Café 😀", False)])
def test_a_prompt_in_another_script_is_known_to_be_lost(text: str, lost: bool) -> None:
    assert is_mostly_lost(text) is lost


@settings(deadline=None)
@given(
    st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=300), st.integers(60, 400), st.integers(1, 5)
)
def test_lines_fit_their_width_and_number(text: str, width: int, most_lines: int) -> None:
    face = font(20)
    lines, is_whole = wrap(showable(text), face, width, most_lines)
    assert len(lines) <= most_lines
    assert all(face.getlength(line) <= width for line in lines)
    if is_whole:
        assert "".join(lines).replace(" ", "") == showable(text).replace(" ", "")


def test_a_line_too_long_ends_in_an_ellipsis() -> None:
    shown = cut("a very long line indeed", font(20), 100)
    assert shown.endswith("…")
    assert font(20).getlength(shown) <= 100
