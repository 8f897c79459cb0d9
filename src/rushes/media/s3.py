"""Storage in a bucket of S3, or of any server that speaks its language."""

from __future__ import annotations

import asyncio
import hashlib
import io
import secrets
import tempfile
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing, asynccontextmanager, suppress
from pathlib import Path
from typing import Any, Final, TypeVar

import structlog

from rushes.errors import StorageUnavailable
from rushes.media.bucket import BEYOND_THE_END, MISSING, Bucket, RefusedCallError
from rushes.media.storage import (
    ABANDON_S,
    HASHED_AT_ONCE,
    Batch,
    StoredFile,
    assert_range,
    pass_on,
    segments_of,
    to_its_end,
)

log = structlog.get_logger(__name__)

T = TypeVar("T")

PART_BYTES: Final = 8 * 1024**2
"""Every part but the last is this large: some servers want them equal, all want at least 5 MiB."""
PARTS_AT_ONCE: Final = 4
"""Of all files: more would not be sooner there, and take the core from the event loop."""
PARTS_OF_ONE_AT_ONCE: Final = 2
SEND_BYTES: Final = 256 * 1024
READ_BYTES: Final = 512 * 1024
"""More than from a disk, for each read goes to a thread and back."""
COPIES_AT_ONCE: Final = 2
"""Temporary files of whole videos on our disk."""
READS_AGAIN: Final = 3
CHECK_S: Final = 5.0
CHECKED_FOR_S: Final = 5.0
LONGEST_LINK_S: Final = 7 * 86_400
"""No signature of S3's lasts longer."""
LEFTOVER_AGE_S: Final = 86_400
"""Longer than any file takes to arrive."""
LEFTOVER_COPY_AGE_S: Final = 3600

# rclone's server (1.75) answers NoSuchUpload where a bucket has no unfinished upload. A server without the call keeps
# none that could be found.
_NO_UPLOADS: Final = frozenset({"NoSuchUpload", "NoSuchKey", "404", "NotImplemented", "501", "MethodNotAllowed"})
_COPY = "copy-"
_PROBE = "rushes-probe"


