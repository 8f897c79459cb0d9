from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest
from aiohttp import web

from rushes.errors import OutputInvalid, OutputLost, ProviderUnavailable, StartupError, UnexpectedResponse
from rushes.net.client import HttpClient, Sink, TimeLimits
from rushes.providers.failure import Raw
from rushes.providers.http import CallLimits, Origin
from tests.fixtures.upstreams.server import Handler, Recorded, broken_off, listen, never, record

SHORT = TimeLimits(connect_s=5, read_s=0.2, total_s=5)
KEY = {"x-key": "secret"}

Serve = Callable[[Handler], Awaitable[Origin]]


@pytest.fixture
async def serve() -> AsyncIterator[Serve]:
    """An origin whose server answers with a handler."""
    client = HttpClient(allow={Sink.RESULTS: ("127.0.0.1/32",)})
    runners: list[web.AppRunner] = []

    async def start(handler: Handler) -> Origin:
        runner, url = await listen(handler)
        runners.append(runner)
        return Origin(client, f"{url}/base/", provider="Studio", limits=CallLimits(SHORT, SHORT, SHORT))

    yield start
    await client.close()
    for runner in runners:
        await runner.cleanup()


def answering(text: str, status: int = 200, **headers: str) -> Handler:
    async def handle(request: web.Request) -> web.StreamResponse:
        await request.read()
        return web.Response(text=text, status=status, headers=headers)

    return handle


async def downloaded(origin: Origin, path: str = "/film", limit_bytes: int = 1_000_000) -> bytes:
    chunks = origin.download(origin.url(path), headers=KEY, limit_bytes=limit_bytes)
    return b"".join([chunk async for chunk in chunks])


async def test_paths_are_below_the_base_url(serve: Serve) -> None:
    seen: list[Recorded] = []

    async def handle(request: web.Request) -> web.StreamResponse:
        seen.append(await record(request))
        return web.json_response({})

    origin = await serve(handle)
    await origin.call("GET", "/jobs/a%2Fb?x=1", headers=KEY)
    assert (seen[0].path, seen[0].query, seen[0].headers["x-key"]) == ("/base/jobs/a/b", {"x": "1"}, "secret")


@pytest.mark.parametrize("base_url", ["", "/x", "example.com", "http://"])
def test_a_base_url_that_is_none_is_a_startup_error(base_url: str) -> None:
    with pytest.raises(StartupError):
        Origin(HttpClient(), base_url, provider="Studio")


async def test_a_reply_of_any_status_is_returned_with_the_time_to_wait(serve: Serve) -> None:
    origin = await serve(answering('{"error": "busy"}', 503, **{"Retry-After": "9"}))
    reply = await origin.call("GET", "/x", headers=KEY)
    assert (reply.status, reply.body, reply.retry_after_s, reply.is_success) == (503, {"error": "busy"}, 9.0, False)


@pytest.mark.parametrize("text", ["", "<html>", '{"a": ', "\x00", "[" * 100_000, '{"a": NaN}'])
async def test_what_is_not_json_is_raw(serve: Serve, text: str) -> None:
    origin = await serve(answering(text))
    assert isinstance((await origin.call("GET", "/x", headers=KEY)).body, Raw)


async def test_a_reply_is_bounded(serve: Serve) -> None:
    origin = await serve(answering("[" + "1," * 1_000_000 + "1]"))
    with pytest.raises(UnexpectedResponse):
        await origin.call("GET", "/x", headers=KEY)


@pytest.mark.parametrize("handler", ["silent", "broken"])
async def test_no_reply_to_a_poll_is_worth_another_try(serve: Serve, handler: str) -> None:
    async def handle(request: web.Request) -> web.StreamResponse:
        return await never() if handler == "silent" else broken_off(request)

    origin = await serve(handle)
    with pytest.raises(ProviderUnavailable):
        await origin.call("GET", "/x", headers=KEY)


