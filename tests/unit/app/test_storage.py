"""Which storage the settings lead to."""

from __future__ import annotations

from typing import Any

import pytest

from rushes.app.storage import _gives_links
from rushes.errors import StartupError
from rushes.settings import Settings, load_settings

URL = "s3://films-of-ours/rushes"


def settings(**given: Any) -> Settings:
    return load_settings(**given)


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
