"""Looking into files of strangers: in a child process of their own, bounded in memory and time."""

from __future__ import annotations

import asyncio
import resource
import signal
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass

from rushes.errors import OutputInvalid, UnusableInput
from rushes.media.picture import probe_image
from rushes.media.probe import probe_video
from rushes.media.sniff import AUDIO_TYPES, HEAD_BYTES, VIDEO_TYPES, content_type_of
from rushes.media.sound import probe_audio
from rushes.offload import Offload

CODECS = ("h264", "hevc", "vp8", "vp9", "av1")
"""What a video may be encoded as: what players and providers read."""

MOST_MEMORY_BYTES = 2 * 1024**3
DECODE_S = 20
KILL_S = 30
"""A decoder that does not come back by then is killed; until then it is asked to stop."""


@dataclass(frozen=True, slots=True)
class Facts:
    """What a usable input file is: a size unless it is audio, a length unless it is an image."""

    content_type: str
    width: int | None = None
    height: int | None = None
    duration_s: float | None = None


class Inspector:
    """Decodes one file at a time, so that a child which dies is surely the doing of the file it had."""

    def __init__(self) -> None:
        self._child = Offload(1)
        self._turn = asyncio.Semaphore(1)

    async def inspect(self, path: str, subject: str, *, as_audio: bool = False) -> Facts:
        """The facts of an image, video or audio file that decodes; errors begin with `subject`. Raises UnusableInput.

        `as_audio` takes a file that begins like a video for audio.
        """
        turn = asyncio.create_task(self._in_turn(path, subject, as_audio=as_audio))
        try:
            # A child cannot be told that its caller has gone: the turn lasts until it is done, or it would be the
            # next file that is blamed for what this one does.
            return await asyncio.shield(turn)
        except asyncio.CancelledError:
            turn.add_done_callback(_overlook)
            raise

    async def _in_turn(self, path: str, subject: str, *, as_audio: bool) -> Facts:
        async with self._turn:
            try:
                async with asyncio.timeout(KILL_S):
                    return await self._child.run(_inspect, path, subject, as_audio)
            except TimeoutError as exc:
                self._child.close()
                raise UnusableInput(f"{subject} takes too long to decode.") from exc
            except BrokenProcessPool as exc:
                raise UnusableInput(f"{subject} cannot be decoded: it ends the process that tries.") from exc

    def close(self) -> None:
        """Stop the child."""
        self._child.close()


def _inspect(path: str, subject: str, as_audio: bool) -> Facts:
    _, hard = resource.getrlimit(resource.RLIMIT_DATA)
    resource.setrlimit(resource.RLIMIT_DATA, (MOST_MEMORY_BYTES, hard))
    signal.signal(signal.SIGALRM, _stop)
    signal.setitimer(signal.ITIMER_REAL, DECODE_S)
    try:
        with open(path, "rb") as file:
            content_type = content_type_of(file.read(HEAD_BYTES))
        if as_audio or content_type in AUDIO_TYPES:
            audio = probe_audio(path, subject)
            return Facts(audio.content_type, duration_s=audio.duration_s)
        return _inspect_video(path, subject) if content_type in VIDEO_TYPES else _inspect_image(path, subject)
    except _TooLong as exc:
        raise UnusableInput(f"{subject} takes too long to decode.") from exc
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)


def _inspect_image(path: str, subject: str) -> Facts:
    facts = probe_image(path, subject)
    return Facts(facts.content_type, facts.width, facts.height)


def _inspect_video(path: str, subject: str) -> Facts:
    try:
        facts = probe_video(path, subject)
    except OutputInvalid as exc:
        raise UnusableInput(exc.message) from exc
    if facts.codec not in CODECS:
        raise UnusableInput(f"{subject} is encoded as '{facts.codec}'; a video must be one of {', '.join(CODECS)}.")
    return Facts(facts.content_type, facts.width, facts.height, facts.duration_s)


def _overlook(turn: asyncio.Task[Facts]) -> None:
    """Take note of an error that nobody waits for, so that it is not reported as forgotten."""
    if not turn.cancelled():
        turn.exception()


class _TooLong(BaseException):
    """Passes through every decoder's own handlers."""


def _stop(_signal: int, _frame: object) -> None:
    raise _TooLong
