"""Bad input: each gets its own clear problem, nothing is stored, and the service is none the worse."""

from __future__ import annotations

import asyncio
import io
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest

from tests.fixtures.service import Answer, Client, Service
from tests.fixtures.time_limits import GENEROUS_S

GENERATIONS = "/api/v1/videos/generations"
MEBIBYTE = b" " * 1024**2


@pytest.fixture(scope="module")
def unchanging_account(held: Service) -> str:
    """The key of an account that never gets a job."""
    return held.key(account="unchanging").text


@pytest.fixture
async def client(held: Service, unchanging_account: str) -> AsyncIterator[Client]:
    async with Client(held, unchanging_account) as opened:
        before = await opened.jobs()
        yield opened
        assert await opened.jobs() == before


def forbidden_words_are_absent(problem: dict[str, Any]) -> None:
    """The published client takes a 400 with these words for something else."""
    if problem["status"] == 400:
        assert "validation" not in problem["detail"].lower()
        assert "invalid format" not in problem["detail"].lower()


def each(field: str, status: int, *values: object) -> list[tuple[dict[str, Any], int, str]]:
    """One row of the table for each value of a field."""
    return [({"prompt": "x", field: value}, status, field) for value in values]


WRONG_FIELDS: list[tuple[dict[str, Any], int, str]] = [
    ({}, 422, "prompt"),
    ({"model": "animatic/storyboard"}, 422, "prompt"),
    ({"prompt": None}, 422, "prompt"),
    ({"prompt": ""}, 422, "prompt"),
    ({"prompt": " \n\t\u00a0\u3000"}, 422, "prompt"),
    ({"prompt": "x" * 50_000}, 422, "prompt"),
    ({"prompt": "x" * 10_000}, 400, "prompt"),
    ({"prompt": "x", "negative_prompt": "x" * 50_000}, 422, "negative_prompt"),
    *each("prompt", 422, 1, 1.5, True, ["x"], {"text": "x"}),
    *each("model", 422, 1, False, ["veo"], {}, ""),
    *each("provider", 422, 1, False, ["google"], {}, ""),
    *each("aspect_ratio", 422, 1.78, True, [16, 9], {}),
    *each("aspect_ratio", 400, "", "16/9", "21:9", "16:9 "),
    *each("model", 422, "x" * 30_000),
    *each("resolution", 422, 720, True, ["720p"], {}),
    *each("resolution", 400, "", "721p", "720P", "8k"),
    *each("size", 422, 1280, [1280, 720], "", "big", "1280*720", "0x0"),
    *each("size", 400, "1300x720", "99999x1", "3x3"),
    ({"prompt": "x", "size": "1280x720", "aspect_ratio": "9:16"}, 400, "size"),
    *each("duration", 422, "8", 8.5, True, [8], {}, 0, -4),
    *each("duration", 400, 5, 7, 61, 2**31, 2**63, 10**30),
    *each("n", 422, "1", 1.5, True, [1], {}, 0, -1, 11, 1000, 10**30),
    ({"prompt": "x", "n": 5}, 400, "n"),
    *each("response_format", 422, "", "URL", "bytes", 1, []),
    *each("seed", 422, "7", 7.5, True, [], -1, 2**32, 10**30),
    *each("negative_prompt", 422, 1, True, ["rain"], {}),
    *each("generate_audio", 422, "true", 1, 0, [], {}),
    *each("person_generation", 422, True, 1, [], {}),
    ({"prompt": "x", "person_generation": "everybody"}, 400, "person_generation"),
    *each("additional_params", 422, "{}", 1, True, [], [[]]),
    ({"prompt": "x", "seed": 1, "additional_params": {"seed": 2}}, 400, "seed"),
    ({"prompt": "x", "seed": 1, "additional_params": {"seed": True}}, 400, "seed"),
    ({"prompt": "x", "additional_params": {"prompt": "y"}}, 400, "prompt"),
    ({"prompt": "x", "additional_params": {"seed": "7"}}, 422, "seed"),
    ({"prompt": "x", "additional_params": {"duration": 5}}, 400, "duration"),
    ({"prompt": "x", "provider": "animatic"}, 422, "model"),
    ({"prompt": "x", "model": "animatic/storyboard", "provider": "google"}, 400, "model"),
    ({"prompt": "x", "model": "google/veo-3.0-generate-001", "provider": "animatic"}, 400, "model"),
]


