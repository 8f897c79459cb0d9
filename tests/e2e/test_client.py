"""Our own client, blocking and asynchronous, as a program uses it, against the real service."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image

import rushes
from rushes.client import (
    AlreadyThere,
    AsyncClient,
    BadRequest,
    Client,
    Conflict,
    GenerationOptions,
    JobFailed,
    NotFound,
)
from tests.fixtures.service import Key, Service

QUICK: GenerationOptions = {
    "model": "animatic/storyboard",
    "duration": 1,
    "resolution": "360p",
    "generate_audio": False,
}


@pytest.fixture(scope="module")
def ours(service: Service, key: Key) -> Iterator[Client]:
    with rushes.Client(api_key=key.text, base_url=service.url) as client:
        yield client


def test_a_prompt_becomes_the_file_that_was_announced(ours: Client, tmp_path: Path) -> None:
    told: list[int] = []
    job = ours.generate("A lighthouse", on_progress=lambda each: told.append(each.progress), **QUICK)
    path = job.download(tmp_path)
    assert path == tmp_path / f"{job.id}.mp4"
    assert hashlib.sha256(path.read_bytes()).hexdigest() == job.videos[0].sha256
    assert told == sorted(told)
    assert told[-1] == 100
    with pytest.raises(AlreadyThere):
        job.download(path)


def test_files_are_given_by_their_paths(ours: Client, tmp_path: Path) -> None:
    picture = tmp_path / "first.png"
    Image.new("RGB", (320, 180), "navy").save(picture)
    options: GenerationOptions = {**QUICK, "input_image": picture, "last_frame": ours.upload(picture)}
    assert ours.generate("A lighthouse", **options).status == "completed"
    with pytest.raises(FileNotFoundError):
        ours.submit("A lighthouse", input_image=tmp_path / "none.png")


def test_a_job_that_fails_is_an_error_with_its_code(ours: Client) -> None:
    with pytest.raises(JobFailed) as caught:
        ours.generate("A lighthouse", model="animatic/filtered", duration=1)
    assert caught.value.code == "content_filtered"
    assert caught.value.job.status == "failed"


def test_a_refusal_names_its_request(ours: Client) -> None:
    with pytest.raises(BadRequest, match="duration 99 is not offered") as caught:
        ours.submit("A lighthouse", model="animatic/storyboard", duration=99)
    assert (caught.value.status, caught.value.code) == (400, "unsupported_option")
    assert (caught.value.request_id or "").startswith("req_")


def test_the_same_idempotency_key_is_the_same_job(ours: Client) -> None:
    first, again = (ours.submit("A lighthouse", idempotency_key="order-1", **QUICK) for _ in range(2))
    assert first.id == again.id


def test_a_pending_job_is_cancelled_and_a_finished_one_deleted(held: Service, ours: Client) -> None:
    with Client(api_key=held.key().text, base_url=held.url) as client:
        job = client.submit("A lighthouse", **QUICK)
        with pytest.raises(Conflict):
            job.delete()
        assert job.cancel().error_code == "cancelled"
        job.delete()
        with pytest.raises(NotFound):
            job.refresh()


def test_all_jobs_are_found_page_after_page(held: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rushes.client.asynchronous.PAGE", 2)
    with Client(api_key=held.key(account="pages").text, base_url=held.url) as client:
        made = [client.submit(f"A lighthouse {number}", **QUICK).id for number in range(5)]
        assert [job.id for job in client.jobs(status="pending")] == made[::-1]
        assert list(client.jobs(status="completed")) == []


def test_models_say_what_they_take(ours: Client) -> None:
    (storyboard,) = (model for model in ours.models() if (model.provider, model.id) == ("animatic", "storyboard"))
    assert 1 in storyboard.durations_s


async def test_many_jobs_are_awaited_at_once(service: Service, key: Key, tmp_path: Path) -> None:
    async with AsyncClient(api_key=key.text, base_url=service.url) as client:
        jobs = await asyncio.gather(*(client.generate(f"A lighthouse {number}", **QUICK) for number in range(3)))
        paths = await asyncio.gather(*(job.download(tmp_path) for job in jobs))
    assert len({path.name for path in paths}) == 3
