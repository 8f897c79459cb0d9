"""`rushes move` in trouble: one line says what and where, nothing is lost, and the same command goes on afterwards."""

from __future__ import annotations

import json
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.conftest import Tmpfs
from tests.fixtures.postgres import PostgresServer, run_sql, shared_server
from tests.fixtures.s3 import KEY_ID, SECRET, Gate, S3Server, refusal, s3, s3_server
from tests.fixtures.service import Service, remount_tmpfs, until
from tests.fixtures.time_limits import GENEROUS_S

__all__ = ["s3"]

KEYS = "0123456789abcdef0123456789abcdef"
FILES = 12
JOBS = 5_000
FINISHED_JOBS = """
WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < :most)
INSERT INTO jobs (
    id, account_id, key_id, state, status, provider, model, served_provider, served_model, request, response_format,
    usual_s, warnings, lane, available_at, deadline_at, created_at, spent_microusd
)
SELECT printf('job_%024d', i), account_id, api_keys.id, 'failed', 'failed', 'animatic', 'fail', 'animatic', 'fail',
    '{}', 'url', 1, '[]', 'animatic', 1, 1, 1, 250000
FROM n, api_keys
"""
GOES_ON = "What was copied stays: run the same command again, and the move goes on"


@pytest.fixture(scope="module")
def old(tmp_path_factory: pytest.TempPathFactory) -> Service:
    """A stopped service with some files and many jobs, which no move changes."""
    folder = tmp_path_factory.mktemp("old")
    service = Service(folder, RUSHES_SECRET_KEYS=KEYS)
    service.key()
    for number in range(FILES):
        path = service.data_dir / "storage" / "videos" / f"{number:02}" / "a.mp4"
        path.parent.mkdir(parents=True)
        path.write_bytes(os.urandom(100_000))
    with closing(sqlite3.connect(service.data_dir / "rushes.db")) as database, database:
        database.execute(FINISHED_JOBS, {"most": JOBS})
    return service


@pytest.fixture
def to(tmp_path: Path) -> Callable[..., Path]:
    """Writes the settings of a target."""

    def write(**settings: object) -> Path:
        path = tmp_path / "to.toml"
        path.write_text("".join(f"{name} = {json.dumps(value)}\n" for name, value in settings.items()))
        return path

    return write


def move(service: Service, target: Path, *arguments: str, **settings: object) -> subprocess.CompletedProcess[str]:
    done = service.run("move", "--to", target, *arguments, **settings)
    assert "Traceback" not in done.stderr
    return done


def refused(service: Service, target: Path, *arguments: str, **settings: object) -> str:
    """What a move says that ends with 1: one line."""
    done = move(service, target, *arguments, **settings)
    assert (done.returncode, done.stdout) == (1, "")
    (line,) = [line for line in done.stderr.splitlines() if "[warning]" not in line]
    return line


def bucket(url: str, name: str) -> dict[str, Any]:
    return {
        "storage_url": f"s3://{name}/v",
        "storage_endpoint_url": url,
        "storage_region": "us-east-1",
        "storage_access_key_id": KEY_ID,
        "storage_secret_access_key": SECRET,
        "secret_keys": KEYS,
    }


def as_variables(settings: dict[str, Any]) -> dict[str, Any]:
    return {f"RUSHES_{name.upper()}": value for name, value in settings.items()}


@pytest.fixture
def gate(s3: S3Server) -> Iterator[Gate]:
    opened = Gate(s3)
    yield opened
    opened.close()


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"this is = = wrong", "at line 1"),
        (b"\xff\xfe\x00", "can't decode byte"),
        (b"database_ulr = 'x'", "database_ulr"),
        (b"data_dir = 5", "data_dir"),
        (None, "is not a file; it holds settings as rushes.toml does"),
    ],
)
def test_a_file_that_holds_no_settings_is_refused(
    old: Service, tmp_path: Path, content: bytes | None, words: str
) -> None:
    path = tmp_path / "to.toml"
    if content is not None:
        path.write_bytes(content)
    line = refused(old, path)
    assert words in line
    assert str(path) in line


@pytest.mark.parametrize("arguments", [(), ("--dry-run",)])
def test_a_target_that_cannot_be_used_is_named_also_by_a_dry_run(
    old: Service, to: Callable[..., Path], s3: S3Server, arguments: tuple[str, ...]
) -> None:
    line = refused(old, to(**bucket(s3.url, "no-such-bucket")), *arguments)
    assert "the target's storage 's3://no-such-bucket/v' cannot be used: The media storage has no such bucket" in line
    line = refused(old, to(**bucket("http://127.0.0.1:9", "films")), *arguments)
    assert "the target's storage 's3://films/v' cannot be used: The media storage cannot be reached" in line
    nobody = "postgresql://u:hunter2@127.0.0.1:9/films"
    line = refused(old, to(database_url=nobody, secret_keys=KEYS), *arguments)
    assert "no database server listens at '127.0.0.1:9/films'" in line
    assert "hunter2" not in line


