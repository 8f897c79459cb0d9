"""Decoding stored files: in boxed processes, a few at once, with turns by account."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import structlog

from rushes.decoding.box import MOST_ANSWER_BYTES, Box, BoxUnavailableError, TaskEndedError
from rushes.decoding.sandbox import Limits
from rushes.errors import AccountBusy, OutputInvalid, Overloaded, StorageUnavailable, UnusableInput
from rushes.media.inspection import Facts
from rushes.media.probe import VideoFacts
from rushes.media.storage import Storage
from rushes.shared_places import DECODERS, MEASUREMENTS, POSTERS, Declaration, SharedPlaces

log = structlog.get_logger(__name__)

MOST_POSTER_BYTES = 1024 * 1024
RETRY_AFTER_S = 5.0
_TASKS = "rushes.media.inspection"


class Decoder:
    """The facts and posters of stored files, found by decoding them.

    Each method waits for a turn of the account, so a file that takes long delays no other account's. The file is
    copied from a bucket only when its turn has come.
    """

    def __init__(self, storage: Storage, box: Box, places: SharedPlaces) -> None:
        self._storage = storage
        self._box = box
        self._places = places

    async def inspect(self, key: str, subject: str, account_id: str, *, as_audio: bool = False) -> Facts:
        """The facts of an image, video or audio file that decodes; errors begin with `subject`.

        `as_audio` takes a file that begins like a video for audio.

        Raises UnusableInput, AccountBusy if too many files of the account wait, Overloaded if nothing can be decoded
        now, FileNotFoundError and StorageUnavailable.
        """
        try:
            return Facts(**await self._run(DECODERS, account_id, key, "inspect_input", subject, as_audio))
        except TaskEndedError as exc:
            raise UnusableInput(exc.sentence(subject)) from exc
        except BoxUnavailableError as exc:
            raise _unavailable(exc) from exc

    async def measure(self, key: str, account_id: str) -> VideoFacts:
        """The facts of a provider's video.

        Raises OutputInvalid with the reason if it cannot be measured, also if nothing can be decoded now: a paid file
        does not wait for that. Raises FileNotFoundError and StorageUnavailable.
        """
        subject = "The provider's file"
        try:
            return VideoFacts(**await self._run(MEASUREMENTS, account_id, key, "measure_output"))
        except TaskEndedError as exc:
            raise OutputInvalid(exc.sentence(subject)) from exc
        except (BoxUnavailableError, AccountBusy) as exc:
            log.warning("decoding_unavailable", detail=str(exc))
            raise OutputInvalid("No file can be measured at the moment.") from exc

    async def poster(self, key: str, account_id: str) -> bytes:
        """A frame of a video as JPEG, at most 640 pixels a side.

        Raises OutputInvalid if it has no frame, AccountBusy, Overloaded, FileNotFoundError and StorageUnavailable.
        """
        try:
            poster: bytes = await self._run(POSTERS, account_id, key, "draw_poster", most_bytes=MOST_POSTER_BYTES)
        except TaskEndedError as exc:
            raise OutputInvalid(exc.sentence("The video")) from exc
        except BoxUnavailableError as exc:
            raise _unavailable(exc) from exc
        return poster

    async def _run(
        self,
        place: Declaration,
        account_id: str,
        key: str,
        task: str,
        *arguments: object,
        most_bytes: int = MOST_ANSWER_BYTES,
    ) -> Any:
        with await self._places[place].wait(account_id):
            async with self._storage.on_disk(key) as path:
                try:
                    return await self._boxed(path, task, arguments, most_bytes)
                except FileNotFoundError:
                    raise
                except OSError as exc:
                    raise StorageUnavailable(f"The file cannot be read: {exc.strerror or 'unknown reason'}") from exc

    async def _boxed(self, path: Path, task: str, arguments: Sequence[object], most_bytes: int) -> Any:
        file = await asyncio.to_thread(os.open, path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            limits = Limits.for_file(os.fstat(file).st_size)
            return await self._box.run(f"{_TASKS}:{task}", (file,), *arguments, limits=limits, most_bytes=most_bytes)
        finally:
            os.close(file)


def _unavailable(error: BoxUnavailableError) -> Overloaded:
    log.error("decoding_unavailable", detail=str(error))
    return Overloaded("Files cannot be decoded at the moment; try again shortly", retry_after_s=RETRY_AFTER_S)
