"""Bodies and parameters as clients in the field write them, and what is refused at once with a clear reason."""

from __future__ import annotations

import io
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio

from tests.fixtures.fronts import API, QUICK, Front, running_front
from tests.fixtures.media import image

GENERATIONS = f"{API}/videos/generations"
QUOTE = f"{API}/videos/quote"
BOUNDARY = "line"


pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def front(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Front]:
    async with running_front(tmp_path_factory.mktemp("front")) as front:
        yield front


def form(*parts: tuple[str, bytes]) -> dict[str, Any]:
    """A form whose parts have these headers, as `ask` takes it."""
    body = b"".join(
        f"--{BOUNDARY}\r\nContent-Disposition: form-data; {head}\r\n\r\n".encode() + content + b"\r\n"
        for head, content in parts
    )
    headers = {"Content-Type": f"multipart/form-data; boundary={BOUNDARY}"}
    return {"data": body + f"--{BOUNDARY}--\r\n".encode(), "headers": headers}


TEXTS = (('name="prompt"', b"A dog"), ('name="model"', b"animatic/storyboard"))


@pytest.mark.parametrize("spelled", ["4.0", "4e0", "0.4E1", "4"])
async def test_a_whole_number_is_an_integer_on_every_route(front: Front, spelled: str) -> None:
    body = json.dumps({**QUICK, "duration": "@"}).replace('"@"', spelled)
    headers = {"Content-Type": "application/json"}
    assert (await front.ask("POST", QUOTE, data=body, headers=headers)).json["duration"] == 4
    assert (await front.ask("POST", GENERATIONS, data=body, headers=headers)).status == 200
    body = json.dumps({"model": "animatic/storyboard", "prompt": "A dog", "seconds": "@"}).replace('"@"', spelled)
    assert (await front.ask("POST", "/v1/videos", data=body, headers=headers)).json["seconds"] == "4"
    body = f'{{"expires_in_s": {spelled}}}'
    assert (await front.ask("POST", f"{API}/user/api-keys", data=body, headers=headers)).status == 201


async def test_a_number_that_is_not_whole_is_refused(front: Front) -> None:
    for path in (GENERATIONS, QUOTE):
        assert (await front.ask("POST", path, json={**QUICK, "duration": 1.5})).status == 422
    answer = await front.ask("POST", "/v1/videos", json={"prompt": "A dog", "seconds": 1.5})
    assert (answer.status, answer.json["error"]["param"]) == (400, "seconds")


@pytest.mark.parametrize("path", [GENERATIONS, QUOTE, "/v1/videos"])
async def test_a_byte_order_mark_is_read_past(front: Front, path: str) -> None:
    body = b"\xef\xbb\xbf" + json.dumps({"prompt": "A dog", "model": "animatic/storyboard"}).encode()
    answer = await front.ask("POST", path, data=body, headers={"Content-Type": "application/json"})
    assert answer.status == 200


@pytest.mark.parametrize("encoding", ["gzip", "br", "deflate", "zstd", "gzip, gzip"])
@pytest.mark.parametrize(
    "path", [GENERATIONS, QUOTE, f"{API}/uploads", f"{API}/webhooks", f"{API}/auth/token", "/v1/videos"]
)
async def test_an_encoded_body_is_415_with_what_is_taken(front: Front, path: str, encoding: str) -> None:
    content_type = "application/x-www-form-urlencoded" if path.endswith("token") else "application/json"
    content_type = "image/png" if path.endswith("uploads") else content_type
    head = (
        f"POST {path} HTTP/1.1\r\nHost: h\r\nAuthorization: Bearer {front.key}\r\nContent-Encoding: {encoding}\r\n"
        f"Content-Type: {content_type}\r\nContent-Length: 2\r\n\r\n"
    )
    answer = await front.raw(head.encode(), b"{}")
    assert (answer.status, answer.headers["accept-encoding"]) == (415, "identity")


async def test_identity_is_no_encoding(front: Front) -> None:
    answer = await front.ask("POST", GENERATIONS, json=QUICK, headers={"Content-Encoding": "identity"})
    assert answer.status == 200


@pytest.mark.parametrize("zone", ["+02:00", "%2B02:00", " 02:00", "Z", "+0200"])
@pytest.mark.parametrize("path", [f"{API}/videos/jobs", f"{API}/user/transactions"])
async def test_a_time_is_read_with_a_bare_plus(front: Front, path: str, zone: str) -> None:
    for name in ("created_after", "created_before"):
        moment = f"2026-04-07T12:00:00{zone}".replace(" ", "%20")
        head = f"GET {path}?{name}={moment} HTTP/1.1\r\nHost: h\r\nAuthorization: Bearer {front.key}\r\n\r\n"
        answer = await front.raw(head.encode())
        assert answer.status == 200, answer.body


PNG = image(size=(640, 360))


@pytest.mark.parametrize(
    "head",
    [
        'name="input_reference"; filename="a.png"',
        "name=\"input_reference\"; filename*=UTF-8''a.png",
        'name="input_reference"\r\nContent-Type: image/png',
        'name="input_reference"; filename=""\r\nContent-Type: image/png',
    ],
)
async def test_a_media_part_is_a_file_however_it_is_named(front: Front, head: str) -> None:
    answer = await front.ask("POST", "/v1/videos", **form(*TEXTS, (head, PNG)))
    assert answer.status == 200, answer.body
    job = (await front.ask("GET", f"{API}/videos/jobs/{answer.json['id']}")).json
    assert [one["content_type"] for one in job["request"]["media"]] == ["image/png"]