def test_files_go_on_after_the_bucket_was_away_and_from_one_bucket_to_another(
    old: Service, to: Callable[..., Path], s3: S3Server, gate: Gate
) -> None:
    first = bucket(gate.url, s3.new_bucket())
    stored = old.data_dir / "storage" / "videos"
    strange = stored / "a b%2F?é'.mp4"
    strange.write_bytes(b"x")
    (stored / "to-nowhere.mp4").symlink_to("nowhere")
    os.mkfifo(stored / "pipe.mp4")
    try:
        puts = 0

        def away(line: str) -> bytes | None:
            nonlocal puts
            puts += line.startswith("PUT") and "/videos/" in line
            return b"" if puts > FILES // 2 else None

        gate.answer = away
        line = refused(old, to(**first))
        assert "target: The media storage" in line
        assert line.endswith(GOES_ON)
        gate.answer = lambda line: None
        whole = move(old, to(**first), "--json")
    finally:
        for path in (strange, stored / "to-nowhere.mp4", stored / "pipe.mp4"):
            path.unlink()
    assert whole.returncode == 0, whole.stderr
    assert "is no file of a service, by its name; it stays where it is" in whole.stderr
    plan = json.loads(whole.stdout)
    assert (plan["count"], plan["foreign"], plan["missing"]) == (FILES, ["videos/a b%2F?é'.mp4"], [])

    with s3_server() as other:
        second = to(**bucket(other.url, other.new_bucket()))
        gate.answer = lambda line: refusal(403, "AccessDenied") if "/03/a.mp4" in line else None
        line = refused(old, second, **as_variables(first))
        assert "'videos/03/a.mp4' cannot be read from the source: The media storage denies us" in line
        # From now on nothing may be written to the source.
        gate.answer = lambda line: None if line.startswith(("GET", "HEAD")) else refusal(403, "AccessDenied")
        moved = move(old, second, **as_variables(first))
        assert moved.returncode == 0, moved.stderr
        assert f"{FILES} files, {FILES * 100_000:,} bytes, compared by SHA-256" in moved.stdout
        assert f"{first['storage_url']} at {gate.url} to " in moved.stdout
        assert len(other.everything("bucket-1")) == FILES


def test_a_full_disk_is_named_and_the_move_goes_on_when_there_is_room(
    old: Service, to: Callable[..., Path], tmp_path: Path, tmpfs: Tmpfs
) -> None:
    disk = tmpfs(tmp_path / "disk", "size=600k")
    target = to(data_dir=str(disk / "data"), secret_keys=KEYS)
    line = refused(old, target)
    assert "cannot be written to the target: The media storage is full" in line
    assert line.endswith(GOES_ON)
    remount_tmpfs(disk, f"size={FILES * 100 + 2_600}k")
    line = refused(old, target)
    assert "full" in line
    remount_tmpfs(disk, "size=64m")
    assert move(old, target).returncode == 0
    doctor = Service(tmp_path, data_dir=disk / "data", RUSHES_SECRET_KEYS=KEYS).run("doctor")
    assert doctor.returncode == 0, doctor.stdout


async def test_rows_go_on_after_the_database_was_killed_and_after_ctrl_c_and_to_another_postgres(
    old: Service, to: Callable[..., Path], tmp_path: Path
) -> None:
    server = PostgresServer()
    try:
        url = server.blank()
        target = to(database_url=url, secret_keys=KEYS)
        moving = begun(old, target, tmp_path / "first")
        await until(lambda: moving.poll() is not None or jobs_in(url) > 0)
        server.kill()
        assert moving.wait(GENEROUS_S) == 1
        said = (tmp_path / "first").read_text()
        assert "Traceback" not in said
        assert said.rstrip().endswith(GOES_ON)
        assert "no database server listens" in refused(old, target)
        server.start()
        before = jobs_in(url)
        assert before < JOBS
        moving = begun(old, target, tmp_path / "second")
        await until(lambda: moving.poll() is not None or jobs_in(url) > before)
        moving.send_signal(signal.SIGINT)
        assert moving.wait(GENEROUS_S) == 130
        assert (tmp_path / "second").read_text() == f"Interrupted. {GOES_ON}\n"
        assert move(old, target).returncode == 0

        last = shared_server().fresh()
        again = move(old, to(database_url=last, secret_keys=KEYS), **as_variables({"database_url": url}))
        assert again.returncode == 0, again.stderr
        assert f"jobs.spent_microusd: {JOBS // 4:,}.000000 USD on both sides" in again.stdout
        assert jobs_in(last) == JOBS
        shared_server().done_with(last)
    finally:
        server.remove()


def begun(service: Service, target: Path, said: Path) -> subprocess.Popen[bytes]:
    program = Path(sys.executable).with_name("rushes")
    environment = {"PATH": os.defpath, "HOME": str(service.folder), "RUSHES_SECRET_KEYS": KEYS}
    with said.open("wb") as errors:
        return subprocess.Popen(
            [program, "move", "--to", target, "--data-dir", service.data_dir],
            stdout=subprocess.DEVNULL,
            stderr=errors,
            cwd=service.folder,
            env=environment,
        )


def jobs_in(url: str) -> int:
    try:
        return int(run_sql(url, "SELECT count(*) FROM jobs")[0][0])
    except Exception:  # noqa: BLE001 - the tables may not be there yet
        return 0


@pytest.mark.parametrize(
    ("version", "words"),
    [
        ("0020", "has the schema of an older rushes (0020"),
        ("9999", "has the schema of a newer rushes (9999"),
    ],
)
def test_a_source_of_another_release_is_refused_also_if_this_one_could_serve_it(
    old: Service, to: Callable[..., Path], tmp_path: Path, version: str, words: str
) -> None:
    """A newer schema may have columns that this release would leave behind."""
    copy = Service(tmp_path, data_dir=tmp_path / "copy", RUSHES_SECRET_KEYS=KEYS)
    copy.data_dir.mkdir()
    shutil.copy2(old.data_dir / "rushes.db", copy.data_dir)
    copy.change("UPDATE alembic_version SET version_num = ?", version)
    target = to(data_dir=str(tmp_path / "new"), secret_keys=KEYS)
    line = refused(copy, target)
    assert "the source" in line
    assert words in line
    copy.change("UPDATE alembic_version SET version_num = ?", "9999")
    line = refused(old, to(data_dir=str(copy.data_dir), secret_keys=KEYS))
    assert "the target" in line
    assert "has the schema of a newer rushes (9999" in line
