"""The videos themselves: links that play without a key, ranges, and bytes that are what the job says."""

from __future__ import annotations

import hashlib
import io
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import parse_qs, urlsplit

import av
import pytest

from tests.e2e.conftest import Start
from tests.fixtures.service import Answer, Client, Key, Service


@pytest.fixture(scope="module")
def drawn() -> dict[str, Any]:
    """Jobs that were drawn for this file, by name."""
    return {}


@pytest.fixture
async def result(client: Client, drawn: dict[str, Any]) -> Any:
    """The result of one finished job, read afresh."""
    if "one" not in drawn:
        drawn["one"] = (await client.create(prompt="a jetty"))["job_id"]
    return (await client.reached(drawn["one"]))["result"]


@pytest.fixture
async def browser(service: Service) -> AsyncIterator[Client]:
    """A client without a key."""
    async with Client(service, None) as opened:
        yield opened


async def test_a_link_plays_without_a_header_and_its_bytes_are_what_the_job_says(
    browser: Client, result: dict[str, Any]
) -> None:
    answer = await browser.get(result["url"])
    assert answer.status == 200
    assert answer.headers["Content-Type"] == "video/mp4"
    assert answer.headers["Accept-Ranges"] == "bytes"
    assert int(answer.headers["Content-Length"]) == len(answer.body) == result["file_size"]
    assert hashlib.sha256(answer.body).hexdigest() == result["sha256"]
    assert answer.headers["X-Request-Id"].startswith("req_")


async def test_one_range_is_answered_with_that_part(browser: Client, result: dict[str, Any]) -> None:
    whole = (await browser.get(result["url"])).body
    for header, start, end in (
        ("bytes=0-99", 0, 100),
        ("bytes=100-199", 100, 200),
        ("bytes=1000-", 1000, len(whole)),
        ("bytes=-10", len(whole) - 10, len(whole)),
        (f"bytes=10-{10**30}", 10, len(whole)),
    ):
        answer = await browser.get(result["url"], headers={"Range": header})
        assert answer.status == 206, header
        assert answer.body == whole[start:end], header
        assert answer.headers["Content-Range"] == f"bytes {start}-{end - 1}/{len(whole)}"


async def test_a_range_beyond_the_end_is_416(browser: Client, result: dict[str, Any]) -> None:
    answer = await browser.get(result["url"], headers={"Range": f"bytes={result['file_size']}-"})
    assert answer.status == 416
    assert answer.headers["Content-Range"] == f"bytes */{result['file_size']}"


@pytest.mark.parametrize("header", ["bytes=5-1", "bytes=", "bytes=a-b", "pages=1-2", "bytes=0-1,5-6", "nonsense"])
async def test_a_senseless_range_is_answered_whole(browser: Client, result: dict[str, Any], header: str) -> None:
    answer = await browser.get(result["url"], headers={"Range": header})
    assert (answer.status, len(answer.body)) == (200, result["file_size"])


async def test_head_answers_the_headers_alone(browser: Client, result: dict[str, Any]) -> None:
    head = await browser.call("HEAD", result["url"])
    got = await browser.get(result["url"])
    assert (head.status, head.body) == (200, b"")
    for name in ("Content-Length", "Content-Type", "ETag", "Last-Modified", "Accept-Ranges"):
        assert head.headers[name] == got.headers[name]


async def test_what_is_unchanged_is_not_sent_again(browser: Client, result: dict[str, Any]) -> None:
    etag = (await browser.get(result["url"])).headers["ETag"]
    for given in (etag, f"W/{etag}", f'"other", {etag}', "*"):
        answer = await browser.get(result["url"], headers={"If-None-Match": given})
        assert (answer.status, answer.body, answer.headers["ETag"]) == (304, b"", etag)
    assert (await browser.get(result["url"], headers={"If-None-Match": '"other"'})).status == 200


async def test_if_range_gives_the_part_only_of_the_same_file(browser: Client, result: dict[str, Any]) -> None:
    etag = (await browser.get(result["url"])).headers["ETag"]
    same = await browser.get(result["url"], headers={"Range": "bytes=0-9", "If-Range": etag})
    other = await browser.get(result["url"], headers={"Range": "bytes=0-9", "If-Range": '"other"'})
    assert (same.status, len(same.body)) == (206, 10)
    assert (other.status, len(other.body)) == (200, result["file_size"])


async def test_a_link_that_was_touched_is_refused(browser: Client, result: dict[str, Any]) -> None:
    url = result["url"]
    plain, _, _ = url.partition("?")
    parts = urlsplit(url)
    query = {name: values[0] for name, values in parse_qs(parts.query).items()}
    signature, expires = query["signature"], query["expires"]
    other_letter = "A" if signature[0] != "A" else "B"
    for forged in (
        plain,
        f"{plain}?expires={expires}",
        f"{plain}?signature={signature}",
        f"{plain}?expires={int(expires) + 1}&signature={signature}",
        f"{plain}?expires=&signature=",
        f"{plain}?expires={'9' * 50}&signature={signature}",
        f"{plain}?expires=%00&signature=%ff",
        f"{plain}?expires={expires}&signature={other_letter}{signature[1:]}",
        f"{plain}?expires={expires}&signature={signature}%3D",
        f"{plain}?expires={expires}&signature={signature.lower()}x",
        url.replace("/0.mp4", "/1.mp4"),
        url.replace("/media/", "/media//"),
    ):
        refused(await browser.get(forged))