async def test_a_file_that_was_not_chosen_is_not_given(front: Front) -> None:
    empty = ('name="input_reference"; filename=""\r\nContent-Type: application/octet-stream', b"")
    answer = await front.ask("POST", "/v1/videos", **form(*TEXTS, empty))
    assert answer.status == 200, answer.body
    upload = await front.ask("POST", f"{API}/uploads", **form(('name="file"; filename=""', b"")))
    assert upload.status == 422
    assert "no file" in upload.json["detail"]


async def test_an_upload_needs_no_file_name(front: Front) -> None:
    answer = await front.ask("POST", f"{API}/uploads", **form(('name="image"\r\nContent-Type: image/png', PNG)))
    assert (answer.status, answer.json["width"]) == (200, 640)


@pytest.mark.parametrize(
    "wrapped",
    [
        lambda url: {"type": "image_url", "image_url": url},
        lambda url: {"image_url": {"url": url}},
        lambda url: {"type": "image_url", "image_url": {"url": url, "detail": "auto"}},
        lambda url: {"url": url},
    ],
)
async def test_references_are_taken_in_every_shape_that_clients_send(front: Front, wrapped: Any) -> None:
    upload = (await front.ask("POST", f"{API}/uploads", data=PNG, headers={"Content-Type": "image/png"})).json
    body = {"prompt": "A dog", "model": "animatic/storyboard", "input_reference": wrapped(upload["reference"])}
    assert (await front.ask("POST", "/v1/videos", json=body)).status == 200
    parts = [*TEXTS]
    for name, value in body["input_reference"].items():
        inner = value.items() if isinstance(value, dict) else [(None, value)]
        parts += [
            (f'name="input_reference[{name}]{"" if sub is None else f"[{sub}]"}"', text.encode()) for sub, text in inner
        ]
    assert (await front.ask("POST", "/v1/videos", **form(*parts))).status == 200


@pytest.mark.parametrize("header", ["X-API-Key", "api-key", "x-goog-api-key"])
async def test_a_key_in_another_header_is_named_and_not_shown(front: Front, header: str) -> None:
    for path in (f"{API}/models", "/v1/videos"):
        answer = await front.ask("GET", path, key="", headers={header: front.key})
        assert answer.status == 401
        assert header in answer.body.decode()
        assert front.key not in answer.body.decode()


async def test_an_authorization_that_is_no_bearer_key_is_said(front: Front) -> None:
    for value in (front.key, f"Basic {front.key}", "Bearer", "Token abc"):
        answer = await front.ask("GET", f"{API}/models", key="", headers={"Authorization": value})
        assert answer.status == 401
        assert "no bearer key" in answer.json["detail"]
        assert front.key not in answer.body.decode()


async def test_a_far_name_gets_no_suggestion(front: Front) -> None:
    far = await front.ask("POST", GENERATIONS, json={**QUICK, "stream": True})
    assert (far.status, far.json["suggestions"]) == (400, [])
    near = await front.ask("POST", GENERATIONS, json={**QUICK, "promt": "x"})
    assert near.json["suggestions"] == ["prompt"]


@pytest.mark.parametrize("order", ["asc", "desc"])
async def test_a_list_goes_on_from_where_a_deleted_video_stood(front: Front, order: str) -> None:
    key = await front.new_account(f"lister-{order}")
    ids = [await front.new_job(key=key) for _ in range(7)]
    seen: list[str] = []
    after = ""
    while True:
        page = (await front.ask("GET", f"/v1/videos?limit=3&order={order}{after}", key=key)).json
        for video in page["data"]:
            assert (await front.ask("DELETE", f"/v1/videos/{video['id']}", key=key)).status == 200
            seen.append(video["id"])
        if not page["has_more"]:
            break
        after = f"&after={page['last_id']}"
    assert sorted(seen) == sorted(ids)


async def test_a_list_does_not_go_on_from_another_accounts_deleted_video(front: Front) -> None:
    job_id = await front.new_job()
    await front.ask("DELETE", f"/v1/videos/{job_id}")
    other = await front.new_account("other")
    for unknown in (job_id, "job_none"):
        answer = await front.ask("GET", f"/v1/videos?after={unknown}", key=other)
        assert (answer.status, answer.json["error"]["param"]) == (400, "after")


async def test_whole_numbers_are_integers_in_answers(front: Front) -> None:
    made = await front.ask("POST", GENERATIONS, json={**QUICK, "model": "animatic/storyboard"})
    assert b".0," not in made.body
    assert b".0}" not in made.body
    quote = await front.ask("POST", QUOTE, json=QUICK)
    assert b".0," not in quote.body


async def test_errors_of_a_huge_body_are_few_and_short(front: Front) -> None:
    many = ["x" * 10] * 100_000
    bodies: list[dict[str, Any]] = [
        {**QUICK, "webhook_url": "https://example.com", "webhook_events": many},
        {**QUICK, "fallback_models": many},
        {**QUICK, "reference_images": [7] * 100_000},
        {**QUICK, "additional_params": {"x" * 1_000_000: 1}},
        {"x" * 5_000_000: 1},
        {**QUICK, "model": "x" * 5_000_000},
        {**QUICK, "aspect_ratio": "x" * 5_000_000},
    ]
    for body in bodies:
        text = io.BytesIO(json.dumps(body).encode())
        answer = await front.ask("POST", QUOTE, data=text, headers={"Content-Type": "application/json"})
        assert 400 <= answer.status < 500
        assert len(answer.body) < 20_000, answer.body[:300]


async def test_a_request_that_would_be_stored_too_large_is_refused(front: Front) -> None:
    answer = await front.ask("POST", GENERATIONS, json={**QUICK, "additional_params": {"x": "y" * 70_000}})
    assert (answer.status, answer.json["errors"][0]["field"]) == (422, "additional_params")