async def test_a_reply_that_is_not_http_does_not_show_the_key() -> None:
    async def speak(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"SSH-2.0-OpenSSH_9.6\r\n\r\n")
        writer.close()

    server = await asyncio.start_server(speak, "127.0.0.1", 0)
    client = HttpClient()
    origin = Origin(client, f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", provider="Studio")
    with pytest.raises(ProviderUnavailable) as caught:
        await origin.submit("/x", headers=KEY, document={})
    with pytest.raises(UnexpectedResponse) as polled:
        await origin.call("GET", "/x", headers=KEY)
    await client.close()
    server.close()
    assert caught.value.accepted is None
    assert caught.value.__cause__ is None
    assert polled.value.__cause__ is None


async def test_a_host_that_does_not_exist_was_surely_not_reached() -> None:
    client = HttpClient()
    origin = Origin(client, "http://studio.invalid", provider="Studio")
    with pytest.raises(ProviderUnavailable) as caught:
        await origin.submit("/x", headers=KEY, document={})
    await client.close()
    assert caught.value.accepted is False


async def test_a_submit_is_sent_once_whatever_happens(serve: Serve) -> None:
    seen = 0

    async def handle(request: web.Request) -> web.StreamResponse:
        nonlocal seen
        seen += 1
        await request.read()
        return broken_off(request)

    origin = await serve(handle)
    with pytest.raises(ProviderUnavailable):
        await origin.submit("/x", headers=KEY, document={"a": 1})
    assert seen == 1


async def test_a_redirect_to_the_same_origin_keeps_the_key_and_to_another_does_not(serve: Serve) -> None:
    shown: list[tuple[str, bool]] = []
    elsewhere = ""

    async def handle(request: web.Request) -> web.StreamResponse:
        shown.append((request.path, "x-key" in request.headers))
        targets = {"/base/film": "/moved", "/moved": elsewhere}
        if request.path in targets:
            raise web.HTTPFound(targets[request.path])
        return web.Response(body=b"film", content_type="video/mp4")

    origin = await serve(handle)
    elsewhere = str((await serve(handle)).url("/cdn"))
    assert await downloaded(origin) == b"film"
    assert shown == [("/base/film", True), ("/moved", True), ("/base/cdn", False)]


@pytest.mark.parametrize(
    "target", ["http://10.0.0.1/", "http://169.254.169.254/", "http://127.1/", "file:///x", "http://["]
)
async def test_a_redirect_inside_is_not_followed(serve: Serve, target: str) -> None:
    origin = await serve(answering("", 302, Location=target))
    with pytest.raises(ProviderUnavailable):
        await downloaded(origin)


@pytest.mark.parametrize(
    ("status", "error"),
    [(404, OutputLost), (410, OutputLost), (403, ProviderUnavailable), (401, ProviderUnavailable),
     (429, ProviderUnavailable), (500, ProviderUnavailable), (204, ProviderUnavailable), (206, ProviderUnavailable)],
)  # fmt: skip
async def test_only_what_is_gone_is_lost(serve: Serve, status: int, error: type[Exception]) -> None:
    origin = await serve(answering("", status))
    with pytest.raises(error):
        await downloaded(origin)


@pytest.mark.parametrize("announced", [True, False])
async def test_a_result_past_the_limit_is_refused(serve: Serve, announced: bool) -> None:
    async def handle(request: web.Request) -> web.StreamResponse:
        if announced:
            return web.Response(body=bytes(2_000_000), content_type="video/mp4")
        response = web.StreamResponse()
        await response.prepare(request)
        for _ in range(2000):
            await response.write(bytes(1000))
        return response

    origin = await serve(handle)
    with pytest.raises(OutputInvalid, match="1000000 bytes"):
        await downloaded(origin)


async def test_a_result_may_be_exactly_as_large_as_the_limit(serve: Serve) -> None:
    async def handle(request: web.Request) -> web.StreamResponse:
        return web.Response(body=bytes(1_000_000), content_type="application/octet-stream")

    assert len(await downloaded(await serve(handle))) == 1_000_000


async def test_a_call_may_have_a_body(serve: Serve) -> None:
    seen: list[Recorded] = []

    async def handle(request: web.Request) -> web.StreamResponse:
        seen.append(await record(request))
        return web.json_response({})

    origin = await serve(handle)
    await origin.call("POST", "/token", headers={"Content-Type": "text/plain"}, body=b"x=1")
    assert (seen[0].method, seen[0].body, seen[0].headers["Content-Type"]) == ("POST", b"x=1", "text/plain")


async def test_only_what_a_sieve_keeps_counts_for_the_limit(serve: Serve) -> None:
    origin = await serve(answering("{}" + " " * 100_000))
    reply = await origin.call("GET", "/", headers=KEY, limit_bytes=10, sieve=bytes.strip)
    assert reply.body == {}


async def streamed(origin: Origin, limit_bytes: int = 1_000_000) -> bytes:
    chunks = origin.stream("POST", "/job", headers=KEY, body=b"{}", limit_bytes=limit_bytes)
    return b"".join([chunk async for chunk in chunks])


async def test_a_reply_with_a_video_in_it_may_be_json(serve: Serve) -> None:
    async def handle(request: web.Request) -> web.StreamResponse:
        await request.read()
        return web.json_response({"x": 1})

    assert await streamed(await serve(handle)) == b'{"x": 1}'


@pytest.mark.parametrize(
    ("status", "error"), [(404, OutputLost), (410, OutputLost), (403, ProviderUnavailable), (302, ProviderUnavailable)]
)
async def test_a_reply_that_does_not_come_has_the_errors_of_a_download(
    serve: Serve, status: int, error: type[Exception]
) -> None:
    with pytest.raises(error):
        await streamed(await serve(answering("no", status=status)))


async def test_a_reply_without_end_is_given_up(serve: Serve) -> None:
    with pytest.raises(OutputInvalid):
        await streamed(await serve(answering("x" * 1000)), limit_bytes=999)
