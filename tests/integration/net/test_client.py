from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from aiohttp import web
from yarl import URL

from rushes.errors import RefusedAddress
from rushes.net.client import HttpClient, OriginHeaders, Sink, TimeLimits
from tests.fixtures.upstreams.server import Recorded, listen, record

LOOPBACK = {Sink.INPUTS: ("127.0.0.1/32",)}


class Site:
    """Two servers on loopback, which redirect to wherever `?to=` says and note what they are shown."""

    def __init__(self) -> None:
        self.requests: list[Recorded] = []
        self.first = self.second = ""

    async def handle(self, request: web.Request) -> web.StreamResponse:
        self.requests.append(await record(request))
        if "to" in request.query:
            return web.Response(status=int(request.query.get("status", 302)), headers={"Location": request.query["to"]})
        return web.Response(text="here")

    def redirect(self, to: str, status: int = 302) -> str:
        return str(URL(f"{self.first}/").with_query(to=to, status=status))


@pytest.fixture
async def site() -> AsyncIterator[Site]:
    site = Site()
    first, site.first = await listen(site.handle)
    second, site.second = await listen(site.handle)
    yield site
    await first.cleanup()
    await second.cleanup()


@pytest.fixture
async def client() -> AsyncIterator[HttpClient]:
    client = HttpClient(allow=LOOPBACK)
    yield client
    await client.close()


async def test_a_redirect_is_followed(site: Site, client: HttpClient) -> None:
    async with client.open_guarded(site.redirect(f"{site.second}/x"), sink=Sink.INPUTS) as response:
        assert await response.text() == "here"


@pytest.mark.parametrize(
    "target",
    [
        "http://127.0.0.2/", "http://10.0.0.1/", "http://169.254.169.254/", "http://[::1]/", "http://2130706433/",
        "http://localhost:1/", "file:///etc/passwd", "ftp://example.com/", "http://u:p@example.com/", "http://[",
        "//10.0.0.1/", "http://example.com:22/",
    ],
)  # fmt: skip
async def test_a_redirect_is_checked_like_the_first_url(site: Site, client: HttpClient, target: str) -> None:
    with pytest.raises(RefusedAddress):
        async with client.open_guarded(site.redirect(target), sink=Sink.INPUTS):
            pass


async def test_what_one_sink_permits_another_does_not(site: Site, client: HttpClient) -> None:
    with pytest.raises(RefusedAddress):
        async with client.open_guarded(site.first, sink=Sink.WEBHOOKS):
            pass


async def test_after_so_many_redirects_the_redirect_is_the_response(site: Site, client: HttpClient) -> None:
    async with client.open_guarded(site.redirect("/?to=/?to=/"), sink=Sink.INPUTS, max_redirects=1) as response:
        assert response.status == 302


async def test_a_credential_stays_at_its_origin(site: Site, client: HttpClient) -> None:
    credential = OriginHeaders(URL(site.first), {"x-key": "secret"})
    async with client.open_guarded(site.redirect(f"{site.second}/x"), sink=Sink.INPUTS, credential=credential):
        pass
    assert ["x-key" in item.headers for item in site.requests] == [True, False]


async def test_a_credential_is_an_origins_also_on_the_way_back(site: Site, client: HttpClient) -> None:
    credential = OriginHeaders(URL(site.second), {"x-key": "secret"})
    async with client.open_guarded(site.redirect(f"{site.second}/x"), sink=Sink.INPUTS, credential=credential):
        pass
    assert ["x-key" in item.headers for item in site.requests] == [False, True]


@pytest.mark.parametrize("other", ["http://api.example.com", "https://api.example.com:8443", "https://example.com"])
def test_an_origin_is_scheme_host_and_port(other: str) -> None:
    credential = OriginHeaders(URL("https://api.example.com/v1"), {"x-key": "secret"})
    assert credential.headers_for(URL(other)) == {}
    assert credential.headers_for(URL("https://API.example.com:443/v2")) == {"x-key": "secret"}


def test_a_credential_does_not_show() -> None:
    assert "secret" not in repr(OriginHeaders(URL("https://api.example.com"), {"x-key": "secret"}))


async def test_a_post_is_repeated_as_a_get_without_its_body_after_303(site: Site, client: HttpClient) -> None:
    url = site.redirect("/done", 303)
    async with client.open_guarded(
        url, sink=Sink.INPUTS, method="POST", body=b"{}", headers={"Content-Type": "application/json", "X-Kept": "1"}
    ):
        pass
    last = site.requests[-1]
    assert (last.method, last.body, last.headers.get("Content-Type"), last.headers["X-Kept"]) == ("GET", b"", None, "1")


async def test_a_trusted_call_returns_a_redirect_as_it_is(site: Site, client: HttpClient) -> None:
    async with client.open_trusted(
        "GET", URL(site.redirect("/x")), headers={"x-key": "secret"}, limits=TimeLimits()
    ) as response:
        assert response.status == 302
    assert len(site.requests) == 1


async def test_cookies_are_not_kept(client: HttpClient) -> None:
    seen: list[bool] = []

    async def handle(request: web.Request) -> web.StreamResponse:
        seen.append("Cookie" in request.headers)
        response = web.Response()
        response.set_cookie("session", "1")
        return response

    runner, url = await listen(handle)
    for _ in range(2):
        async with client.open_trusted("GET", URL(url), headers={}, limits=TimeLimits()):
            pass
    await runner.cleanup()
    assert seen == [False, False]


async def test_a_proxy_from_the_environment_is_not_used(
    site: Site, client: HttpClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    async with client.open_guarded(site.first, sink=Sink.INPUTS) as response:
        assert response.status == 200


async def test_nothing_is_opened_before_the_first_call() -> None:
    client = HttpClient()
    await client.close()
