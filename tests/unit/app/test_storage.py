"""Which storage the settings lead to."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from rushes.app import storage as storage_module
from rushes.app.storage import _gives_links, opened_storage
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


@pytest.mark.parametrize(
    ("given", "leads_there"),
    [
        ({}, True),
        ({"storage_endpoint_url": "http://minio:9000"}, False),
        (
            {
                "storage_endpoint_url": "http://minio:9000",
                "storage_public_endpoint_url": "https://films.example.com",
            },
            True,
        ),
        ({"storage_links": "proxy"}, False),
        ({"storage_endpoint_url": "http://minio:9000", "storage_links": "presigned"}, True),
    ],
)
def test_links_lead_to_the_bucket_where_clients_can_be_taken_to_reach_it(
    given: dict[str, str], leads_there: bool
) -> None:
    assert _gives_links(settings(storage_url=URL, **given)) is leads_there


@pytest.mark.parametrize(
    "url", ["films", "https://films.example.com", "s3://", "s3://Films", "s3://a", "s3://films/ä", "s3://films/a?b"]
)
def test_a_url_that_names_no_bucket_is_refused(url: str) -> None:
    with pytest.raises(StartupError, match="RUSHES_STORAGE_URL"):
        settings(storage_url=url)


@pytest.mark.parametrize("url", ["minio:9000", "http://key:secret@minio:9000", "http://minio:9000/path", "s3://minio"])
def test_an_endpoint_that_is_no_origin_is_refused_without_being_shown(url: str) -> None:
    with pytest.raises(StartupError, match="RUSHES_STORAGE_ENDPOINT_URL") as caught:
        settings(storage_endpoint_url=url)
    assert "secret" not in str(caught.value)


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
