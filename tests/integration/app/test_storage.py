"""Which storage the settings lead to."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from rushes.app import storage as storage_module
from rushes.app.storage import opened_storage
from rushes.clock import SystemClock
from rushes.errors import StartupError
from rushes.media.local import LocalStorage
from rushes.media.s3 import S3Storage
from rushes.settings import Settings, load_settings

URL = "s3://films-of-ours/rushes"


def settings(**given: Any) -> Settings:
    return load_settings(**given)


async def test_without_a_bucket_files_are_kept_in_the_directory(tmp_path: Path) -> None:
    async with opened_storage(settings(), tmp_path, tmp_path, SystemClock()) as storage:
        assert isinstance(storage, LocalStorage)


@pytest.mark.parametrize("given", ["storage_access_key_id", "storage_secret_access_key"])
async def test_half_a_key_is_refused_without_being_shown(tmp_path: Path, given: str) -> None:
    half = settings(storage_url=URL, **{given: "half-of-a-key"})
    with pytest.raises(StartupError, match="both or neither") as caught:
        async with opened_storage(half, tmp_path, tmp_path, SystemClock()):
            pass
    assert "half-of-a-key" not in str(caught.value)


async def test_a_bucket_that_is_away_does_not_keep_the_service_from_starting(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(storage_module, "PATIENCE_S", 0.1)
    away = settings(
        storage_url=URL,
        storage_endpoint_url="http://127.0.0.1:1",
        storage_access_key_id="id",
        storage_secret_access_key="secret",
    )
    async with opened_storage(away, tmp_path, tmp_path, SystemClock()) as storage:
        assert isinstance(storage, S3Storage)
