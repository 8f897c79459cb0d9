"""A disk that fills up: refusals are clear, nothing is lost, and all goes on once there is space."""

from __future__ import annotations

import asyncio
import itertools
from pathlib import Path

import pytest

from tests.e2e.conftest import Start, Tmpfs
from tests.fixtures.service import Client, remount_tmpfs


def fill(path: Path) -> None:
    """Write until the disk takes no more."""
    with path.open("wb", buffering=0) as file:
        for size_bytes in (65_536, 4096, 512, 1):
            with pytest.raises(OSError, match="No space left"):
                file.writelines(itertools.repeat(b"\0" * size_bytes))


async def test_creates_on_a_full_disk_are_refused_and_nothing_is_lost(
    start: Start, tmpfs: Tmpfs, tmp_path: Path
) -> None:
    disk = tmpfs(tmp_path / "disk", "size=16m")
    service = start(data_dir=disk / "data")
    async with Client(service, service.key().text) as client:
        finished = (await client.create())["job_id"]
        await client.completed([finished])
        fill(disk / "ballast")
        accepted = [finished]
        # The write-ahead log has room left inside its file; a full disk shows once that is used up.
        for _ in range(2000):
            answer = await client.generate(prompt="x" * 5000, model="animatic/stuck")
            if answer.status != 200:
                break
            accepted.append(answer.json()["job_id"])
        problem = answer.problem(503)
        assert problem["code"] == "database_unavailable"
        assert "full" in problem["detail"]
        assert int(answer.headers["Retry-After"]) > 0
        assert str(disk) not in problem["detail"]
        assert (await client.get("/readyz", plain=True)).problem(503)["code"] == "not_ready"
        (await client.get("/healthz", plain=True)).ok()
        listed = await client.jobs(limit=1000)
        assert listed["total"] == len(listed["jobs"]) == len(accepted)
        assert {job["job_id"] for job in listed["jobs"]} == set(accepted)
        assert (await client.get((await client.job(finished))["result"]["url"], plain=True)).status == 200
        (disk / "ballast").unlink()
        again = await client.reached((await client.create())["job_id"])
        assert again["status"] == "completed"
        assert (await client.jobs())["total"] == len(accepted) + 1


async def test_a_video_that_finds_no_room_waits_in_storing_and_completes_after(
    start: Start, tmpfs: Tmpfs, tmp_path: Path
) -> None:
    service = start(running=False)
    storage = tmpfs(service.data_dir / "storage", "size=8k")
    service.start()
    async with Client(service, service.key().text) as client:
        job_id = (await client.create())["job_id"]
        while "storing_will_be_repeated" not in service.log_text():
            assert (await client.job(job_id))["status"] in ("pending", "in_progress")
            await asyncio.sleep(0.05)
        job = await client.job(job_id)
        assert (job["status"], job["result"]) == ("in_progress", None)
        assert service.rows("SELECT state FROM jobs") == [("storing",)]
        remount_tmpfs(storage, "size=8m")
        job = await client.reached(job_id)
        assert (job["status"], job["warnings"]) == ("completed", [])
        assert (await client.get(job["result"]["url"], plain=True)).status == 200


@pytest.mark.parametrize("command", [("keys", "create"), ("serve", "--port", "0")])
def test_a_command_on_a_full_disk_is_one_clear_line(
    start: Start, tmpfs: Tmpfs, tmp_path: Path, command: tuple[str, ...]
) -> None:
    disk = tmpfs(tmp_path / "disk", "size=1m")
    fill(disk / "ballast")
    ended = start(running=False, data_dir=disk / "data").run(*command)
    assert ended.returncode == 1
    assert ended.stdout == ""
    assert len(ended.stderr.splitlines()) == 1, ended.stderr
    assert "full" in ended.stderr or "No space" in ended.stderr
