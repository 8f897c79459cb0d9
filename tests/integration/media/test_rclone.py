"""A bucket of rclone's S3 server, which knows fewer calls than S3: storing, checking and sweeping work there too."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from contextlib import suppress
from pathlib import Path
from socket import create_connection

import pytest
from structlog.testing import capture_logs

from rushes.app.storage import opened_storage
from rushes.clock import SystemClock
from rushes.media.bucket import Bucket, Place
from rushes.media.s3 import S3Storage
from rushes.settings import load_settings
from tests.fixtures.ports import free_port
from tests.fixtures.s3 import KEY_ID, SECRET
from tests.fixtures.time_limits import GENEROUS_S

RCLONE = Path(sys.executable).with_name("rclone")
DAY_MS = 86_400_000
MIB = 1024**2


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A server whose one bucket is called `videos`."""
    folder = tmp_path_factory.mktemp("rclone")
    (folder / "files" / "videos").mkdir(parents=True)
    address = f"127.0.0.1:{free_port()}"
    process = subprocess.Popen(
        [RCLONE, "serve", "s3", "--addr", address, "--auth-key", f"{KEY_ID},{SECRET}", folder / "files"],
        env={"HOME": str(folder), "PATH": os.defpath},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    give_up = time.monotonic() + GENEROUS_S
    while True:
        with suppress(OSError), create_connection(("127.0.0.1", int(address.rpartition(":")[2])), 1):
            break
        assert process.poll() is None, "rclone ended"
        assert time.monotonic() < give_up, "rclone did not start"
        time.sleep(0.05)
    yield f"http://{address}"
    process.kill()
    process.wait()


def bucket_of(url: str, prefix: str) -> Bucket:
    return Bucket(
        Place("videos", prefix=prefix, endpoint_url=url, access_key_id=KEY_ID, secret_access_key=SECRET, region="us")
    )


@pytest.fixture(params=["", "deep/er"])
async def storage(url: str, tmp_path: Path, request: pytest.FixtureRequest) -> AsyncIterator[S3Storage]:
    opened = S3Storage(bucket_of(url, request.param), tmp_path)
    yield opened
    opened.close()


async def chunks(number: int) -> AsyncGenerator[bytes, None]:
    for _ in range(number):
        yield b"x" * MIB


async def test_the_bucket_is_proven_checked_and_swept(storage: S3Storage) -> None:
    await storage.prove()
    await storage.check()
    assert await storage.sweep(SystemClock().now_ms() + 2 * DAY_MS) == 0


@pytest.mark.parametrize("mebibytes", [1, 20])
async def test_files_are_stored_read_and_deleted(storage: S3Storage, mebibytes: int) -> None:
    stored = await storage.put("videos/a", chunks(mebibytes), max_bytes=100 * MIB)
    assert stored.size_bytes == mebibytes * MIB
    assert sum([len(chunk) async for chunk in storage.open("videos/a")]) == stored.size_bytes
    assert [chunk async for chunk in storage.open("videos/a", start=5, end=10)] == [b"xxxxx"]
    await storage.delete("videos/a")
    with pytest.raises(FileNotFoundError):
        await anext(storage.open("videos/a"))


async def test_an_upload_that_was_left_behind_is_swept(url: str, storage: S3Storage) -> None:
    prefix = storage._prefix
    await storage._bucket.tell("create_multipart_upload", Key=f"{prefix}videos/left")
    now_ms = SystemClock().now_ms()
    assert await storage.sweep(now_ms) == 0
    assert await storage.sweep(now_ms + 2 * DAY_MS) == 1
    assert await storage.sweep(now_ms + 2 * DAY_MS) == 0


async def test_the_service_starts_there_without_a_warning(url: str, tmp_path: Path) -> None:
    settings = load_settings(
        storage_url="s3://videos/start",
        storage_endpoint_url=url,
        storage_access_key_id=KEY_ID,
        storage_secret_access_key=SECRET,
    )
    with capture_logs() as logs:
        async with opened_storage(settings, tmp_path, tmp_path, SystemClock()) as storage:
            await storage.check()
    assert [entry for entry in logs if entry["log_level"] == "warning"] == []
