"""Killed, stopped and started again: no job is lost, done twice, or seen to go back."""

from __future__ import annotations

import asyncio
import hashlib
import random
import time
from pathlib import Path
from typing import Any

from tests.e2e.conftest import Start
from tests.fixtures.service import Client, Service

JOBS = 24
KILLS = 6
CREATES = 200


async def test_six_kills_in_the_middle_of_24_jobs_lose_and_repeat_none(start: Start) -> None:
    service = start(RUSHES_TEST_HOLD_S=0.2)
    chance = random.Random(24)
    async with Client(service, service.key().text) as client:
        job_ids = [
            (await client.create(prompt=f"scene {number}", duration=5, seed=number))["job_id"] for number in range(JOBS)
        ]
        unfinished_at_kills = []
        for _ in range(KILLS):
            await asyncio.sleep(chance.uniform(0.05, 0.9))
            unfinished_at_kills.append(JOBS - (await client.jobs(status="completed"))["total"])
            service.kill()
            service.start()
        jobs = await client.completed(job_ids)
        assert unfinished_at_kills[-1] > 0, unfinished_at_kills
        assert (await client.jobs())["total"] == (await client.jobs(status="completed"))["total"] == JOBS
        for number, job in enumerate(jobs):
            assert job["prompt"] == f"scene {number}"
            (video,) = job["result"]["data"]
            answer = await client.get(video["url"], plain=True)
            assert hashlib.sha256(answer.body).hexdigest() == video["sha256"]
    assert attempts(service) == ["stored"] * JOBS
    assert len(films(service)) == JOBS
    nothing_is_left_in_the_lanes(service)


async def test_every_create_that_was_answered_survives_kill_9(start: Start) -> None:
    service = start(RUSHES_TEST_HOLD_S=3600)
    async with Client(service, service.key().text) as client:
        envelopes = await asyncio.gather(*(client.create(prompt=f"number {number}") for number in range(CREATES)))
        service.kill()
        service.start()
        listed = await client.jobs(limit=1000)
    job_ids = {envelope["job_id"] for envelope in envelopes}
    assert len(job_ids) == CREATES
    assert {job["job_id"] for job in listed["jobs"]} == job_ids
    assert {job["prompt"] for job in listed["jobs"]} == {f"number {number}" for number in range(CREATES)}
    assert listed["total"] == CREATES


async def test_creates_under_way_at_a_kill_are_kept_if_they_were_answered(start: Start) -> None:
    service = start(RUSHES_TEST_HOLD_S=3600)
    async with Client(service, service.key().text) as client:
        await client.create()

        async def attempt(number: int) -> str | None:
            try:
                return str((await client.create(prompt=f"number {number}"))["job_id"])
            except Exception:  # noqa: BLE001 - however the client words that the connection is gone
                return None

        attempts_under_way = [asyncio.create_task(attempt(number)) for number in range(CREATES)]
        await asyncio.wait(attempts_under_way, return_when=asyncio.FIRST_COMPLETED)
        service.kill()
        answered = {job_id for job_id in await asyncio.gather(*attempts_under_way) if job_id is not None}
        service.start()
        listed = await client.jobs(limit=1000)
    assert answered <= {job["job_id"] for job in listed["jobs"]}
    assert listed["total"] == len(listed["jobs"])


async def test_progress_never_falls_across_stops_and_kills(start: Start) -> None:
    service = start()
    seen: list[int] = []
    statuses: list[str] = []
    async with Client(service, service.key().text) as client:
        slow = (await client.create(model="animatic/slow"))["job_id"]
        estimated = (await client.create(model="animatic/stuck"))["job_id"]
        estimates: list[int] = []

        async def watch(seconds: float) -> None:
            until = time.monotonic() + seconds
            while time.monotonic() < until and "completed" not in statuses:
                job = await client.job(slow)
                seen.append(job["progress"])
                statuses.append(job["status"])
                estimates.append((await client.job(estimated))["progress"])
                await asyncio.sleep(0.05)

        await watch(2)
        assert service.stop() == 0
        service.start()
        await watch(2)
        service.kill()
        service.start()
        await watch(60)
    assert seen == sorted(seen)
    assert seen[-1] == 100
    assert set(seen[:-1]).isdisjoint({100})
    assert len(set(seen)) > 2
    order = ["pending", "in_progress", "completed"]
    assert statuses == sorted(statuses, key=order.index)
    assert estimates == sorted(estimates)
    assert max(estimates) <= 95


async def test_a_stop_waits_for_no_job_and_the_jobs_go_on(start: Start) -> None:
    service = start()
    async with Client(service, service.key().text) as client:
        endless = (await client.create(model="animatic/stuck"))["job_id"]
        await client.reached(endless, "in_progress")
        job_ids = [(await client.create(prompt=f"take {number}", duration=4))["job_id"] for number in range(6)]
        await client.reached(job_ids[0], "in_progress")
        assert service.stop() == 0
        service.start()
        await client.completed(job_ids)
        assert (await client.job(endless))["status"] == "in_progress"
    assert (len(attempts(service)), attempts(service).count("stored")) == (7, 6)
    assert service.rows("SELECT SUM(ready), SUM(in_use) FROM lanes") == [(0, 1)]


async def test_a_slow_reader_does_not_hold_up_a_stop(start: Start) -> None:
    service = start()
    async with Client(service, service.key().text) as client:
        await client.create()
    _, writer = await asyncio.open_connection("127.0.0.1", service.port)
    writer.write(b"POST /api/v1/videos/generations HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{")
    await writer.drain()
    assert service.stop() == 0
    writer.close()


async def test_cancelling_and_the_worker_never_both_win(start: Start) -> None:
    hold_s = 0.4
    service = start(RUSHES_TEST_HOLD_S=hold_s)
    chance = random.Random(7)
    async with Client(service, service.key().text) as client:

        async def race() -> tuple[dict[str, Any], bool]:
            job_id = (await client.create(model="animatic/fail"))["job_id"]
            await asyncio.sleep(hold_s + chance.uniform(-0.15, 0.05))
            answer = await client.cancel(job_id)
            if answer.status != 200:
                answer.problem(409)
            return await client.reached(job_id), answer.status == 200

        raced = [one for _ in range(3) for one in await asyncio.gather(*(race() for _ in range(30)))]
        for job, was_cancelled in raced:
            if was_cancelled:
                assert (job["error_code"], job["started_at"]) == ("cancelled", None)
            else:
                assert (job["error_code"], job["cancelled_at"]) == ("provider_rejected", None)
        won = sum(was_cancelled for _, was_cancelled in raced)
        assert 0 < won < len(raced), "the race was not close"
        assert (await client.jobs(status="failed"))["total"] == len(raced)
        assert (await client.jobs(status="pending"))["total"] == 0
    submitted = service.rows("SELECT count(*) FROM attempts")[0][0]
    assert submitted == len(raced) - won
    nothing_is_left_in_the_lanes(service)


def attempts(service: Service) -> list[str]:
    return [state for (state,) in service.rows("SELECT state FROM attempts")]


def films(service: Service) -> list[Path]:
    return list((service.data_dir / "storage" / "videos").rglob("*.mp4"))


def nothing_is_left_in_the_lanes(service: Service) -> None:
    assert set(service.rows("SELECT ready, in_use FROM lanes")) <= {(0, 0)}
