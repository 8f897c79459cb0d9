"""Links to videos and input files."""

from __future__ import annotations

from urllib.parse import parse_qs, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.requests import HTTPConnection

from rushes.domain.request import InputMedia, Role
from rushes.media.links import LinkSigner, LinkState
from rushes.views.signed_links import INPUT_LINK_S, Links
from tests.unit.api.native.test_schemas import VIDEO, job


class StoppedClock:
    """A clock that moves when it is told to."""

    def __init__(self) -> None:
        self.at_ms = 1_000_000_500

    def now_ms(self) -> int:
        return self.at_ms

    async def sleep(self, seconds: float) -> None:
        self.at_ms += int(seconds * 1000)


def connection() -> HTTPConnection:
    scope = {"type": "http", "scheme": "http", "server": ("127.0.0.1", 8080), "path": "/", "query_string": b""}
    return HTTPConnection({**scope, "headers": [(b"host", b"gateway:9000")]})


def made(clock: StoppedClock, public_url: str | None = None) -> tuple[Links, str]:
    links = Links(LinkSigner([b"k" * 32]), clock, ttl_s=60, public_url=public_url)
    return links, links.to_video(links.base(connection()), job(outputs=(VIDEO,)), 0, links.expires_at_ms())


@pytest.mark.parametrize(
    ("public_url", "start"),
    [
        (None, "http://gateway:9000/media/job_1/0.mp4?"),
        ("https://v.example", "https://v.example/media/job_1/0.mp4?"),
        ("https://v.example/rushes/", "https://v.example/rushes/media/job_1/0.mp4?"),
    ],
)
def test_a_link_starts_with_the_public_url_or_the_host_that_was_asked(public_url: str | None, start: str) -> None:
    assert made(StoppedClock(), public_url)[1].startswith(start)


@pytest.mark.parametrize(("later_s", "state"), [(0, LinkState.VALID), (59, LinkState.VALID), (60, LinkState.EXPIRED)])
async def test_a_link_works_for_its_time(later_s: int, state: LinkState) -> None:
    clock = StoppedClock()
    links, link = made(clock)
    query = parse_qs(urlsplit(link).query)
    await clock.sleep(later_s)
    assert links.check("/media/job_1/0.mp4", query["expires"][0], query["signature"][0]) is state


def test_a_link_is_for_one_path() -> None:
    links, link = made(StoppedClock())
    query = parse_qs(urlsplit(link).query)
    assert links.check("/media/job_1/1.mp4", query["expires"][0], query["signature"][0]) is LinkState.FORGED


async def test_a_link_to_an_input_file_is_short_lived_and_never_begins_with_the_host_that_was_asked() -> None:
    clock = StoppedClock()
    media = InputMedia(Role.INPUT_IMAGE, "inputs/acct_1/upload_1", "image/png", 4, "0" * 64)
    assert made(clock)[0].to_input(media) is None
    links = made(clock, "https://v.example/rushes")[0]
    url = links.to_input(media)
    assert url is not None
    link = urlsplit(url)
    assert (link.netloc, link.path) == ("v.example", "/rushes/media/inputs/upload_1")
    query = parse_qs(link.query)
    given = query["expires"][0], query["signature"][0]
    assert links.check("/media/inputs/upload_2", *given) is LinkState.FORGED
    await clock.sleep(INPUT_LINK_S - 1)
    assert links.check("/media/inputs/upload_1", *given) is LinkState.VALID
    await clock.sleep(1)
    assert links.check("/media/inputs/upload_1", *given) is LinkState.EXPIRED


def test_reads_of_one_moment_give_the_same_link() -> None:
    assert made(StoppedClock())[1] == made(StoppedClock())[1]


@given(
    host=st.none()
    | st.binary(max_size=300)
    | st.sampled_from([b"gateway", b"gateway:9000", b"[::1]:80", b"a b", b"a:x"]),
    server=st.sampled_from([("127.0.0.1", 8080), ("127.0.0.1", 80), ("::1", 443), None]),
    scheme=st.sampled_from(["http", "https"]),
    root_path=st.sampled_from(["", "/rushes", "/rushes/"]),
)
def test_the_host_that_was_asked_is_what_the_framework_takes_it_for(
    host: bytes | None, server: tuple[str, int] | None, scheme: str, root_path: str
) -> None:
    scope = {"type": "http", "scheme": scheme, "server": server, "root_path": root_path, "path": "/x"}
    asked = HTTPConnection({**scope, "query_string": b"", "headers": [] if host is None else [(b"host", host)]})
    clock = StoppedClock()
    links = Links(LinkSigner([b"k" * 32]), clock, ttl_s=60, public_url=None)
    link = links.to_video(links.base(asked), job(outputs=(VIDEO,)), 0, links.expires_at_ms())
    assert link.partition("/media/job_1/")[0] == str(asked.base_url).rstrip("/")
