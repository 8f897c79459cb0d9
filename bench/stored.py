"""Data directories that already hold something: a finished job, many copies of it, a large video behind it."""

from __future__ import annotations

import hashlib
import json
import os
import sqlite3
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from bench import load, server
from bench.machine import use_load_core

JOBS = "/api/v1/videos/jobs"
GENERATIONS = "/api/v1/videos/generations"
GENERATION = json.dumps(
    {"prompt": "A golden retriever playing in autumn leaves", "aspect_ratio": "16:9", "resolution": "720p"}
).encode()
SMALL_VIDEO = {"model": "animatic/storyboard", "duration": 1, "resolution": "360p", "generate_audio": False}
LONGEST_S = 60.0
"""When a job is given up: nothing here waits for ever."""

COPIES = """
WITH RECURSIVE number(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM number WHERE n < :copies)
INSERT INTO jobs ({columns}) SELECT {values} FROM jobs, number WHERE jobs.id = :id
"""


@contextmanager
def working_folder() -> Iterator[Path]:
    """An empty folder for one measurement, removed afterwards. It also takes this process to the load's core.

    In /var/tmp, for /tmp may be in memory, where an fsync costs nothing.
    """
    use_load_core()
    with tempfile.TemporaryDirectory(prefix="rushes-bench-", dir="/var/tmp") as folder:
        yield Path(folder)


def create_job(port: int, key: str, body: bytes = GENERATION) -> str:
    """Post a generation and return its job's id."""
    answer = load.call(port, load.request("POST", GENERATIONS, key=key, body=body))
    assert answer.status == 200, answer
    job_id: str = json.loads(answer.body)["job_id"]
    return job_id


def finish_a_job(folder: Path, **options: str) -> tuple[str, str]:
    """Let the service in `folder` draw one small video, asked for with `options`; returns the key and the job's id."""
    with server.rushes(folder, RUSHES_TEST_HOLD_S="0", RUSHES_POLL_INTERVAL_S="0.05") as service:
        key = server.key_in_test_mode(folder)
        job_id = create_job(
            service.port, key, json.dumps({"prompt": "a lighthouse", **SMALL_VIDEO, **options}).encode()
        )
        wait_for(service.port, key, job_id)
    return key, job_id


def wait_for(port: int, key: str, job_id: str) -> None:
    """Return once the job is completed."""
    give_up = time.monotonic() + LONGEST_S
    while (job := read_job(port, key, job_id))["status"] != "completed":
        assert job["status"] != "failed", job
        assert time.monotonic() < give_up, job
        time.sleep(0.05)  # noqa: TID251 - nothing else runs in this process


def read_job(port: int, key: str, job_id: str) -> dict[str, object]:
    """One job as the service answers it."""
    answer = load.call(port, load.request("GET", f"{JOBS}/{job_id}", key=key))
    assert answer.status == 200, answer
    content: dict[str, object] = json.loads(answer.body)
    return content


def copy_job(folder: Path, job_id: str, copies: int) -> None:
    """Store that many more jobs like this one, each a second younger than the one before."""
    with closing(_database(folder)) as database:
        # Nothing is lost that the next run would not make again, and sorted once at the end an index costs a fraction.
        for pragma in ("synchronous = OFF", "cache_size = -100000", "wal_autocheckpoint = 20000"):
            database.execute(f"PRAGMA {pragma}")
        indexes = database.execute(
            "SELECT name, sql FROM sqlite_master WHERE type = 'index' AND tbl_name = 'jobs' AND sql IS NOT NULL"
        ).fetchall()
        for name, _ in indexes:
            database.execute(f"DROP INDEX {name}")
        columns = [row[1] for row in database.execute("PRAGMA table_info(jobs)") if row[1] != "seq"]
        values = [
            {"id": "'job_' || printf('%024d', n)", "created_at": "created_at + 1000 * n"}.get(column, column)
            for column in columns
        ]
        database.execute(
            COPIES.format(columns=", ".join(columns), values=", ".join(values)), {"copies": copies, "id": job_id}
        )
        database.execute("UPDATE job_counts SET jobs = jobs + ? WHERE status = 'completed'", [copies])
        database.commit()
        for _, definition in indexes:
            database.execute(definition)
        database.execute("PRAGMA wal_checkpoint(TRUNCATE)")


def copy_into_queue(folder: Path, job_id: str, copies: int) -> None:
    """Let that many more jobs like this one wait behind it in its lane."""
    fresh = {
        "id": f"'job_' || printf('%024d', 1000000 * {copies} + n)", "turn": "turn + n", "state": "'queued'",
        "status": "'pending'", "lease": "NULL", "worker_id": "NULL", "in_slot": "0", "started_at": "NULL",
        "completed_at": "NULL", "outputs": "NULL", "provider_video_id": "NULL", "reserved_microusd": "0",
        "spent_microusd": "NULL", "error": "NULL", "error_code": "NULL", "provider_error": "NULL",
    }  # fmt: skip
    with closing(_database(folder)) as database, database:
        columns = [row[1] for row in database.execute("PRAGMA table_info(jobs)") if row[1] != "seq"]
        values = ", ".join(fresh.get(column, column) for column in columns)
        database.execute(COPIES.format(columns=", ".join(columns), values=values), {"copies": copies, "id": job_id})
        lane, account_id = database.execute("SELECT lane, account_id FROM jobs WHERE id = ?", [job_id]).fetchone()
        database.execute("UPDATE lanes SET ready = ready + ? WHERE lane = ?", [copies, lane])
        database.execute(
            "UPDATE job_counts SET jobs = jobs + ? WHERE account_id = ? AND status = 'pending'", [copies, account_id]
        )


def enlarge_video(folder: Path, job_id: str, size_bytes: int) -> Path:
    """Put random bytes of this size in place of the job's video; returns where they are."""
    with closing(_database(folder)) as database, database:
        (text,) = database.execute("SELECT outputs FROM jobs WHERE id = ?", [job_id]).fetchone()
        outputs = json.loads(text)
        (video,) = outputs["videos"]
        (path,) = server.data_dir(folder).rglob(Path(video["key"]).name)
        content = os.urandom(size_bytes)
        path.write_bytes(content)
        video |= {"size_bytes": size_bytes, "sha256": hashlib.sha256(content).hexdigest()}
        database.execute("UPDATE jobs SET outputs = ? WHERE id = ?", [json.dumps(outputs), job_id])
    return path


def commits(folder: Path) -> int:
    """How many transactions have changed the database, modulo 2**32: the counter in SQLite's index of its log."""
    with (server.data_dir(folder) / "rushes.db-shm").open("rb") as index:
        return int.from_bytes(index.read(12)[8:], sys.byteorder)


def _database(folder: Path) -> sqlite3.Connection:
    return sqlite3.connect(server.data_dir(folder) / "rushes.db", timeout=5)
