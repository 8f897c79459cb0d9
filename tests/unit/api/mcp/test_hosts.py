"""Which hosts and pages /mcp answers."""

from __future__ import annotations

import pytest
from starlette.datastructures import Headers

from rushes.api.mcp.hosts import KnownHosts
from rushes.errors import ForeignHost

KNOWN = KnownHosts("https://video.example.com/gateway", ["rushes.example.net"], ["https://app.example.org"])


def headers(host: str | None, *origins: str) -> Headers:
    named = [] if host is None else [(b"host", host.encode("latin-1"))]
    return Headers(raw=[*named, *((b"origin", origin.encode()) for origin in origins)])


@pytest.mark.parametrize(
    "host",
    [
        "video.example.com", "VIDEO.example.com:443", "video.example.com.", "rushes.example.net:8080", "localhost:8080",
        "127.0.0.1:8080", "10.0.0.7", "[::1]:8080", "[2001:db8::1]", "rushes:8080", "box.local", "rushes.internal",
        "api.localhost", "internal.",
    ],
)  # fmt: skip
def test_a_name_of_ours_an_address_or_a_private_name_is_answered(host: str) -> None:
    KNOWN.check(headers(host))


@pytest.mark.parametrize(
    "host",
    [
        "evil.example", "video.example.com.evil.example", "evilvideo.example.com", "127.0.0.1.evil.example", "", "a b",
        "video.example.com:port", "video.example.com@evil.example", "local.evil", "x\xe9.example", None,
    ],
)  # fmt: skip
def test_a_name_that_a_stranger_can_own_is_refused(host: str | None) -> None:
    with pytest.raises(ForeignHost) as caught:
        KNOWN.check(headers(host))
    assert "RUSHES_TRUSTED_HOSTS" in caught.value.message


def test_two_hosts_are_one_too_many() -> None:
    with pytest.raises(ForeignHost):
        KNOWN.check(Headers(raw=[(b"host", b"video.example.com"), (b"host", b"evil.example")]))


def test_without_a_public_url_no_public_name_is_known() -> None:
    KnownHosts(None).check(headers("127.0.0.1:8080"))
    with pytest.raises(ForeignHost):
        KnownHosts(None).check(headers("video.example.com"))


@pytest.mark.parametrize(
    ("host", "origin"),
    [
        ("127.0.0.1:8080", "https://video.example.com"), ("127.0.0.1:8080", "http://127.0.0.1:8080"),
        ("127.0.0.1:8080", "https://app.example.org"), ("rushes.example.net", "https://rushes.example.net"),
    ],
)  # fmt: skip
def test_a_page_of_the_same_host_or_an_allowed_origin_may_call(host: str, origin: str) -> None:
    KNOWN.check(headers(host, origin))


@pytest.mark.parametrize(
    "origin",
    ["https://evil.example", "null", "http://127.0.0.1:9999", "file://", "https://app.example.org.evil.example"],
)
def test_a_page_of_another_origin_may_not(origin: str) -> None:
    with pytest.raises(ForeignHost) as caught:
        KNOWN.check(headers("127.0.0.1:8080", origin))
    assert "RUSHES_CORS_ORIGINS" in caught.value.message


def test_where_every_origin_is_allowed_every_page_may_call() -> None:
    KnownHosts(None, [], ["*"]).check(headers("127.0.0.1:8080", "https://evil.example"))
