"""Several videos as one ZIP file, made while it is sent: its size in memory is one chunk."""

from __future__ import annotations

import zipfile
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from datetime import UTC, datetime

from starlette.responses import Response, StreamingResponse

from rushes.console.visit import Visit
from rushes.domain.job import Job
from rushes.errors import FileExpired
from rushes.media.sniff import extension_of


class _Outgoing:
    """What `zipfile` writes to: it cannot seek, and what was written is taken away chunk by chunk."""

    def __init__(self) -> None:
        self._chunks: list[bytes] = []
        self._written = 0

    def write(self, chunk: bytes) -> int:
        self._chunks.append(bytes(chunk))
        self._written += len(chunk)
        return len(chunk)

    def tell(self) -> int:
        return self._written

    def flush(self) -> None:
        """Nothing is held back."""

    def close(self) -> None:
        """Nothing is open."""

    def taken(self) -> bytes:
        chunks, self._chunks = self._chunks, []
        return b"".join(chunks)


def archive_response(visit: Visit, jobs: Sequence[Job]) -> Response:
    """The videos of these jobs that are still kept. Raises FileExpired if none is."""
    kept = [job for job in jobs if job.has_files(visit.now_ms)]
    if not kept:
        raise FileExpired("None of these jobs has a video that could be downloaded")
    name = f"rushes-{datetime.fromtimestamp(visit.now_ms / 1000, UTC):%Y%m%d-%H%M%S}.zip"
    headers = {"Content-Disposition": f'attachment; filename="{name}"', "Cache-Control": "no-store"}
    return StreamingResponse(_archive(visit, kept), headers=headers, media_type="application/zip")


async def _archive(visit: Visit, jobs: Sequence[Job]) -> AsyncGenerator[bytes, None]:
    outgoing = _Outgoing()
    # Stored, not deflated: videos do not get smaller.
    with zipfile.ZipFile(outgoing, "w", zipfile.ZIP_STORED) as archive:
        for job in jobs:
            made = datetime.fromtimestamp((job.completed_at or job.created_at) / 1000, UTC)
            for index, video in enumerate(job.outputs):
                entry = zipfile.ZipInfo(
                    f"{job.id}-{index}{extension_of(video.content_type)}", date_time=made.timetuple()[:6]
                )
                # Zip64 only where it is needed: some unpackers do not know it.
                is_large = video.size_bytes > zipfile.ZIP64_LIMIT
                with archive.open(entry, "w", force_zip64=is_large) as file:
                    async with aclosing(visit.services.storage.open(video.key)) as chunks:
                        async for chunk in chunks:
                            file.write(chunk)
                            yield outgoing.taken()
    yield outgoing.taken()
