from __future__ import annotations

import re
from collections.abc import AsyncIterator

import pytest

from rushes.errors import ProviderRejected, ProviderUnavailable, StartupError
from rushes.net.client import HttpClient
from rushes.providers.google.platform import Place, Platform


@pytest.fixture
async def platform() -> AsyncIterator[Platform]:
    client = HttpClient()
    yield Platform(client, Place())
    await client.close()


@pytest.mark.parametrize(
    ("bucket", "folder"),
    [
        (None, None),
        ("films", "gs://films/att_1/"),
        ("gs://films", "gs://films/att_1/"),
        ("gs://films/", "gs://films/att_1/"),
        ("gs://films/a/b-c/", "gs://films/a/b-c/att_1/"),
        ("films.example.com", "gs://films.example.com/att_1/"),
    ],
)
def test_each_attempt_has_a_folder_of_its_own(bucket: str | None, folder: str | None) -> None:
    assert Place(bucket=bucket).folder("att_1") == folder


@pytest.mark.parametrize("bucket", ["", "https://films", "gs://", "a b", "films/../x y", "Films", "gs://films//x"])
def test_a_bucket_that_is_none_is_a_startup_error(bucket: str) -> None:
    with pytest.raises(StartupError, match=re.escape(f"'{bucket}'")):
        Place(bucket=bucket)


@pytest.mark.parametrize("location", ["", "us_central1", "evil.example/", "US", "us-central1.x"])
def test_a_location_that_is_none_is_a_startup_error(location: str) -> None:
    with pytest.raises(StartupError, match="location"):
        Place(location=location)


def test_a_project_that_is_none_is_a_startup_error() -> None:
    with pytest.raises(StartupError, match="project"):
        Place(project="a/b")


def test_an_address_that_is_none_is_a_startup_error() -> None:
    for place in (Place(token_url="nowhere"), Place(storage_url="nowhere")):
        with pytest.raises(StartupError):
            Platform(HttpClient(), place)


@pytest.mark.parametrize(
    ("location", "url"),
    [
        ("us-central1", "https://us-central1-aiplatform.googleapis.com"),
        ("europe-west4", "https://europe-west4-aiplatform.googleapis.com"),
        ("global", "https://aiplatform.googleapis.com"),
    ],
)
async def test_each_location_has_its_origin(platform: Platform, location: str, url: str) -> None:
    assert str(platform.origin(location).origin) == url


async def test_a_location_from_elsewhere_becomes_no_host(platform: Platform) -> None:
    with pytest.raises(ProviderRejected):
        platform.origin("evil.example#")


@pytest.mark.parametrize(
    ("uri", "url"),
    [
        ("gs://films/a/b.mp4", "https://storage.googleapis.com/storage/v1/b/films/o/a%2Fb.mp4?alt=media"),
        ("gs://films/a b#?.mp4", "https://storage.googleapis.com/storage/v1/b/films/o/a%20b%23%3F.mp4?alt=media"),
        (
            "https://storage.googleapis.com/films/a%20b.mp4",
            "https://storage.googleapis.com/storage/v1/b/films/o/a%20b.mp4?alt=media",
        ),
        ("https://elsewhere.example/films/a.mp4", "https://elsewhere.example/films/a.mp4"),
        ("gs://films", "gs://films/"),
    ],
)
async def test_a_result_is_fetched_from_where_its_uri_says(platform: Platform, uri: str, url: str) -> None:
    assert str(platform._result_url(uri)) == url


async def test_a_result_without_a_url_may_get_one_yet(platform: Platform) -> None:
    with pytest.raises(ProviderUnavailable):
        platform._result_url("http://[")