class S3Storage:
    """Files as objects below one prefix of a bucket. Several processes and machines may share it.

    What is arriving waits in nameless files in `scratch`, a part at a time, so memory stays small however many come.
    """

    def __init__(self, bucket: Bucket, scratch: Path, *, gives_links: bool = False) -> None:
        self._bucket = bucket
        self._scratch = scratch
        self._gives_links = gives_links
        prefix = bucket.place.prefix.strip("/")
        self._prefix = f"{prefix}/" if prefix else ""
        self._copies = asyncio.Semaphore(COPIES_AT_ONCE)
        self._hashing = asyncio.Semaphore(HASHED_AT_ONCE)
        self._parts = asyncio.Semaphore(PARTS_AT_ONCE)
        self._checking: asyncio.Task[None] | None = None
        self._check_again_at = 0.0

    async def put(self, key: str, chunks: AsyncIterator[bytes], *, max_bytes: int) -> StoredFile:
        """Write an object whole or not at all: small ones at once, larger ones in parts while they arrive.

        Raises BodyTooLarge, StorageUnavailable and whatever `chunks` raises; then, and when cancelled, nothing is
        seen of it. If the bucket cannot be reached even to say so, the parts wait there for `sweep`.
        """
        arriving = _Arriving(self._bucket, self._name(key), self._scratch, self._hashing, self._parts)
        try:
            await pass_on(chunks, max_bytes, arriving.add)
            size_bytes, sha256 = await arriving.finish()
        except BaseException:
            await asyncio.shield(arriving.abandon())
            raise
        return StoredFile(key, size_bytes, sha256)

    def open(self, key: str, *, start: int = 0, end: int | None = None) -> AsyncGenerator[bytes, None]:
        """The bytes from `start` up to (not including) `end`, in chunks; a connection that breaks is made again.

        Raises FileNotFoundError before the first chunk, StorageUnavailable; never ends early in silence.
        """
        assert_range(start, end)
        return self._chunks(self._name(key), start, end)

    async def delete(self, key: str) -> None:
        """Remove an object; no error if it is gone. Raises StorageUnavailable."""
        try:
            await self._bucket.tell("delete_object", Key=self._name(key))
        except RefusedCallError as exc:
            if exc.code not in MISSING:
                raise exc.trouble from exc

    @asynccontextmanager
    async def on_disk(self, key: str) -> AsyncIterator[Path]:
        """A temporary copy; few at a time, and more wait. Raises FileNotFoundError, StorageUnavailable."""
        path = self._scratch / f"{_COPY}{secrets.token_hex(16)}"
        async with self._copies:
            try:
                async with aclosing(self.open(key)) as chunks:
                    await self._save(path, chunks)
                yield path
            finally:
                await asyncio.to_thread(path.unlink, missing_ok=True)

    async def link(self, key: str, *, ttl_s: int, content_type: str, disposition: str) -> str | None:
        """A presigned URL, or None if links are to lead through us. Lasts at most a week, S3's limit."""
        if not self._gives_links:
            return None
        return await self._bucket.sign(
            max(1, min(ttl_s, LONGEST_LINK_S)),
            Key=self._name(key),
            ResponseContentType=content_type,
            ResponseContentDisposition=disposition,
        )

    async def check(self) -> None:
        """Raises StorageUnavailable if the bucket does not answer well, which is asked every few seconds at most."""
        now = asyncio.get_running_loop().time()
        if self._checking is None or (self._checking.done() and now >= self._check_again_at):
            self._check_again_at = now + CHECKED_FOR_S
            self._checking = asyncio.create_task(self._look())
            self._checking.add_done_callback(_overlook)
        await asyncio.wait([self._checking], timeout=CHECK_S)
        if not self._checking.done():
            raise StorageUnavailable(f"The media storage did not answer within {CHECK_S:.0f} s")
        self._checking.result()

    async def prove(self) -> None:
        """Write, read and delete a small object. Raises StorageRefused if we may not, else StorageUnavailable."""
        name = f"{self._prefix}{_PROBE}-{secrets.token_hex(8)}"
        try:
            await self._bucket.tell("put_object", Key=name, Body=b"rushes")
            await self._bucket.ask("head_object", Key=name)
            await self._bucket.tell("delete_object", Key=name)
            await self._look()
        except RefusedCallError as exc:
            raise exc.trouble from exc

    async def sweep(self, now_ms: int) -> int:
        """Remove what writers that were killed left behind long ago, there and here; returns how many things.

        Raises StorageUnavailable.
        """
        removed = await asyncio.to_thread(_sweep_copies, self._scratch, now_ms / 1000 - LEFTOVER_COPY_AGE_S)
        marker: dict[str, object] = {}
        try:
            while True:
                page = await self._bucket.ask("list_multipart_uploads", Prefix=self._prefix, **marker)
                for upload in page.get("Uploads", ()):
                    if upload["Initiated"].timestamp() < now_ms / 1000 - LEFTOVER_AGE_S:
                        removed += await self._abort(upload["Key"], upload["UploadId"])
                if not page.get("IsTruncated"):
                    return removed
                marker = {"KeyMarker": page["NextKeyMarker"], "UploadIdMarker": page["NextUploadIdMarker"]}
        except RefusedCallError as exc:
            if exc.code in _NO_UPLOADS:
                return removed
            raise exc.trouble from exc

    async def files(self) -> AsyncIterator[tuple[str, int]]:
        """The key and the size of every file below the prefix, a page at a time. Raises StorageUnavailable."""
        marker: dict[str, object] = {}
        while True:
            try:
                page = await self._bucket.ask("list_objects_v2", Prefix=self._prefix, **marker)
            except RefusedCallError as exc:
                raise exc.trouble from exc
            for item in page.get("Contents", ()):
                yield item["Key"].removeprefix(self._prefix), item["Size"]
            if not page.get("IsTruncated"):
                return
            marker = {"ContinuationToken": page["NextContinuationToken"]}

    async def _abort(self, name: str, upload_id: str) -> bool:
        """Remove an unfinished upload. Returns whether it was there."""
        try:
            await self._bucket.tell("abort_multipart_upload", Key=name, UploadId=upload_id)
        except RefusedCallError as exc:
            if exc.code in _NO_UPLOADS:
                return False
            raise
        return True

    def close(self) -> None:
        """Give back the connections."""
        self._bucket.close()

    def _name(self, key: str) -> str:
        return self._prefix + "/".join(segments_of(key))

    async def _look(self) -> None:
        try:
            await self._bucket.ask("list_objects_v2", Prefix=self._prefix, MaxKeys=1)
        except RefusedCallError as exc:
            raise exc.trouble from exc

    async def _chunks(self, name: str, start: int, end: int | None) -> AsyncGenerator[bytes, None]:
        if start == end:
            await self._ask("head_object", Key=name)
            return
        position, failures = start, 0
        same: dict[str, object] = {}
        while True:
            answer = await self._ask("get_object", Key=name, **_range_of(position, end), **same)
            if answer is None:
                return
            # Of an object that is replaced meanwhile the rest would be another's.
            same = {"IfMatch": answer["ETag"]}
            body = answer["Body"]
            try:
                while chunk := await self._read(body):
                    position += len(chunk)
                    failures = 0
                    yield chunk
                return
            except _CutOffError as exc:
                failures += 1
                if failures > READS_AGAIN:
                    raise exc.trouble from exc
            finally:
                self._bucket.close_body(body)

    async def _ask(self, operation: str, **arguments: object) -> Any:
        """The answer; None where the object has none of the bytes. Raises FileNotFoundError, StorageUnavailable."""
        try:
            return await self._bucket.ask(operation, **arguments)
        except RefusedCallError as exc:
            if exc.code in MISSING:
                raise FileNotFoundError("There is no such file in the media storage.") from exc
            if exc.code in BEYOND_THE_END:
                return None
            if exc.code in ("PreconditionFailed", "412"):
                raise StorageUnavailable("The file was replaced while it was being read.") from exc
            raise exc.trouble from exc

    async def _read(self, body: Any) -> bytes:
        try:
            return await self._bucket.read(body, READ_BYTES)
        except StorageUnavailable as exc:
            raise _CutOffError(exc) from exc

    async def _save(self, path: Path, chunks: AsyncIterator[bytes]) -> None:
        try:
            file = await asyncio.to_thread(path.open, "xb")
            try:
                async for chunk in chunks:
                    await to_its_end(asyncio.to_thread(file.write, chunk))
            finally:
                await to_its_end(asyncio.to_thread(file.close))
        except FileNotFoundError:
            raise
        except OSError as exc:
            raise _no_scratch(exc) from exc