async def test_the_signature_of_one_video_opens_no_other(
    client: Client, browser: Client, result: dict[str, Any]
) -> None:
    other = (await client.reached((await client.create(prompt="another"))["job_id"]))["result"]
    query = result["url"].partition("?")[2]
    refused(await browser.get(other["url"].partition("?")[0] + "?" + query))
    assert other["sha256"] != result["sha256"]


@pytest.mark.parametrize("index", ["-1", "x", "0x0", "1e0", "99999999999999999999", "..%2f0"])
async def test_a_senseless_index_is_a_problem(browser: Client, result: dict[str, Any], index: str) -> None:
    answer = await browser.get(result["url"].replace("/0.mp4", f"/{index}.mp4"))
    answer.problem(403, 404, 422)


async def test_a_link_ends_and_a_new_read_gives_a_new_one(start: Start) -> None:
    hasty = start(RUSHES_LINK_TTL_S=1)
    async with Client(hasty, hasty.key().text) as client:
        job = await client.reached((await client.create())["job_id"])
        # The link of that read ends within two seconds; a link that ended long ago is not one we can make here.
        answer = await client.get(job["result"]["url"], plain=True)
        while answer.status == 200:
            answer = await client.get(job["result"]["url"], plain=True)
        assert "expired" in refused(answer)["detail"]
        fresh = (await client.job(job["job_id"]))["result"]
        assert (await client.get(fresh["url"], plain=True)).status == 200


async def test_the_video_has_exactly_the_length_and_size_asked_for(client: Client, browser: Client) -> None:
    options = {"duration": 2, "aspect_ratio": "9:16", "resolution": "480p", "generate_audio": True}
    job = await client.reached((await client.create(prompt="a sloop", **options))["job_id"])
    result = job["result"]
    content = (await browser.get(result["url"])).body
    with av.open(io.BytesIO(content), mode="r") as film:
        picture = film.streams.video[0]
        assert picture.codec_context.name == "h264"
        assert picture.time_base is not None
        assert picture.duration is not None
        assert float(picture.duration * picture.time_base) == 2
        assert (picture.width, picture.height) == (result["width"], result["height"])
        assert (picture.width, picture.height) == (480, 854)
        assert len(film.streams.audio) == 1
        assert picture.average_rate is not None
        assert len(list(film.decode(picture))) == 2 * picture.average_rate
    assert result["duration"] == 2


async def test_two_videos_are_two_different_pictures(client: Client, browser: Client) -> None:
    job = await client.reached((await client.create(prompt="twins", n=2))["job_id"])
    first, second = job["result"]["data"]
    assert first["sha256"] != second["sha256"]


async def test_two_videos_are_two_files(client: Client, browser: Client) -> None:
    job = await client.reached((await client.create(prompt="twins", n=2))["job_id"])
    videos = job["result"]["data"]
    assert (job["n"], len(videos)) == (2, 2)
    assert job["result"]["url"] == videos[0]["url"]
    contents = [(await browser.get(video["url"])).body for video in videos]
    assert [hashlib.sha256(content).hexdigest() for content in contents] == [video["sha256"] for video in videos]
    assert videos[0]["url"] != videos[1]["url"]


async def test_the_same_request_is_drawn_the_same(client: Client, result: dict[str, Any]) -> None:
    again = (await client.reached((await client.create(prompt="a jetty", seed=None))["job_id"]))["result"]
    assert again["sha256"] == result["sha256"]


async def test_a_public_url_is_what_links_are_made_from(start: Start) -> None:
    public = start(RUSHES_PUBLIC_URL="https://video.example.com/rushes/")
    async with Client(public, public.key().text) as client:
        job = await client.reached((await client.create())["job_id"])
        url = job["result"]["url"]
        assert url.startswith("https://video.example.com/rushes/media/job_")
        local = public.url + url.removeprefix("https://video.example.com/rushes")
        assert (await client.get(local, plain=True)).status == 200


async def test_links_still_work_after_a_restart(start: Start) -> None:
    own = start()
    async with Client(own, own.key().text) as client:
        url = (await client.reached((await client.create())["job_id"]))["result"]["url"]
        assert own.stop() == 0
        own.start()
        assert (await client.get(url, plain=True)).status == 200


async def test_a_file_that_is_gone_is_410(start: Start) -> None:
    own = start()
    async with Client(own, own.key().text) as client:
        url = (await client.reached((await client.create())["job_id"]))["result"]["url"]
        for film in (own.data_dir / "storage" / "videos").rglob("*.mp4"):
            film.unlink()
        for method in ("GET", "HEAD"):
            answer = await client.call(method, url, plain=True)
            assert answer.status == 410
        (await client.get(url, plain=True)).problem(410)


async def test_the_log_holds_no_key_and_no_signature(
    service: Service, key: Key, browser: Client, result: dict[str, Any]
) -> None:
    signature = parse_qs(urlsplit(result["url"]).query)["signature"][0]
    assert (await browser.get(result["url"])).status == 200
    assert (await browser.get(result["url"] + "x")).status == 403
    answer = await browser.get("/api/v1/videos/jobs", params={"api_key": key.text})
    answer.problem(401)
    log = service.log_text()
    assert "/media/" in log
    for secret in (signature, key.text, key.text.rpartition("_")[2]):
        assert secret not in log


def refused(answer: Answer) -> dict[str, Any]:
    """The problem document of a link that opens nothing."""
    return answer.problem(403, 404)
