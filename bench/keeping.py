"""A process that takes files into our keeping as a worker does, by turns with a plain one; prints its rounds as JSON.

The plain one is a single thread with a megabyte of memory, a socket, and nothing else of ours: before a directory it
reads the same body, hashes it, writes it to a file and syncs that; before a bucket it hashes each part and the whole,
as S3 and we demand, and puts the parts.
"""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import json
import os
import secrets
import socket
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import aclosing, asynccontextmanager, closing
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path

import uvloop

from bench.machine import forget_peak, peak_mb, resident_mb
from rushes.media.bucket import Bucket, Place
from rushes.media.local import LocalStorage
from rushes.media.s3 import PART_BYTES, S3Storage
from rushes.media.storage import Storage
from rushes.net.client import HttpClient
from rushes.providers.http import Origin

RECEIVE_BYTES = 1024 * 1024
LOOK_S = 0.005
LARGEST_BYTES = 1024**3
FILE = "/files/of/a-provider"


@dataclass
class Rounds:
    """What each round took: seconds and MB/s of files that come one after the other, then of many at once."""

    read_mb_s: list[float] = field(default_factory=list)
    plain_mb_s: list[float] = field(default_factory=list)
    kept_mb_s: list[float] = field(default_factory=list)
    growth_mb: list[float] = field(default_factory=list)
    lag_ms: list[float] = field(default_factory=list)
    at_once_mb_s: list[float] = field(default_factory=list)
    at_once_growth_mb: list[float] = field(default_factory=list)
    at_once_lag_ms: list[float] = field(default_factory=list)


class Keeper:
    """One storage, one source, and the ways from here to there."""

    def __init__(self, port: int, size_bytes: int, storage: Storage, folder: Path, *, in_bucket: bool) -> None:
        self._port = port
        self._size_bytes = size_bytes
        self._storage = storage
        self._folder = folder
        self._plain = self._put_on if in_bucket else self._save
        self._client = HttpClient()
        self._origin = Origin(self._client, f"http://127.0.0.1:{port}", provider="bench")

    async def measure(self, rounds: int, at_once: int, rounds_at_once: int) -> Rounds:
        """All rounds; what the first file of each kind takes is not counted."""
        for _ in range(2):
            await self._keep()
            await asyncio.to_thread(self._plain)
            await asyncio.to_thread(self._read)
        found = Rounds()
        at_rest_mb = resident_mb(os.getpid())
        for _ in range(rounds):
            found.read_mb_s.append(await self._timed(partial(asyncio.to_thread, self._read)))
            found.plain_mb_s.append(await self._timed(partial(asyncio.to_thread, self._plain)))
            forget_peak(os.getpid())
            async with _lag(found.lag_ms):
                found.kept_mb_s.append(await self._timed(self._keep))
            found.growth_mb.append(peak_mb(os.getpid()) - at_rest_mb)
        for _ in range(rounds_at_once):
            forget_peak(os.getpid())
            async with _lag(found.at_once_lag_ms):
                found.at_once_mb_s.append(await self._timed(self._keep, at_once))
            found.at_once_growth_mb.append(peak_mb(os.getpid()) - at_rest_mb)
        await self._client.close()
        return found

    async def _timed(self, action: Callable[[], Awaitable[object]], count: int = 1) -> float:
        began = time.perf_counter()
        await asyncio.gather(*(action() for _ in range(count)))
        elapsed_s = time.perf_counter() - began
        for path in self._folder.rglob("*"):
            # Else each file would be written to memory that the machine has never used before.
            if path.is_file():
                path.unlink()
        return count * self._size_bytes / 1e6 / elapsed_s

    async def _keep(self) -> None:
        url = f"http://127.0.0.1:{self._port}{FILE}"
        async with aclosing(self._origin.download(url, headers={})) as chunks:
            stored = await self._storage.put(f"kept/{secrets.token_hex(8)}", chunks, max_bytes=LARGEST_BYTES)
        assert stored.size_bytes == self._size_bytes, stored

    def _read(self) -> None:
        for _ in self._pieces():
            pass

    def _save(self) -> None:
        whole = hashlib.sha256()
        with (self._folder / "plain").open("wb", buffering=0) as file:
            for piece in self._pieces():
                whole.update(piece)
                file.write(piece)
            os.fsync(file.fileno())

    def _put_on(self) -> None:
        whole = hashlib.sha256()
        part = memoryview(bytearray(PART_BYTES + RECEIVE_BYTES))
        filled_bytes = 0
        with closing(self._connection()) as bucket:
            bucket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            for piece in self._pieces():
                whole.update(piece)
                part[filled_bytes : filled_bytes + len(piece)] = piece
                filled_bytes += len(piece)
                if filled_bytes >= PART_BYTES:
                    _put_part(bucket, part[:filled_bytes])
                    filled_bytes = 0
            _put_part(bucket, part[:filled_bytes])

    def _pieces(self) -> Iterator[memoryview]:
        buffer = memoryview(bytearray(RECEIVE_BYTES))
        with closing(self._connection()) as source:
            source.sendall(f"GET {FILE} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
            head = b""
            while b"\r\n\r\n" not in head:
                head += source.recv(4096)
            first = head.partition(b"\r\n\r\n")[2]
            yield memoryview(first)
            left_bytes = self._size_bytes - len(first)
            while left_bytes > 0:
                received_bytes = source.recv_into(buffer)
                assert received_bytes, f"{left_bytes} bytes were not sent"
                left_bytes -= received_bytes
                yield buffer[:received_bytes]

    def _connection(self) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self._port), timeout=30)


