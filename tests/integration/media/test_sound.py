"""Audio is known by decoding it: how long it is, whether it is whole, and whether there is anything to hear."""

from __future__ import annotations

import io
import wave
from pathlib import Path

import pytest

from rushes.errors import UnusableInput
from rushes.media.sniff import content_type_of
from rushes.media.sound import probe_audio
from tests.fixtures.media import AUDIO_FORMS, image, sound, video


def stored(folder: Path, content: bytes) -> str:
    file = folder / "file"
    file.write_bytes(content)
    return str(file)


def empty_wav() -> bytes:
    out = io.BytesIO()
    with wave.open(out, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(8000)
    return out.getvalue()


@pytest.mark.parametrize("form", AUDIO_FORMS)
def test_each_form_is_decoded_and_measured(tmp_path: Path, form: str) -> None:
    facts = probe_audio(io.BytesIO(sound(form, 2.5)), "The file")
    assert facts.content_type == AUDIO_FORMS[form][2]
    # MP3 and AAC begin and end with some padding.
    assert facts.duration_s == pytest.approx(2.5, abs=0.1)


@pytest.mark.parametrize("form", sorted(AUDIO_FORMS.keys() - {"mp4"}))
def test_each_form_is_told_by_how_it_begins(form: str) -> None:
    assert content_type_of(sound(form, 0.2)[:1024]) == AUDIO_FORMS[form][2]


@pytest.mark.parametrize("form", AUDIO_FORMS)
def test_silence_is_refused(tmp_path: Path, form: str) -> None:
    with pytest.raises(UnusableInput, match="is silent from its beginning to its end"):
        probe_audio(io.BytesIO(sound(form, 0.5, loudness=0)), "The file")


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"RIFF\x24\x00\x00\x00WAVEfmt ", "The file cannot be decoded"),
        (b"fLaC" + bytes(200), "The file cannot be decoded"),
        (b"OggS" + bytes(200), "The file cannot be decoded"),
        (empty_wav(), "audio of no duration|cannot be decoded"),
        (image(), "is not audio but a PNG picture"),
        (b"", "is not audio but an empty file"),
        (b"{}", "is not audio but JSON"),
    ],
)
def test_a_broken_file_is_refused_in_words(tmp_path: Path, content: bytes, words: str) -> None:
    with pytest.raises(UnusableInput, match=words):
        probe_audio(io.BytesIO(content), "The file")


def test_a_video_is_not_taken_for_its_sound(tmp_path: Path) -> None:
    video(tmp_path / "film.mp4")
    with pytest.raises(UnusableInput, match="is a video"):
        probe_audio(io.BytesIO((tmp_path / "film.mp4").read_bytes()), "The file")
