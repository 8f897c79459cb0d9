"""`rushes backup` beside a running service, and what its copy can do."""

from __future__ import annotations

from pathlib import Path

from tests.e2e.conftest import Start
from tests.fixtures.service import Client, Key, Service


async def test_a_copy_made_while_jobs_run_serves_the_jobs_keys_and_videos(
    service: Service, client: Client, key: Key, start: Start, tmp_path: Path
) -> None:
    (before,) = await client.completed([(await client.create(prompt="a lighthouse"))["job_id"]])
    unfinished = await client.create(prompt="a storm")
    copy = tmp_path / "copy"
    done = service.run("backup", copy)
    assert done.returncode == 0, done.stderr
    await client.create(prompt="too late")

    async with Client(start(data_dir=copy), key.text) as restored:
        assert (await restored.jobs())["total"] == 2
        job = await restored.job(before["job_id"])
        video = await restored.get(job["result"]["url"], plain=True)
        assert len(video.body) == job["result"]["file_size"] == before["result"]["file_size"]
        assert (await client.get(before["result"]["url"], plain=True)).body == video.body
        assert (await restored.reached(unfinished["job_id"]))["status"] == "completed"


def test_a_copy_replaces_nothing(service: Service, tmp_path: Path) -> None:
    done = service.run("backup", tmp_path)
    assert done.returncode == 1
    assert f"'{tmp_path}' exists; name a new directory" in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_a_directory_without_a_database_is_not_backed_up(service: Service, tmp_path: Path) -> None:
    done = Service(tmp_path, data_dir=tmp_path / "empty").run("backup", tmp_path / "copy")
    assert done.returncode == 1
    assert "there is no database" in done.stderr
    assert not (tmp_path / "copy").exists()


def test_what_lies_on_a_server_is_said_to_be_backed_up_there(service: Service, tmp_path: Path) -> None:
    done = service.run("backup", tmp_path / "copy", RUSHES_DATABASE_URL="postgresql://rushes:pw@127.0.0.1:1/rushes")
    assert done.returncode == 1
    assert "pg_dump" in done.stderr
    assert "pw" not in done.stderr.replace("pg_dump", "")