class _CutOffError(Exception):
    """An answer broke off; the rest can be asked for."""

    def __init__(self, trouble: StorageUnavailable) -> None:
        super().__init__(trouble.message)
        self.trouble = trouble


class _Part(io.BufferedRandom):
    """A nameless file that every caller reads in large pieces: each small one costs a turn of the interpreter."""

    def __init__(self, scratch: Path) -> None:
        # Without a name, so it goes with the process however that ends.
        super().__init__(tempfile.TemporaryFile(dir=scratch, buffering=0))  # noqa: SIM115 - it is closed with us

    def read(self, size: int | None = -1, /) -> bytes:
        return super().read(size if size is None or size < 0 else max(size, SEND_BYTES))


class _Arriving:
    """An object that is being written. No thread works on it once a call here has returned."""

    def __init__(
        self,
        bucket: Bucket,
        name: str,
        scratch: Path,
        hashing: asyncio.Semaphore,
        parts: asyncio.Semaphore,
    ) -> None:
        self._bucket = bucket
        self._name = name
        self._scratch = scratch
        self._hashing = hashing
        self._parts = parts
        self._hash = hashlib.sha256()
        self._size_bytes = 0
        self._filling: _Part | None = None
        self._full: list[_Part] = []
        self._upload_id: str | None = None
        self._sending: list[asyncio.Task[dict[str, object]]] = []
        self._room = asyncio.Semaphore(PARTS_OF_ONE_AT_ONCE)
        self._given_up = False

    async def add(self, batch: Batch) -> None:
        """More bytes. Raises StorageUnavailable, also for what was added before."""
        async with self._hashing:
            await to_its_end(asyncio.to_thread(self._write, batch))
        while self._full:
            await self._send()

    async def finish(self) -> tuple[int, str]:
        """Make the object seen; returns its size in bytes and its SHA-256 in hex."""
        last, self._filling = self._filling, None
        if self._upload_id is None:
            await to_its_end(self._put(last))
        else:
            if last is not None:
                self._full.append(last)
                await self._send()
            await asyncio.wait(self._sending, return_when=asyncio.FIRST_EXCEPTION)
            parts = {"Parts": [task.result() for task in self._sending if task.done()]}
            await to_its_end(self._told("complete_multipart_upload", UploadId=self._upload_id, MultipartUpload=parts))
        return self._size_bytes, self._hash.hexdigest()

    async def abandon(self) -> None:
        """Leave nothing behind, as far as the bucket can be reached within a few seconds."""
        self._given_up = True
        for part in (self._filling, *self._full):
            if part is not None:
                part.close()
        if self._sending:
            await asyncio.wait(self._sending, timeout=ABANDON_S)
        for task in self._sending:
            task.cancel()
        if self._upload_id is None:
            return
        try:
            async with asyncio.timeout(ABANDON_S):
                await self._told("abort_multipart_upload", UploadId=self._upload_id)
        except (StorageUnavailable, TimeoutError):
            log.warning("upload_left_behind", key=self._name)

    def _write(self, batch: Batch) -> None:
        for piece in batch:
            self._write_piece(piece)

    def _write_piece(self, piece: bytes | bytearray) -> None:
        """Write it to the part that is being filled. One that is full can be sent once something comes behind it."""
        self._hash.update(piece)
        self._size_bytes += len(piece)
        view = memoryview(piece)
        try:
            while view:
                if self._filling is not None and self._filling.tell() == PART_BYTES:
                    self._full.append(self._filling)
                    self._filling = None
                if self._filling is None:
                    self._filling = _Part(self._scratch)
                written = self._filling.write(view[: PART_BYTES - self._filling.tell()])
                view = view[written:]
        except OSError as exc:
            raise _no_scratch(exc) from exc

    async def _send(self) -> None:
        if self._upload_id is None:
            await to_its_end(self._begin())
        await self._room.acquire()
        for task in self._sending:
            if task.done():
                task.result()
        await self._parts.acquire()
        sending = asyncio.create_task(self._send_part(len(self._sending) + 1, self._full.pop(0)))
        # Not at the end of the call: one that is cancelled before it begins has no end.
        sending.add_done_callback(lambda _: self._parts.release())
        self._sending.append(sending)

    async def _begin(self) -> None:
        self._upload_id = (await self._told("create_multipart_upload"))["UploadId"]

    async def _send_part(self, number: int, part: _Part) -> dict[str, object]:
        try:
            if self._given_up:
                raise StorageUnavailable("The write was given up.")
            part.seek(0)
            answer = await self._told("upload_part", UploadId=self._upload_id, PartNumber=number, Body=part)
            return {"PartNumber": number, "ETag": answer["ETag"]}
        finally:
            part.close()
            self._room.release()

    async def _put(self, whole: _Part | None) -> None:
        if whole is None:
            await self._told("put_object", Body=b"")
            return
        with whole:
            whole.seek(0)
            await self._told("put_object", Body=whole)

    async def _told(self, operation: str, **arguments: object) -> Any:
        try:
            return await self._bucket.tell(operation, Key=self._name, **arguments)
        except RefusedCallError as exc:
            raise exc.trouble from exc


def _range_of(start: int, end: int | None) -> dict[str, object]:
    if start == 0 and end is None:
        return {}
    return {"Range": f"bytes={start}-" if end is None else f"bytes={start}-{end - 1}"}


def _overlook(task: asyncio.Future[Any]) -> None:
    """Take note of an error that perhaps no caller waits for, so that it is not reported as forgotten."""
    if not task.cancelled():
        task.exception()


def _sweep_copies(scratch: Path, before_s: float) -> int:
    removed = 0
    for leftover in scratch.glob(f"{_COPY}*"):
        with suppress(OSError):
            if leftover.stat().st_mtime < before_s:
                leftover.unlink()
                removed += 1
    return removed


def _no_scratch(exc: OSError) -> StorageUnavailable:
    reason = exc.strerror or type(exc).__name__
    return StorageUnavailable(f"The directory for unfinished files cannot be used: {reason}.")
