from __future__ import annotations

import pytest
from aiohttp import web

from rushes.client import (
    AsyncClient,
    BadRequest,
    ClientError,
    Conflict,
    LimitReached,
    NotAllowed,
    NotFound,
    Refused,
    ServiceUnavailable,
    UnexpectedAnswer,
    Unreachable,
)
from rushes.client import http as http_module
from rushes.client.http import LONGEST_BACKOFF_S, backoff_s, service_url
from tests.integration.client.conftest import Scripted, cuts, says


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http_module, "backoff_s", lambda attempt, error: 0.001)


PROBLEM = {"detail": "What happened", "code": "some_code", "request_id": "req_1", "suggestions": ["near"]}


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, BadRequest),
        (401, NotAllowed),
        (402, LimitReached),
        (403, NotAllowed),
        (404, NotFound),
        (405, BadRequest),
        (409, Conflict),
        (410, NotFound),
        (413, BadRequest),
        (415, BadRequest),
        (422, BadRequest),
        (429, LimitReached),
        (500, ServiceUnavailable),
        (502, ServiceUnavailable),
    ],
)
async def test_a_problem_becomes_the_error_of_its_status(server: Scripted, status: int, kind: type[Refused]) -> None:
    server.script = [says(PROBLEM, status, {"Retry-After": "7"})]
    async with AsyncClient(base_url=server.url, api_key="key") as client:
        with pytest.raises(kind) as caught:
            await client.state("job_1")
    error = caught.value
    assert (error.status, error.code, error.detail) == (status, "some_code", "What happened")
    assert (error.request_id, error.suggestions, error.retry_after_s) == ("req_1", ("near",), 7)


async def test_the_key_is_sent_as_bearer_and_shown_nowhere(server: Scripted) -> None:
    server.script = [says(PROBLEM, 401)]
    async with AsyncClient(base_url=server.url, api_key="secret-key") as client:
        with pytest.raises(NotAllowed) as caught:
            await client.state("job_1")
        assert "secret-key" not in repr(client) + repr(caught.value)
    assert server.requests[0].headers["Authorization"] == "Bearer secret-key"


async def test_a_get_is_tried_again_after_a_cut_and_a_503(server: Scripted) -> None:
    server.script = [cuts, says(PROBLEM, 503, {"Retry-After": "0"}), says([])]
    async with AsyncClient(base_url=server.url, api_key="key") as client:
        models = await client.models()
    assert models == ()
    assert len(server.requests) == 3


async def test_a_500_is_not_asked_for_again(server: Scripted) -> None:
    server.script = [says(PROBLEM, 500)]
    async with AsyncClient(base_url=server.url, api_key="key") as client:
        with pytest.raises(ServiceUnavailable):
            await client.models()
    assert len(server.requests) == 1


async def test_nobody_there_is_unreachable() -> None:
    async with AsyncClient(base_url="http://127.0.0.1:9", api_key="key") as client:
        with pytest.raises(Unreachable, match=r"127\.0\.0\.1:9: the connection was refused"):
            await client.cancel_job("job_1")


@pytest.mark.parametrize("body", ["<html>", "[]", '{"jobs": [{}]}', '{"jobs": 3}', '"text"'])
async def test_what_is_not_a_rushes_answer_is_named_as_such(server: Scripted, body: str) -> None:
    async def answer(request: web.Request) -> web.StreamResponse:
        return web.Response(text=body)

    server.script = [answer]
    async with AsyncClient(base_url=server.url, api_key="key") as client:
        with pytest.raises(UnexpectedAnswer):
            await client.page()


async def test_an_error_page_of_a_proxy_is_told_by_its_status(server: Scripted) -> None:
    async def answer(request: web.Request) -> web.StreamResponse:
        return web.Response(status=502, text="<html>Bad gateway</html>")

    server.script = [answer]
    async with AsyncClient(base_url=server.url, api_key="key") as client:
        with pytest.raises(ServiceUnavailable, match="answered 502"):
            await client.page()


async def test_a_redirect_is_not_followed_with_the_key(server: Scripted) -> None:
    server.script = [says({}, 307, {"Location": "http://elsewhere.example/"})]
    async with AsyncClient(base_url=server.url, api_key="key") as client:
        with pytest.raises(UnexpectedAnswer, match=r"elsewhere\.example"):
            await client.page()
    assert len(server.requests) == 1


async def test_an_id_cannot_reach_another_path(server: Scripted) -> None:
    server.script = [says(PROBLEM, 404)]
    async with AsyncClient(base_url=server.url, api_key="key") as client:
        with pytest.raises(ClientError):
            await client.cancel_job("../../keys?x=1#")
    assert server.requests[0].rel_url.raw_path == "/api/v1/videos/jobs/..%2F..%2Fkeys%3Fx%3D1%23/cancel"


@pytest.mark.parametrize("text", ["http://host", "http://host/", "http://host/api/v1", "http://host/api/v1/"])
def test_the_address_is_taken_with_or_without_the_api_path(text: str) -> None:
    assert service_url(text) == "http://host"


@pytest.mark.parametrize("text", ["", "host:8080", "ftp://host", "http://", "http://user:pw@host", "http://host/?a=1"])
def test_what_cannot_be_an_address_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is not the address of a service"):
        service_url(text)


def test_backoff_grows_to_its_limit_and_stays_there() -> None:
    assert backoff_s(0) < 0.3
    assert backoff_s(10**6) <= LONGEST_BACKOFF_S * 1.25
