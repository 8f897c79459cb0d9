"""Addresses as clients write them: HEAD, a slash at the end, an offer to upgrade, a path that a proxy takes away."""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from tests.fixtures.fronts import API, QUICK, Front, running_front

PUBLIC_PATHS = ("/", "/healthz", "/readyz", "/metrics", "/docs", "/openapi.json", "/docs-files/swagger-ui.css")
OFFER = b"Connection: Upgrade, HTTP2-Settings\r\nHTTP2-Settings: AAMAAABkAAQAoAAAAAIAAAAA\r\nUpgrade: h2c\r\n"


pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def front(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Front]:
    async with running_front(tmp_path_factory.mktemp("front")) as front:
        yield front


def filled(path: str, job_id: str) -> str:
    """The path of the document with something in the place of each parameter."""
    names = {"job_id": job_id, "video_id": job_id, "index": "0", "provider": "animatic", "model_id": "storyboard"}
    for name, value in {**names, "model": "animatic/storyboard"}.items():
        path = path.replace(f"{{{name}}}", value)
    return path.replace("{", "").replace("}", "")


async def documented(front: Front, *methods: str) -> list[tuple[str, str, dict[str, Any]]]:
    """Each documented operation with one of these methods."""
    document = (await front.ask("GET", "/openapi.json")).json
    return [
        (method.upper(), path, operation)
        for path, operations in document["paths"].items()
        for method, operation in operations.items()
        if method.upper() in methods
    ]


async def test_head_is_answered_wherever_get_is(front: Front) -> None:
    job_id = await front.new_job()
    paths = [filled(path, job_id) for _, path, _ in await documented(front, "GET")]
    assert len(paths) > 30
    for path in [*PUBLIC_PATHS, *paths]:
        if path.endswith("/events"):
            continue
        got, headed = await front.ask("GET", path), await front.ask("HEAD", path)
        assert headed.status == got.status, path
        assert headed.body == b""
        assert headed.headers.get("Content-Type") == got.headers.get("Content-Type"), path


async def test_head_of_a_stream_of_events_ends_at_once(front: Front) -> None:
    job_id = await front.new_job()
    answer = await front.ask("HEAD", f"{API}/videos/jobs/{job_id}/events")
    assert answer.status == 200
    assert answer.headers["Content-Type"].startswith("text/event-stream")


async def test_head_leaves_the_connection_usable(front: Front) -> None:
    for _ in range(3):
        assert (await front.ask("HEAD", "/openapi.json")).status == 200
        assert (await front.ask("GET", "/")).json["name"] == "rushes"


async def test_a_wrong_method_names_head_where_get_is(front: Front) -> None:
    answer = await front.ask("DELETE", f"{API}/models")
    assert answer.status == 405
    assert answer.headers["Allow"] == "GET, HEAD"


async def test_a_slash_at_the_end_is_served_without_a_redirect(front: Front) -> None:
    job_id = await front.new_job()
    for _, template, _ in await documented(front, "GET"):
        path = filled(template, job_id)
        if path == "/" or path.endswith("/events"):
            continue
        plain, slashed = await front.ask("GET", path), await front.ask("GET", f"{path}/")
        assert slashed.status == plain.status, path
        assert "Location" not in slashed.headers
    answer = await front.ask("POST", f"{API}/videos/generations/", json=QUICK)
    assert answer.status == 200
    assert (await front.ask("POST", f"{API}/videos/jobs/{job_id}/cancel//")).status == 200


async def test_nothing_redirects_to_another_scheme(front: Front) -> None:
    for path in ("/docs/", "/docs-files", "/docs-files/", "/api/v1", "/api/v1/", "/v1/", "//example.com/", "/media/"):
        answer = await front.ask("GET", path)
        assert "Location" not in answer.headers, path
        assert answer.status in (200, 404), path


async def test_an_offer_to_upgrade_changes_no_answer_of_any_route_with_a_body(front: Front) -> None:
    job_id = await front.new_job()
    operations = await documented(front, "POST", "PUT", "PATCH")
    assert len(operations) > 20
    for method, template, operation in operations:
        path = filled(template, job_id)
        types = operation.get("requestBody", {}).get("content", {"application/json": {}})
        content_type = "application/json" if "application/json" in types else next(iter(types)).replace("*", "png")
        body = json.dumps({"not_a_field": 1}).encode()
        head = (
            f"{method} {path} HTTP/1.1\r\nHost: h\r\nAuthorization: Bearer {front.key}\r\n"
            f"Content-Type: {content_type}\r\nContent-Length: {len(body)}\r\n"
        ).encode()
        plain = await front.raw(head + b"\r\n", body)
        offered = await front.raw(head + OFFER + b"\r\n", body)
        assert offered.status == plain.status, path
        if plain.status >= 400:
            assert _without_id(offered.json) == _without_id(plain.json), path


