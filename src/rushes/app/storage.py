"""Which storage the settings ask for, ready to be used."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import structlog

from rushes.clock import Clock
from rushes.errors import StartupError, StorageRefused, StorageUnavailable
from rushes.media.bucket import Bucket, Place
from rushes.media.local import LocalStorage
from rushes.media.s3 import S3Storage
from rushes.media.storage import Storage
from rushes.media.transfer import ListedStorage
from rushes.settings import Settings

log = structlog.get_logger(__name__)

PATIENCE_S = 5.0
"""How long starting waits for a bucket; one that is away for now does not keep the service from starting."""


@asynccontextmanager
async def opened_storage(settings: Settings, directory: Path, scratch: Path, clock: Clock) -> AsyncIterator[Storage]:
    """Storage in `directory` or in a bucket, proven and swept of leftovers. Raises StartupError if it refuses us."""
    if settings.storage_url is None:
        storage = LocalStorage(directory)
        await storage.sweep(clock.now_ms())
        yield storage
        return
    in_s3 = S3Storage(Bucket(_place(settings, settings.storage_url)), scratch, gives_links=_gives_links(settings))
    try:
        async with asyncio.timeout(PATIENCE_S):
            await in_s3.prove()
    except StorageRefused as exc:
        in_s3.close()
        raise StartupError(f"RUSHES_STORAGE_URL '{settings.storage_url}' cannot be used: {exc.message}") from exc
    except (StorageUnavailable, TimeoutError) as exc:
        detail = exc.message if isinstance(exc, StorageUnavailable) else f"no answer within {PATIENCE_S:.0f} s"
        log.warning("storage_not_ready", url=settings.storage_url, detail=detail)
    else:
        await _sweep(in_s3, clock, settings.storage_url)
    try:
        yield in_s3
    finally:
        in_s3.close()


@asynccontextmanager
async def opened_for_move(
    settings: Settings, directory: Path, scratch: Path, *, side: str, written: bool
) -> AsyncIterator[ListedStorage]:
    """One side of a move. Unless it is to be `written`, nothing in it is changed.

    Raises StartupError, also if it does not answer now.
    """
    if settings.storage_url is None:
        yield LocalStorage(directory)
        return
    in_s3 = S3Storage(Bucket(_place(settings, settings.storage_url)), scratch, gives_links=False)
    try:
        try:
            async with asyncio.timeout(PATIENCE_S):
                await (in_s3.prove() if written else in_s3.check())
        except (StorageUnavailable, TimeoutError) as exc:
            detail = exc.message if isinstance(exc, StorageUnavailable) else f"no answer within {PATIENCE_S:.0f} s"
            raise StartupError(f"the {side}'s storage '{settings.storage_url}' cannot be used: {detail}") from exc
        yield in_s3
    finally:
        in_s3.close()


async def _sweep(storage: S3Storage, clock: Clock, url: str) -> None:
    """Remove leftovers. They only take room, so the service starts also if they cannot be removed now."""
    try:
        async with asyncio.timeout(PATIENCE_S):
            removed = await storage.sweep(clock.now_ms())
    except (StorageUnavailable, TimeoutError) as exc:
        detail = exc.message if isinstance(exc, StorageUnavailable) else f"no answer within {PATIENCE_S:.0f} s"
        log.warning("storage_not_swept", url=url, detail=detail)
    else:
        if removed:
            log.info("storage_swept", url=url, removed=removed)


def _place(settings: Settings, url: str) -> Place:
    bucket, _, prefix = url.removeprefix("s3://").partition("/")
    key_id, secret = settings.storage_access_key_id, settings.storage_secret_access_key
    if (key_id is None) != (secret is None):
        raise StartupError(
            "RUSHES_STORAGE_ACCESS_KEY_ID and RUSHES_STORAGE_SECRET_ACCESS_KEY are given both or neither"
        )
    return Place(
        bucket=bucket,
        prefix=prefix,
        endpoint_url=settings.storage_endpoint_url,
        public_endpoint_url=settings.storage_public_endpoint_url,
        region=settings.storage_region,
        access_key_id=None if key_id is None else key_id.get_secret_value(),
        secret_access_key=None if secret is None else secret.get_secret_value(),
        path_style=settings.storage_path_style,
    )


def _gives_links(settings: Settings) -> bool:
    """An endpoint of the operator's own is often one that clients cannot reach, so it has to be said that they can."""
    if settings.storage_links is not None:
        return settings.storage_links == "presigned"
    return settings.storage_endpoint_url is None or settings.storage_public_endpoint_url is not None
