"""Starts that cannot succeed: one clear line, a failing exit code, nothing harmed."""

from __future__ import annotations

import re
import socket
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from tests.e2e.conftest import Start, Tmpfs
from tests.fixtures.service import Client, Service, remount_tmpfs


def refused(service: Service, *arguments: str, **settings: object) -> str:
    """The one line with which `serve` refuses to start."""
    ended = service.run("serve", "--port", "0", *arguments, **settings)
    assert ended.returncode not in (0, None), ended
    lines = ended.stderr.splitlines()
    assert len(lines) == 1, ended.stderr
    assert lines[0].startswith("rushes: ")
    assert len(lines[0]) < 500
    return lines[0]


def test_a_port_in_use_is_named(start: Start) -> None:
    with closing(socket.create_server(("127.0.0.1", 0))) as taken:
        port = taken.getsockname()[1]
        line = refused(start(running=False), "--port", str(port))
    assert str(port) in line
    assert "in use" in line
    assert "--port" in line


@pytest.mark.parametrize("host", ["192.0.2.1", "no such host"])
def test_an_address_that_is_not_ours_is_named(start: Start, host: str) -> None:
    assert host in refused(start(running=False), "--host", host)


async def test_a_second_service_on_one_data_directory_is_refused_and_the_first_unharmed(start: Start) -> None:
    first = start()
    line = refused(first)
    assert str(first.data_dir) in line
    assert "in use" in line
    async with Client(first, first.key().text) as client:
        assert (await client.reached((await client.create())["job_id"]))["status"] == "completed"


def test_a_data_directory_of_a_newer_version_is_refused_and_left_alone(start: Start) -> None:
    service = start(running=False)
    service.key()
    service.change("UPDATE alembic_version SET version_num = '9999'")
    service.change("UPDATE schema_floor SET version = '9998'")
    before = (service.data_dir / "rushes.db").read_bytes()
    for line in (refused(service), service.run("keys", "create").stderr):
        assert "newer version of rushes" in line
        assert "9999" in line
    assert (service.data_dir / "rushes.db").read_bytes() == before


def test_a_data_directory_that_is_a_file_is_refused(start: Start) -> None:
    service = start(running=False)
    service.data_dir.write_text("not a directory")
    assert str(service.data_dir) in refused(service)
    made = service.run("keys", "create")
    assert (made.returncode, made.stdout) == (1, "")
    assert len(made.stderr.splitlines()) == 1


def test_a_data_directory_below_a_file_is_refused(start: Start, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("not a directory")
    service = start(running=False, data_dir=tmp_path / "file" / "data")
    assert str(service.data_dir) in refused(service)


@pytest.mark.parametrize("damage", ["not a database", "", "half"])
def test_a_damaged_database_is_refused_or_made_anew_if_it_was_empty(start: Start, damage: str) -> None:
    service = start(running=False)
    service.key()
    path = service.data_dir / "rushes.db"
    for beside in service.data_dir.glob("rushes.db-*"):
        beside.unlink()
    whole = path.read_bytes()
    if damage == "half":
        path.write_bytes(whole[:4096] + b"\xa5" * (len(whole) - 4096))
    else:
        path.write_text(damage * 500)
    if damage == "":
        service.start()
        return
    line = refused(service)
    assert str(path) in line or "database" in line


def test_a_database_of_something_else_is_refused(start: Start) -> None:
    service = start(running=False)
    service.data_dir.mkdir()
    with closing(sqlite3.connect(service.data_dir / "rushes.db")) as database:
        database.execute("CREATE TABLE jobs (x)")
        database.commit()
    assert "database" in refused(service)


def test_a_damaged_secret_key_is_refused(start: Start) -> None:
    service = start()
    assert service.stop() == 0
    for content in ("", "short", "\x00\xff"):
        (service.data_dir / "secret.key").write_text(content)
        assert "secret.key" in refused(service)


def test_a_read_only_data_directory_is_refused(start: Start, tmpfs: Tmpfs, tmp_path: Path) -> None:
    folder = tmpfs(tmp_path / "read-only", "size=4m")
    service = start(running=False, data_dir=folder / "data")
    service.key()
    remount_tmpfs(folder, "ro")
    assert str(service.data_dir) in refused(service)
    made = service.run("keys", "create")
    assert (made.returncode, made.stdout) == (1, "")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("RUSHES_LINK_TTL_S", "abc"),
        ("RUSHES_LINK_TTL_S", ""),
        ("RUSHES_TEST_HOLD_S", "-1"),
        ("RUSHES_POLL_INTERVAL_S", "nan"),
        ("RUSHES_LOG_LEVEL", "loud"),
        ("RUSHES_CHILD_PROCESSES", "1000"),
        ("RUSHES_PROVIDERS__GOOGLE__API_KYE", "x"),
        ("RUSHES_PROVIDERS", "abc"),
        ("RUSHES_LEASE_S", "inf"),
    ],
)
def test_a_setting_that_cannot_be_used_is_named(start: Start, name: str, value: str) -> None:
    line = refused(start(running=False), **{name: value})
    assert "rushes.toml" not in line
    section, _, option = name.removeprefix("RUSHES_").lower().replace("__", ".").rpartition(".")
    assert section in line.lower()
    assert option in line.lower()


@pytest.mark.parametrize("value", ["", "short,also-short"])
def test_a_secret_key_that_is_too_weak_is_refused_without_showing_it(start: Start, value: str) -> None:
    line = refused(start(running=False), RUSHES_SECRET_KEYS=value)
    assert "secret" in line.lower()
    assert "also-short" not in line


def test_a_settings_file_that_cannot_be_read_is_named(start: Start) -> None:
    service = start(running=False)
    (service.folder / "rushes.toml").write_text("link_ttl_s = [")
    assert "rushes.toml" in refused(service)
    (service.folder / "rushes.toml").write_text("link_tll_s = 5\n")
    assert "link_tll_s" in refused(service)


def test_keys_can_be_made_before_and_while_the_service_runs(start: Start) -> None:
    service = start(running=False)
    before = service.key()
    service.start()
    beside = service.key()
    assert before.text != beside.text
    assert {before.id, beside.id} <= set(re.findall(r"key_\w+", service.run("keys", "list").stdout))


async def test_no_file_of_the_data_directory_holds_a_key(start: Start) -> None:
    service = start(running=False)
    before = service.key()
    service.start()
    beside = service.key(test=False)
    for key in (before, beside):
        async with Client(service, key.text) as client:
            await client.reached((await client.create())["job_id"])
    assert service.stop() == 0
    files = [path for path in service.data_dir.rglob("*") if path.is_file()]
    assert service.data_dir / "rushes.db" in files
    for path in files:
        content = path.read_bytes()
        for key in (before, beside):
            assert key.text.rpartition("_")[2].encode() not in content, path
    for private in (service.data_dir, service.data_dir / "secret.key"):
        assert private.stat().st_mode & 0o077 == 0, private