def _put_part(bucket: socket.socket, part: memoryview) -> None:
    digest = hashlib.sha256(part).hexdigest()
    bucket.sendall(
        f"PUT /bucket/plain HTTP/1.1\r\nx-amz-content-sha256: {digest}\r\nContent-Length: {len(part)}\r\n\r\n".encode()
    )
    bucket.sendall(part)
    assert bucket.recv(4096).startswith(b"HTTP/1.1 200")


@asynccontextmanager
async def _lag(worst_ms: list[float]) -> AsyncIterator[None]:
    """Add how late the event loop was at worst: a timer is what a request would be."""
    worst_s = 0.0

    async def look() -> None:
        nonlocal worst_s
        while True:
            began = time.perf_counter()
            await asyncio.sleep(LOOK_S)
            worst_s = max(worst_s, time.perf_counter() - began - LOOK_S)

    looking = asyncio.create_task(look())
    try:
        yield
    finally:
        looking.cancel()
        worst_ms.append(worst_s * 1000)


async def _run(given: argparse.Namespace) -> None:
    with tempfile.TemporaryDirectory(prefix="rushes-bench-", dir="/var/tmp") as name:
        folder = Path(name)
        storage: Storage = LocalStorage(folder / "storage")
        if given.bucket:
            url = f"http://127.0.0.1:{given.port}"
            place = Place("bucket", endpoint_url=url, access_key_id="a", secret_access_key="b")
            storage = S3Storage(Bucket(place), folder)
        keeper = Keeper(given.port, given.bytes, storage, folder, in_bucket=given.bucket)
        print(json.dumps(asdict(await keeper.measure(given.rounds, given.at_once, given.rounds_at_once))))


def main() -> None:
    """Measure as the arguments say."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, required=True, help="Where bench.sink listens.")
    parser.add_argument("--bytes", type=int, required=True, help="Size of the file there.")
    parser.add_argument("--bucket", action="store_true", help="Keep in the bucket there, not in a directory.")
    parser.add_argument("--rounds", type=int, required=True)
    parser.add_argument("--at-once", type=int, required=True)
    parser.add_argument("--rounds-at-once", type=int, required=True)
    uvloop.run(_run(parser.parse_args()))


if __name__ == "__main__":
    main()