@pytest.mark.parametrize(("fields", "status", "field"), WRONG_FIELDS, ids=lambda value: json.dumps(value)[:70])
async def test_a_wrong_field_is_named(client: Client, fields: dict[str, Any], status: int, field: str) -> None:
    problem = (await client.generate(**fields)).problem(status)
    assert field in problem["detail"]
    assert field in [error["field"] for error in problem["errors"]]
    forbidden_words_are_absent(problem)


async def test_every_wrong_field_is_named_at_once(client: Client) -> None:
    problem = (await client.generate(prompt=1, n=0, seed="x")).problem(422)
    assert {error["field"] for error in problem["errors"]} == {"prompt", "n", "seed"}


@pytest.mark.parametrize(
    ("fields", "allowed"),
    [
        ({"duration": 5}, ["4", "6", "8"]),
        ({"aspect_ratio": "4:3"}, ["16:9", "9:16", "1:1"]),
        ({"resolution": "4k"}, ["720p", "1080p"]),
        ({"n": 5}, ["4"]),
    ],
)
async def test_an_option_that_the_model_lacks_names_the_value_and_what_is_allowed(
    client: Client, fields: dict[str, Any], allowed: list[str]
) -> None:
    problem = (await client.generate(prompt="x", **fields)).problem(400)
    ((field, value),) = fields.items()
    assert problem["code"] == "unsupported_option"
    for word in (field, str(value), *allowed):
        assert word in problem["detail"]


@pytest.mark.parametrize(
    ("name", "suggestion"),
    [("promt", "prompt"), ("Prompt", "prompt"), ("aspectRatio", "aspect_ratio"), ("durations", "duration"),
     ("nonsense_entirely", None), ("", None), ("\u0000", None), ("x" * 5000, None), ("__proto__", None)],
)  # fmt: skip
async def test_an_unknown_field_is_named_with_what_comes_near(
    client: Client, name: str, suggestion: str | None
) -> None:
    problem = (await client.generate(**{"prompt": "x", name: 1})).problem(400)
    assert problem["code"] == "unknown_field"
    assert name[:100] in problem["detail"]
    assert suggestion is None or suggestion in problem["suggestions"]
    forbidden_words_are_absent(problem)


@pytest.mark.parametrize(
    ("model", "suggestion"),
    [
        ("veo-3.0-generate", "veo-3.0-generate-001"),
        ("google/veo-3.0-generate-01", "google/veo-3.0-generate-001"),
        ("animatic/story", "animatic/storyboard"),
        ("VEO-3.0-GENERATE-001", "veo-3.0-generate-001"),
        ("nothing-like-it", None),
        ("/", None),
        ("animatic/", None),
        ("/storyboard", None),
        ("a/b/c", None),
        ("nul\u0000", None),
        ("x" * 300, None),
        (" ", None),
    ],
)
async def test_an_unknown_model_is_not_found_in_words_the_published_client_can_map(
    client: Client, model: str, suggestion: str | None
) -> None:
    problem = (await client.generate(prompt="x", model=model)).problem(404)
    assert problem["code"] == "model_not_found"
    assert problem["detail"].startswith("Model '")
    assert problem["detail"].endswith("' not found")
    for word in ("provider", "not supported", "disabled", "unavailable"):
        assert word not in problem["detail"].lower()
    assert suggestion is None or suggestion in problem["suggestions"]


@pytest.mark.parametrize(("provider", "suggestion"), [("gogle", "google"), ("zzz", None), ("google ", "google")])
async def test_an_unknown_provider_is_not_found(client: Client, provider: str, suggestion: str | None) -> None:
    problem = (await client.generate(prompt="x", provider=provider)).problem(404)
    assert problem["code"] == "provider_not_found"
    assert problem["detail"] == f"Provider '{provider}' not found"
    assert suggestion is None or suggestion in problem["suggestions"]


