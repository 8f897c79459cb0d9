"""`rushes move`: a service's data goes to Postgres and S3 and back, and the service continues there."""

from __future__ import annotations

import json
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.conftest import Start
from tests.fixtures.postgres import run_sql, shared_server
from tests.fixtures.s3 import KEY_ID, SECRET, S3Server, s3
from tests.fixtures.service import Client, Service, until
from tests.fixtures.time_limits import GENEROUS_S

__all__ = ["s3"]

SECRET_KEY_FILE = "secret.key"
KEYS = "0123456789abcdef0123456789abcdef"


@pytest.fixture
def url() -> Iterator[str]:
    fresh = shared_server().fresh()
    yield fresh
    shared_server().done_with(fresh)


def written(path: Path, **settings: object) -> Path:
    """A settings file."""
    path.write_text("".join(f"{name} = {json.dumps(value)}\n" for name, value in settings.items()))
    return path


def in_bucket(server: S3Server) -> dict[str, object]:
    return {
        "storage_url": f"s3://{server.new_bucket()}/videos",
        "storage_endpoint_url": server.url,
        "storage_region": "us-east-1",
        "storage_access_key_id": KEY_ID,
        "storage_secret_access_key": SECRET,
    }


def as_variables(settings: dict[str, object]) -> dict[str, object]:
    return {f"RUSHES_{name.upper()}": value for name, value in settings.items()}


def report(done: subprocess.CompletedProcess[str]) -> dict[str, Any]:
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert isinstance(found, dict)
    return found


async def test_a_service_goes_to_postgres_and_s3_and_back_with_its_jobs_videos_money_and_keys(
    start: Start, s3: S3Server, url: str, tmp_path: Path
) -> None:
    small = start()
    key = small.key()
    async with Client(small, key.text) as client:
        (before,) = await client.completed([(await client.create(prompt="a lighthouse"))["job_id"]])
        held = await client.create(prompt="a storm")
        video = (await client.get(before["result"]["url"], plain=True)).body
    small.stop()
    kept = {path: path.read_bytes() for path in (small.data_dir / "storage").rglob("*") if path.is_file()}
    secret = (small.data_dir / SECRET_KEY_FILE).read_text().strip()
    large: dict[str, object] = {"database_url": url, "secret_keys": secret, **in_bucket(s3)}
    to = written(tmp_path / "large.toml", **large)

    planned = report(small.run("move", "--to", to, "--dry-run", "--json"))
    assert planned["rows"]["jobs"] == 2
    assert planned["count"] == len(kept)
    assert not run_sql(url, "SELECT 1 FROM accounts")
    moved = report(small.run("move", "--to", to, "--json"))
    assert moved["rows"] == planned["rows"]
    assert (moved["count"], moved["size_bytes"]) == (planned["count"], planned["size_bytes"])
    assert moved["missing"] == moved["differing"] == []
    assert {path: path.read_bytes() for path in kept} == kept

    grown = start(data_dir=tmp_path / "grown", **as_variables(large))
    async with Client(grown, key.text) as client:
        assert (await client.get((await client.job(before["job_id"]))["result"]["url"], plain=True)).body == video
        assert (await client.reached(held["job_id"]))["status"] == "completed"
        new = await client.create(prompt="new rows come behind the copied ones")
        await client.completed([new["job_id"]])
        spent = (await client.get("/api/v1/user/usage")).ok()
    grown.stop()

    back = written(tmp_path / "back.toml", data_dir=str(tmp_path / "back"), secret_keys=secret)
    again = report(grown.run("move", "--to", back, "--json"))
    assert again["rows"]["jobs"] == 3
    small_again = start(data_dir=tmp_path / "back", RUSHES_SECRET_KEYS=secret)
    async with Client(small_again, key.text) as client:
        assert (await client.jobs())["total"] == 3
        assert (await client.get("/api/v1/user/usage")).ok() == spent
        assert (await client.get((await client.job(before["job_id"]))["result"]["url"], plain=True)).body == video


