"""Storing what a provider delivers: whole, hashed, measured, and never deleted because it could not be measured."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing

from rushes.domain.output import StoredVideo
from rushes.errors import BodyTooLarge, OutputInvalid, OutputIsText, StorageUnavailable
from rushes.media.decoder import Decoder
from rushes.media.probe import VideoFacts
from rushes.media.sniff import HEAD_BYTES, UNKNOWN_TYPE, content_type_of, is_text
from rushes.media.storage import Storage, StoredFile

LARGEST_VIDEO_BYTES = 4 * 1024**3


class OutputStore:
    """Stores the original bytes unchanged, so that embedded provenance (C2PA) survives."""

    def __init__(self, storage: Storage, decoder: Decoder) -> None:
        self._storage = storage
        self._decoder = decoder

    async def store(
        self, key: str, chunks: AsyncGenerator[bytes, None], *, account_id: str, accepts_text: bool = False
    ) -> StoredVideo:
        """Store the bytes under `key` and measure the video in them.

        A file that cannot be measured is kept all the same, and the answer's `trouble` says why: it is paid for. Text
        instead of a video is mostly an error page, so it raises OutputIsText and is not kept, unless `accepts_text`.

        Raises OutputInvalid for more than 4 GiB, and StorageUnavailable if our storage cannot take the bytes; an
        error of `chunks` passes through.
        """
        async with aclosing(chunks):
            try:
                stored = await self._storage.put(key, chunks, max_bytes=LARGEST_VIDEO_BYTES)
            except BodyTooLarge as exc:
                raise OutputInvalid(f"The provider's video is larger than {LARGEST_VIDEO_BYTES} bytes") from exc
        head = await self._head(key)
        if is_text(head) and not accepts_text:
            await self._storage.delete(key)
            raise OutputIsText("The provider delivered text in place of the video")
        try:
            facts = await self._decoder.measure(key, account_id)
        except OutputInvalid as error:
            return _unmeasured(stored, head, error.message)
        except FileNotFoundError as exc:
            raise StorageUnavailable("The video was stored, but the media storage does not have it") from exc
        return _measured(stored, facts)

    async def _head(self, key: str) -> bytes:
        try:
            async with aclosing(self._storage.open(key, start=0, end=HEAD_BYTES)) as chunks:
                return b"".join([chunk async for chunk in chunks])
        except FileNotFoundError as exc:
            raise StorageUnavailable("The video was stored, but the media storage does not have it") from exc


def _measured(stored: StoredFile, facts: VideoFacts) -> StoredVideo:
    return StoredVideo(
        key=stored.key,
        size_bytes=stored.size_bytes,
        sha256=stored.sha256,
        content_type=facts.content_type,
        width=facts.width,
        height=facts.height,
        duration_s=facts.duration_s,
    )


def _unmeasured(stored: StoredFile, head: bytes, trouble: str) -> StoredVideo:
    return StoredVideo(
        key=stored.key,
        size_bytes=stored.size_bytes,
        sha256=stored.sha256,
        content_type=content_type_of(head) or UNKNOWN_TYPE,
        width=None,
        height=None,
        duration_s=None,
        trouble=trouble,
    )