BODIES = {
    "empty": b"",
    "blank": b"  \n",
    "truncated": b'{"prompt": "x", "n": ',
    "truncated in text": b'{"prompt": "x',
    "two documents": b'{"prompt": "x"}{"prompt": "x"}',
    "array": b'[{"prompt": "x"}]',
    "string": b'"prompt"',
    "number": b"7",
    "null": b"null",
    "not json": b"prompt=x&n=1",
    "single quotes": b"{'prompt': 'x'}",
    "trailing comma": b'{"prompt": "x",}',
    "comment": b'{"prompt": "x"} // done',
    "NaN": b'{"prompt": "x", "duration": NaN}',
    "NaN inside": b'{"prompt": "x", "additional_params": {"strength": NaN}}',
    "infinity inside": b'{"prompt": "x", "additional_params": {"strength": -Infinity}}',
    "number without end": b'{"prompt": "x", "seed": 1' + b"0" * 5000 + b"}",
    "number without end inside": b'{"prompt": "x", "additional_params": {"x": 1' + b"0" * 5000 + b"}}",
    "float beyond all inside": b'{"prompt": "x", "additional_params": {"x": 1e999}}',
    "deep arrays": b'{"prompt": "x", "additional_params": {"x": ' + b"[" * 100_000 + b"]" * 100_000 + b"}}",
    "deep objects": b'{"prompt": "x", "additional_params": ' + b'{"x": ' * 50_000 + b"1" + b"}" * 50_000 + b"}",
    "deep and truncated": b'{"prompt": ' + b"[" * 100_000,
    "lone surrogate": b'{"prompt": "\\ud800"}',
    "lone trailing surrogate": b'{"prompt": "x \\udc00 y"}',
    "surrogate in a name": b'{"prompt": "x", "\\ud800": 1}',
    "surrogate inside": b'{"prompt": "x", "additional_params": {"x": "\\udfff"}}',
    "not UTF-8": b'{"prompt": "\xff\xfe"}',
    "overlong UTF-8": b'{"prompt": "\xc0\xaf"}',
    "surrogate in UTF-8": b'{"prompt": "\xed\xa0\x80"}',
    "UTF-16": '{"prompt": "x"}'.encode("utf-16"),
    "raw control character": b'{"prompt": "a\x00b"}',
    "bad escape": b'{"prompt": "\\x41"}',
}


@pytest.mark.parametrize("body", BODIES.values(), ids=BODIES.keys())
async def test_a_body_that_is_no_json_object_is_refused(client: Client, body: bytes) -> None:
    answer = await client.post(GENERATIONS, data=body, headers={"Content-Type": "application/json"})
    assert answer.problem(422)["code"] == "invalid_request"


async def test_a_deeply_nested_body_within_reason_is_refused_or_kept_whole(held: Service) -> None:
    """Every depth up to where the parser stops must survive storing and answering."""
    async with Client(held, held.key(account="deep").text) as client:
        for depth in (10, 60, 90, 120, 150, 180, 199, 250, 900):
            nested = b"[" * depth + b"]" * depth
            answer = await client.post(
                GENERATIONS,
                data=b'{"prompt": "x", "additional_params": {"x": ' + nested + b"}}",
                headers={"Content-Type": "application/json"},
            )
            if answer.status == 200:
                job = await client.job(answer.json()["job_id"])
                assert job["request"]["additional_params"] == {"x": json.loads(nested)}
            else:
                answer.problem(422)


async def test_odd_but_correct_text_is_kept_as_it_is(held: Service) -> None:
    prompt = "nul \u0000, bell \u0007, line\u2028separator, \U0001f9ed, e\u0301, \u202eright to left, \ufffe"
    async with Client(held, held.key(account="odd").text) as client:
        envelope = (await client.generate(prompt=prompt, additional_params={"\u0000": 10**18, "": -0.0})).ok()
        job = await client.job(envelope["job_id"])
    assert job["prompt"] == prompt
    assert job["request"]["additional_params"] == {"\u0000": 10**18, "": -0.0}


async def test_of_a_name_given_twice_the_last_counts_as_in_every_json_reader(held: Service) -> None:
    async with Client(held, held.key(account="twice").text) as client:
        body = b'{"prompt": "first", "prompt": "second"}'
        answer = await client.post(GENERATIONS, data=body, headers={"Content-Type": "application/json"})
        assert (await client.job(answer.ok()["job_id"]))["prompt"] == "second"


@pytest.mark.parametrize(
    "content_type",
    ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "application/xml",
     "application/jsonx", "application/octet-stream", "", "garbage"],
)  # fmt: skip
async def test_another_content_type_is_refused(client: Client, content_type: str) -> None:
    answer = await client.post(GENERATIONS, data=b'{"prompt": "x"}', headers={"Content-Type": content_type})
    problem = answer.problem(415)
    assert problem["code"] == "wrong_content_type"
    assert "application/json" in problem["detail"]


async def test_a_charset_beside_the_content_type_is_fine(held: Service) -> None:
    async with Client(held, held.key(account="charset").text) as client:
        answer = await client.post(
            GENERATIONS, data=b'{"prompt": "x"}', headers={"Content-Type": "Application/JSON; charset=utf-8"}
        )
        answer.ok()


async def test_a_body_announced_as_too_large_is_refused_unread(held: Service, unchanging_account: str) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", held.port)
    writer.write(
        f"POST {GENERATIONS} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {unchanging_account}\r\n"
        f"Content-Type: application/json\r\nContent-Length: {65 * 1024**2}\r\n\r\n".encode()
    )
    head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), GENEROUS_S)
    writer.close()
    await writer.wait_closed()
    assert head.startswith(b"HTTP/1.1 413 ")
    assert b"application/problem+json" in head