def test_a_running_service_is_not_moved(service: Service, url: str, tmp_path: Path, start: Start) -> None:
    to = written(tmp_path / "to.toml", database_url=url, secret_keys=KEYS)
    done = service.run("move", "--to", to, RUSHES_SECRET_KEYS=KEYS)
    assert done.returncode == 1
    assert "another rushes" in done.stderr or "in use" in done.stderr
    on_postgres = start(data_dir=tmp_path / "pg", RUSHES_DATABASE_URL=url, RUSHES_SECRET_KEYS=KEYS)
    done = on_postgres.run(
        "move",
        "--to",
        written(tmp_path / "x.toml", data_dir=str(tmp_path / "x"), secret_keys=KEYS),
    )
    assert done.returncode == 1
    assert "a service uses the database" in done.stderr
    assert "stop all of its processes" in done.stderr


def test_a_target_that_is_in_use_or_cannot_read_the_secrets_is_refused(start: Start, url: str, tmp_path: Path) -> None:
    service = start()
    service.key()
    service.stop()
    lacking = service.run("move", "--to", written(tmp_path / "a.toml", database_url=url))
    assert lacking.returncode == 1
    assert "secret_keys is not set for the target" in lacking.stderr
    other = "fedcba9876543210fedcba9876543210"
    wrong = service.run("move", "--to", written(tmp_path / "b.toml", database_url=url, secret_keys=other))
    assert wrong.returncode == 1
    assert "lacks secret keys of the source" in wrong.stderr
    assert other not in wrong.stderr
    same = service.run("move", "--to", written(tmp_path / "c.toml"))
    assert "there is nothing to move" in same.stderr
    used = Service(tmp_path, data_dir=tmp_path / "used")
    used.key()
    full = service.run("move", "--to", written(tmp_path / "d.toml", data_dir=str(used.data_dir)))
    assert full.returncode == 1
    assert "secret keys" in full.stderr or "in use already" in full.stderr


async def test_a_move_that_was_killed_continues_and_nothing_serves_half_of_it(
    start: Start, url: str, tmp_path: Path
) -> None:
    service = start()
    key = service.key()
    async with Client(service, key.text) as client:
        job_id = (await client.create(prompt="a lighthouse"))["job_id"]
        await client.completed([job_id])
    service.stop()
    multiply(service.data_dir / "rushes.db", 8_000)
    secret = (service.data_dir / SECRET_KEY_FILE).read_text().strip()
    settings: dict[str, object] = {"database_url": url, "secret_keys": secret}
    to = written(tmp_path / "to.toml", **settings)
    program = Path(sys.executable).with_name("rushes")
    moving = subprocess.Popen(  # noqa: ASYNC220 - it returns at once
        [program, "move", "--to", to, "--data-dir", service.data_dir], stderr=subprocess.DEVNULL
    )
    try:
        await until(lambda: moving.poll() is not None or copied(url) > 0)
    finally:
        moving.kill()
        moving.wait(GENEROUS_S)
    assert 0 < copied(url) < 8_001, "the kill came in the middle"
    half = service.run("keys", "list", **as_variables(settings))
    assert half.returncode == 1
    assert "is not finished; run the same `rushes move` again" in half.stderr

    whole = report(service.run("move", "--to", to, "--json"))
    assert whole["rows"]["jobs"] == 8_001
    moved = start(data_dir=service.data_dir, **as_variables(settings))
    async with Client(moved, key.text) as client:
        assert (await client.job(job_id))["status"] == "completed"
        assert (await client.completed([(await client.create(prompt="the next"))["job_id"]]))[0][
            "status"
        ] == "completed"


def copied(url: str) -> int:
    try:
        return int(run_sql(url, "SELECT count(*) FROM jobs")[0][0])
    except Exception:  # noqa: BLE001 - the tables may not be there yet
        return 0


def multiply(database: Path, times: int) -> None:
    """Add finished jobs like the one that is there."""
    with sqlite3.connect(database) as connection:
        columns = [row[1] for row in connection.execute("PRAGMA table_info(jobs)") if row[1] not in ("seq", "id")]
        listed = ", ".join(columns)
        connection.execute(
            f"WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {times}) "
            f"INSERT INTO jobs (id, {listed}) SELECT printf('job_%024d', i), {listed} FROM jobs, n WHERE jobs.seq = 1"
        )
