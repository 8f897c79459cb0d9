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
from rushes.media.sniff import HEAD_BYTES, VIDEO_TYPES, content_type_of
from rushes.offload import Offload

CODECS = ("h264", "hevc", "vp8", "vp9", "av1")
"""What a video may be encoded as: what players and providers read."""

MOST_MEMORY_BYTES = 2 * 1024**3
DECODE_S = 20
KILL_S = 30
"""A decoder that does not come back by then is killed; until then it is asked to stop."""


@dataclass(frozen=True, slots=True)
class Facts:
    """What a usable input file is; `duration_s` of videos alone."""

    content_type: str
    width: int
    height: int
    duration_s: float | None = None


class Inspector:
    """Decodes one file at a time, so that a child which dies is surely the doing of the file it had."""

    def __init__(self) -> None:
        self._child = Offload(1)
        self._turn = asyncio.Semaphore(1)

    async def inspect(self, path: str, subject: str) -> Facts:
        """The facts of an image or video that decodes; errors begin with `subject`. Raises UnusableInput."""
        turn = asyncio.create_task(self._in_turn(path, subject))
        try:
            # A child cannot be told that its caller has gone: the turn lasts until it is done, or it would be the
            # next file that is blamed for what this one does.
            return await asyncio.shield(turn)
        except asyncio.CancelledError:
            turn.add_done_callback(_overlook)
            raise

    async def _in_turn(self, path: str, subject: str) -> Facts:
        async with self._turn:
            try:
                async with asyncio.timeout(KILL_S):
                    return await self._child.run(_inspect, path, subject)
            except TimeoutError as exc:
                self._child.close()
                raise UnusableInput(f"{subject} takes too long to decode.") from exc
            except BrokenProcessPool as exc:
                raise UnusableInput(f"{subject} cannot be decoded: it ends the process that tries.") from exc

    def close(self) -> None:
        """Stop the child."""
        self._child.close()


def _inspect(path: str, subject: str) -> Facts:
    _, hard = resource.getrlimit(resource.RLIMIT_DATA)
    resource.setrlimit(resource.RLIMIT_DATA, (MOST_MEMORY_BYTES, hard))
    signal.signal(signal.SIGALRM, _stop)
    signal.setitimer(signal.ITIMER_REAL, DECODE_S)
    try:
        with open(path, "rb") as file:
            is_video = content_type_of(file.read(HEAD_BYTES)) in VIDEO_TYPES
        return _inspect_video(path, subject) if is_video else _inspect_image(path, subject)
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