async def test_a_body_sent_whole_that_is_too_large_is_refused(client: Client) -> None:
    headers = {"Content-Type": "application/json"}
    too_large(await client.post(GENERATIONS, data=io.BytesIO(MEBIBYTE * 65), headers=headers))


async def test_a_body_of_unknown_length_is_refused_once_it_is_too_large(client: Client) -> None:
    async def mebibytes() -> AsyncIterator[bytes]:
        for _ in range(65):
            yield MEBIBYTE

    too_large(await client.post(GENERATIONS, data=mebibytes(), headers={"Content-Type": "application/json"}))


def too_large(answer: Answer) -> None:
    problem = answer.problem(413)
    assert problem["code"] == "body_too_large"
    assert "64 MiB" in problem["detail"]


@pytest.mark.parametrize(
    ("query", "parameter"),
    [
        *((f"limit={value}", "limit") for value in ("0", "1001", "-1", "abc", "1.5", "", "1e2", "9" * 5000, "%00")),
        *((f"skip={value}", "skip") for value in ("-1", "abc", "1.5", "", "1" + "0" * 30)),
        *((f"cursor={value}", "cursor") for value in ("", "abc", "djI6MQ", "djE6LTE", "%ff", "x" * 9000, "djE6", "*")),
        *((f"status={value}", "status") for value in ("", "done", "PENDING", "queued", "cancelled")),
        *((f"created_after={value}", "created_after") for value in ("", "x", "2026-04-07", "2026-04-07T12:00:00")),
        *((f"created_before={value}", "created_before") for value in ("1775563200", "0.5")),
        *((f"created_before={value}", "created_before") for value in ("", "x", "2026-13-01T00:00:00Z", "9" * 400)),
    ],
)  # fmt: skip
async def test_a_bad_list_parameter_is_named(client: Client, query: str, parameter: str) -> None:
    problem = (await client.get(f"/api/v1/videos/jobs?{query}")).problem(422)
    assert parameter in problem["detail"]
    assert [error["field"] for error in problem["errors"]] == [parameter]


@pytest.mark.parametrize(
    ("query", "suggestion"), [("limt=5", "limit"), ("offset=5", None), ("%00=1", None), ("=", None)]
)
async def test_an_unknown_list_parameter_is_named(client: Client, query: str, suggestion: str | None) -> None:
    problem = (await client.get(f"/api/v1/videos/jobs?{query}")).problem(400)
    assert problem["code"] == "unknown_field"
    assert suggestion is None or suggestion in problem["suggestions"]


@pytest.mark.parametrize(
    "job_id", ["job_none", "x", "%00", "%ff", "..%2f..", "job_" + "a" * 1000, "%F0%9F%8E%AC", "'--"]
)
async def test_an_unknown_job_is_not_found(client: Client, job_id: str) -> None:
    for answer in (
        await client.get(f"/api/v1/videos/jobs/{job_id}"),
        await client.post(f"/api/v1/videos/jobs/{job_id}/cancel"),
    ):
        problem = answer.problem(404)
        assert "model" not in problem["detail"].lower()
        assert "provider" not in problem["detail"].lower()


@pytest.mark.parametrize(
    "path", ["/nothing", "/api/v1", "/api/v1/generations", "/api/v2/videos/jobs", "/%00", "/api/v1/videos/jobs/a/b"]
)
async def test_an_unknown_address_is_not_found(client: Client, path: str) -> None:
    assert (await client.get(path)).problem(404)["code"] == "not_found"


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("GET", GENERATIONS, "POST"),
        ("PUT", GENERATIONS, "POST"),
        ("DELETE", "/api/v1/videos/jobs", "GET"),
        ("POST", "/api/v1/videos/jobs", "GET"),
        ("PATCH", "/api/v1/videos/jobs/job_none", "GET"),
        ("PATCH", "/api/v1/videos/jobs/job_none", "DELETE"),
        ("GET", "/api/v1/videos/jobs/job_none/cancel", "POST"),
        ("POST", "/healthz", "GET"),
        ("OPTIONS", "/api/v1/videos/jobs", "GET"),
    ],
)  # fmt: skip
async def test_a_wrong_method_is_answered_with_the_right_ones(
    client: Client, method: str, path: str, allowed: str
) -> None:
    answer = await client.call(method, path)
    assert answer.problem(405)["code"] == "method_not_allowed"
    assert allowed in answer.headers["Allow"].split(", ")