async def test_a_generation_by_a_client_that_offers_an_upgrade_is_accepted(front: Front) -> None:
    body = json.dumps(QUICK).encode()
    head = (
        f"POST {API}/videos/generations HTTP/1.1\r\nHost: h\r\nAuthorization: Bearer {front.key}\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n"
    ).encode()
    answer = await front.raw(head + OFFER + b"\r\n", body)
    assert (answer.status, answer.json["status"]) == (200, "pending")


async def test_links_and_documents_carry_the_path_that_a_proxy_takes_away(tmp_path: Path) -> None:
    async with running_front(tmp_path, public_url="https://example.com/video/") as front:
        assert (await front.ask("GET", "/")).json["docs"] == "/video/docs"
        made = await front.ask("POST", f"{API}/videos/generations", json=QUICK)
        status_url = f"/video{API}/videos/jobs/{made.json['job_id']}"
        assert made.headers["Location"] == made.json["data"]["status_url"] == status_url
        webhook = await front.ask("POST", f"{API}/webhooks", json={"url": "https://example.org/hook"})
        assert webhook.headers["Location"] == f"/video{API}/webhooks/{webhook.json['id']}"
        assert (await front.ask("GET", "/openapi.json")).json["servers"] == [{"url": "/video"}]
        page = (await front.ask("GET", "/docs")).body.decode()
        assert "'/video/openapi.json'" in page
        assert 'src="/video/docs-files/' in page
        console = await front.ask("GET", "/console", key="")
        assert console.headers["Location"] == "/video/console/sign-in"
        sign_in = await front.ask("GET", "/console/sign-in", key="")
        addresses = re.findall(r"""(?:href|src|action)="(/[^"]*)""", sign_in.body.decode())
        assert len(addresses) > 3
        assert all(address.startswith("/video/console/") for address in addresses)
        assert "Path=/video/console;" in sign_in.headers["Set-Cookie"]
        static = next(address for address in addresses if address.endswith(".css"))
        assert (await front.ask("GET", static.removeprefix("/video"))).status == 200


async def test_without_a_path_in_the_public_url_nothing_is_put_before(front: Front) -> None:
    assert (await front.ask("GET", "/")).json["docs"] == "/docs"
    assert "servers" not in (await front.ask("GET", "/openapi.json")).json
    made = await front.ask("POST", f"{API}/videos/generations", json=QUICK)
    assert made.headers["Location"] == f"{API}/videos/jobs/{made.json['job_id']}"


@pytest.mark.parametrize(("public_url", "secure"), [("https://example.com", True), (None, False)])
async def test_the_token_cookie_is_secure_where_callers_use_tls(
    tmp_path: Path, public_url: str | None, secure: bool
) -> None:
    async with running_front(tmp_path, public_url=public_url) as front:
        answer = await front.ask("POST", f"{API}/auth/api-key", headers={"X-API-Key": front.key})
        assert ("Secure" in answer.headers["Set-Cookie"]) is secure


async def test_the_document_is_not_sent_again_to_a_client_that_has_it(front: Front) -> None:
    first = await front.ask("GET", "/openapi.json")
    again = await front.ask("GET", "/openapi.json", headers={"If-None-Match": first.headers["ETag"]})
    assert (again.status, again.body) == (304, b"")


async def test_every_answer_tells_browsers_to_be_strict(front: Front) -> None:
    for path in (*PUBLIC_PATHS, "/nothing", f"{API}/models", "/v1/videos", "/v1/nothing"):
        headers = (await front.ask("GET", path)).headers
        assert headers["X-Content-Type-Options"] == "nosniff", path
        assert headers["Referrer-Policy"] == "no-referrer"
        assert "frame-ancestors 'none'" in headers["Content-Security-Policy"]
        assert "unsafe-inline" not in headers["Content-Security-Policy"].partition("script-src")[2].partition(";")[0]


def _without_id(problem: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in problem.items() if name != "request_id"}
