from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from rushes.client import Client, ServiceUnavailable, Unreachable, WaitedTooLong
from rushes.client import client as client_module
from rushes.client.media import LARGEST_INLINE_BYTES, MediaSender
from tests.unit.client.conftest import Scripted, cuts, says


def job(status: str = "in_progress", progress: int = 10, **fields: Any) -> dict[str, Any]:
    return {
        "job_id": "job_1",
        "status": status,
        "progress": progress,
        "model": "storyboard",
        "provider": "animatic",
        "prompt": "a lake",
        "created_at": "2026-04-07T12:00:00Z",
        **fields,
    }


STARTED = {"job_id": "job_1", "status": "pending", "model": "storyboard", "provider": "animatic"}


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client_module, "FIRST_POLL_S", 0.001)
    monkeypatch.setattr(client_module, "backoff_s", lambda attempt, error: 0.001)


async def test_a_create_sends_what_is_given_and_nothing_else(server: Scripted) -> None:
    server.script = [says(STARTED)]
    async with Client(server.url, "key") as client:
        await client.create("a lake", seed=0, generate_audio=False)
    assert json.loads(server.bodies[0]) == {"prompt": "a lake", "seed": 0, "generate_audio": False}


async def test_every_create_has_its_own_idempotency_key_unless_one_is_given(server: Scripted) -> None:
    server.script = [says(STARTED)]
    async with Client(server.url, "key") as client:
        await client.create("a lake")
        await client.create("a lake")
        await client.create("a lake", idempotency_key="mine")
    first, second, third = (request.headers["Idempotency-Key"] for request in server.requests)
    assert len({first, second, third}) == 3
    assert third == "mine"


async def test_a_watch_ends_with_the_job(server: Scripted) -> None:
    server.script = [says(job("pending", 0)), says(job()), says(job("failed", 40, error="x", error_code="expired"))]
    async with Client(server.url, "key") as client:
        seen = [each.status async for each in client.watch("job_1")]
    assert seen == ["pending", "in_progress", "failed"]


async def test_a_watch_goes_on_while_the_service_is_away(server: Scripted) -> None:
    server.script = [says(job()), cuts, says({}, 502), cuts, cuts, says(job("completed", 100))]
    troubles: list[str] = []
    async with Client(server.url, "key") as client:
        seen = [
            each.status async for each in client.watch("job_1", on_trouble=lambda error: troubles.append(error.code))
        ]
    assert seen == ["in_progress", "completed"]
    assert set(troubles) == {"unreachable", "http_502"}


async def test_a_watch_gives_up_when_its_patience_is_over() -> None:
    async with Client("http://127.0.0.1:9", "key") as client:
        with pytest.raises((Unreachable, ServiceUnavailable)):
            async for _ in client.watch("job_1", patience_s=0.01):
                pass


async def test_a_watch_ends_after_its_timeout(server: Scripted) -> None:
    server.script = [says(job())]
    async with Client(server.url, "key") as client:
        with pytest.raises(WaitedTooLong, match="it goes on"):
            async for _ in client.watch("job_1", timeout_s=0.05):
                pass


async def test_a_job_keeps_fields_that_the_client_does_not_know(server: Scripted) -> None:
    server.script = [says(job(brand_new=1))]
    async with Client(server.url, "key") as client:
        assert (await client.get_job("job_1")).content["brand_new"] == 1


async def test_a_url_is_sent_as_it_is(server: Scripted) -> None:
    async with Client(server.url, "key") as client:
        assert await MediaSender(client).value_of("HTTPS://example.com/a.png") == "HTTPS://example.com/a.png"


async def test_a_small_file_travels_inside_the_request(server: Scripted, tmp_path: Path) -> None:
    file = tmp_path / "image.png"
    file.write_bytes(b"\x89PNG")
    async with Client(server.url, "key") as client:
        assert await MediaSender(client).value_of(str(file)) == "iVBORw=="
    assert server.requests == []


async def test_a_large_file_is_uploaded_first(server: Scripted, tmp_path: Path) -> None:
    file = tmp_path / "image.png"
    file.write_bytes(b"x" * (LARGEST_INLINE_BYTES + 1))
    server.script = [says({"reference": "upload_1"})]
    async with Client(server.url, "key") as client:
        assert await MediaSender(client).value_of(str(file)) == "upload_1"
    assert server.requests[0].path == "/api/v1/uploads"
    assert len(server.bodies[0]) == LARGEST_INLINE_BYTES + 1


async def test_many_small_files_do_not_make_a_request_too_large(server: Scripted, tmp_path: Path) -> None:
    file = tmp_path / "image.png"
    file.write_bytes(b"x" * LARGEST_INLINE_BYTES)
    server.script = [says({"reference": "upload_1"})]
    async with Client(server.url, "key") as client:
        sender = MediaSender(client)
        values = [await sender.value_of(str(file)) for _ in range(6)]
    assert values[4:] == ["upload_1", "upload_1"]
