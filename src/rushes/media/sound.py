"""What an audio file really is, found by decoding all of it."""

from __future__ import annotations

import array
from dataclasses import dataclass
from typing import TYPE_CHECKING, BinaryIO, Final

from rushes.decoding.video import broken_as
from rushes.errors import UnusableInput
from rushes.media.sniff import AUDIO_TYPES, HEAD_BYTES, VIDEO_TYPES, content_type_of, kind_of

if TYPE_CHECKING:
    from av import AudioFrame, AudioResampler
    from av.container import InputContainer

# The demuxer is named, because others (playlists, concatenations) would open further files and addresses.
_DEMUXERS: Final = {
    "audio/wav": "wav",
    "audio/mpeg": "mp3",
    "audio/mp4": "mov",
    "audio/aac": "aac",
    "audio/flac": "flac",
    "audio/ogg": "ogg",
}
SAMPLE_RATE: Final = 8000
"""Enough to tell sound from silence, and to measure to the millisecond."""
SILENT: Final = 8
"""Of 32,767: a peak of less than this is silence with the noise of a converter in it."""
LONGEST_S: Final = 3600


@dataclass(frozen=True, slots=True)
class AudioFacts:
    """What we measured of an audio file."""

    duration_s: float
    content_type: str


def probe_audio(file: BinaryIO, subject: str) -> AudioFacts:
    """The facts of a WAV, MP3, M4A, AAC, FLAC or Ogg file that decodes to its end; errors begin with `subject`.

    It blocks and runs decoders: call it in a boxed process. Raises UnusableInput, also for silence; OSError if the file
    cannot be read.
    """
    import av

    head = file.read(HEAD_BYTES)
    content_type = content_type_of(head)
    if content_type in VIDEO_TYPES:
        # Several programs write M4A under the brand of a video.
        content_type = "audio/mp4"
    if content_type is None or content_type not in AUDIO_TYPES:
        raise UnusableInput(f"{subject} is not audio but {kind_of(head)}.")
    file.seek(0)
    with (
        broken_as(lambda reason: UnusableInput(f"{subject} cannot be decoded ({reason}).")),
        av.open(file, mode="r", format=_DEMUXERS[content_type], options={"threads": "1"}) as container,
    ):
        samples, peak = _decoded(container, subject)
    if not samples:
        raise UnusableInput(f"{subject} is audio of no duration.")
    if peak < SILENT:
        raise UnusableInput(f"{subject} is silent from its beginning to its end.")
    return AudioFacts(round(samples / SAMPLE_RATE, 3), content_type)


def _decoded(container: InputContainer, subject: str) -> tuple[int, int]:
    """How many samples there are, and the greatest of them."""
    import av

    cover = av.stream.Disposition.attached_pic
    if any(not stream.disposition & cover for stream in container.streams.video):
        raise UnusableInput(f"{subject} is a video; send its sound alone, such as an M4A file.")
    if not container.streams.audio:
        raise UnusableInput(f"{subject} holds no sound.")
    container.streams.audio[0].codec_context.thread_count = 1
    resampler = av.AudioResampler(format="s16", layout="mono", rate=SAMPLE_RATE)
    samples = peak = 0
    for frame in container.decode(container.streams.audio[0]):
        # The time stamps of a file may jump; its length is that of its sound.
        frame.pts = None
        found, highest = _measured(resampler, frame)
        samples, peak = samples + found, max(peak, highest)
        if samples > LONGEST_S * SAMPLE_RATE:
            raise UnusableInput(f"{subject} is longer than the {LONGEST_S} s that an audio file may have here.")
    found, highest = _measured(resampler, None)
    return samples + found, max(peak, highest)


def _measured(resampler: AudioResampler, frame: AudioFrame | None) -> tuple[int, int]:
    samples = peak = 0
    for part in resampler.resample(frame):
        values = array.array("h", bytes(part.planes[0])[: part.samples * 2])
        samples += part.samples
        peak = max(peak, max(values, default=0), -min(values, default=0))
    return samples, peak
