from __future__ import annotations

import asyncio
import json
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import asyncpg
import pytest
from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from sqlalchemy import create_engine
from sqlalchemy.pool import NullPool

from rushes.clock import SystemClock
from rushes.db import migrate
from rushes.db.migrate import (
    Migrated,
    Schema,
    check_current,
    is_current,
    known_versions,
    migrate_postgres,
    migrate_sqlite,
    outgrown,
    read_postgres,
    read_sqlite,
)
from rushes.db.sqlite import SqliteDatabase
from rushes.errors import StartupError
from tests.fixtures.postgres import run_sql, shared_server


def run(path: Path, sql: str) -> list[tuple[object, ...]]:
    connection = sqlite3.connect(path)
    try:
        rows = connection.execute(sql).fetchall()
        connection.commit()
        return rows
    finally:
        connection.close()


def schema(path: Path) -> list[tuple[object, ...]]:
    return run(path, "SELECT type, name, sql FROM sqlite_master ORDER BY type, name")


def test_the_versions_known_are_those_that_alembic_finds() -> None:
    config = Config()
    config.set_main_option("script_location", "rushes.db:migrations")
    scripts = ScriptDirectory.from_config(config)
    assert scripts.get_current_head() == known_versions()[-1]
    assert sorted(script.revision for script in scripts.walk_revisions()) == known_versions()


def test_a_new_database_is_brought_up_to_date(tmp_path: Path) -> None:
    path = tmp_path / "rushes.db"
    assert not is_current(path)
    assert migrate_sqlite(path) == Migrated(None, known_versions()[-1])
    assert is_current(path)
    assert run(path, "SELECT version_num FROM alembic_version") == [(known_versions()[-1],)]
    assert run(path, "SELECT COUNT(*) FROM jobs") == [(0,)]


def test_migrating_again_changes_nothing(tmp_path: Path) -> None:
    path = tmp_path / "rushes.db"
    migrate_sqlite(path)
    run(path, "INSERT INTO accounts (id, name, created_at) VALUES ('acct_1', 'alice', 0)")
    before = path.read_bytes()
    assert migrate_sqlite(path) == Migrated(known_versions()[-1], known_versions()[-1])
    assert path.read_bytes() == before


def test_the_steps_that_are_due_are_named_oldest_first(tmp_path: Path) -> None:
    path = tmp_path / "rushes.db"
    migrate_to(path, "0011")
    assert [name[:4] for name in read_sqlite(path).due] == known_versions()[11:]
    assert [name[:4] for name in read_sqlite(tmp_path / "nothing.db").due] == known_versions()
    assert migrate_sqlite(path) == Migrated("0011", known_versions()[-1])
    assert read_sqlite(path).due == []


@pytest.mark.parametrize(("schema", "words"), [(Schema(), "no schema yet"), (Schema("0011"), "older rushes .0011")])
def test_whoever_does_not_migrate_is_told_what_to_run(schema: Schema, words: str) -> None:
    with pytest.raises(StartupError, match=f"{words}.*rushes migrate"):
        check_current(schema, "the database")


def test_a_new_file_and_one_brought_up_step_by_step_have_the_same_floor(tmp_path: Path) -> None:
    migrate_sqlite(tmp_path / "new.db")
    migrate_to(tmp_path / "old.db", "0001")
    migrate_sqlite(tmp_path / "old.db")
    floor = read_sqlite(tmp_path / "new.db").floor
    assert floor is not None
    assert floor == read_sqlite(tmp_path / "old.db").floor
    assert floor in known_versions()


def test_a_migration_that_breaks_off_leaves_nothing_and_can_be_done_again(tmp_path: Path) -> None:
    path = tmp_path / "rushes.db"
    run(path, "CREATE TABLE workers (in_the_way TEXT)")
    before = schema(path)
    with pytest.raises(StartupError, match="could not be brought up to date"):
        migrate_sqlite(path)
    assert schema(path) == before
    run(path, "DROP TABLE workers")
    migrate_sqlite(path)
    assert is_current(path)


def migrate_to(path: Path, version: str) -> None:
    config = Config()
    config.set_main_option("script_location", "rushes.db:migrations")
    engine = create_engine(f"sqlite:///{path}", poolclass=NullPool)
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, version)


def old_job(path: Path, job_id: str, **given: object) -> None:
    """A job of 3.20 USD from before there was a ledger, accepted on 2026-11-22."""
    plain = {
        "id": job_id, "account_id": "acct_1", "key_id": "key_1", "state": "x", "status": "in_progress", "provider": "p",
        "model": "m", "served_provider": "p", "served_model": "m", "request": "{}", "response_format": "url",
        "cost_usd": "3.20", "usual_s": 1, "warnings": "[]", "lane": "l", "available_at": 0, "deadline_at": 0,
        "created_at": 1_795_305_600_000,
    }  # fmt: skip
    row = {**plain, **given}
    with sqlite3.connect(path) as connection:
        places = ", ".join(f":{name}" for name in row)
        connection.execute(f"INSERT INTO jobs ({', '.join(row)}) VALUES ({places})", row)
    connection.close()


def test_what_jobs_cost_before_the_ledger_is_in_it(tmp_path: Path) -> None:
    path = tmp_path / "rushes.db"
    migrate_to(path, "0006")
    fallbacks = json.dumps({"version": 1, "used": 0, "models": [{"cost_usd": "5.00"}, {"cost_usd": None}]})
    old_job(path, "job_running", fallbacks=fallbacks)
    old_job(path, "job_done", status="completed")
    old_job(path, "job_unpriced", status="completed", cost_usd=None)
    old_job(path, "job_unknown", status="failed", error_code="submission_unknown", started_at=1)
    old_job(path, "job_waited", status="failed", error_code="expired")
    old_job(path, "job_free", cost_usd="0")
    migrate_sqlite(path)
    assert run(path, "SELECT id, reserved_microusd, spent_microusd FROM jobs ORDER BY seq") == [
        ("job_running", 5_000_000, None),
        ("job_done", 0, 3_200_000),
        ("job_unpriced", 0, None),
        ("job_unknown", 3_200_000, 0),
        ("job_waited", 0, 0),
        ("job_free", 0, None),
    ]
    sums = [
        (key, period, 8_200_000, 3_200_000) for key in ("", "key_1") for period in ("2026-11", "2026-11-22", "ever")
    ]
    columns = "key_id, period, reserved_microusd, spent_microusd"
    assert run(path, f"SELECT {columns} FROM balances ORDER BY key_id, period") == sums
    assert run(path, "SELECT SUM(reserved_microusd), SUM(spent_microusd) FROM ledger") == [(8_200_000, 3_200_000)]
    assert run(path, "SELECT job_id, reserved_microusd FROM unsettled_jobs") == [("job_unknown", 3_200_000)]


def test_a_newer_schema_is_refused_and_left_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "rushes.db"
    migrate_sqlite(path)
    run(path, "UPDATE alembic_version SET version_num = '9999'")
    run(path, "UPDATE schema_floor SET version = '9998'")
    before = path.read_bytes()
    assert not is_current(path)
    with pytest.raises(StartupError, match=r"newer version of rushes .*9999"):
        migrate_sqlite(path)
    assert path.read_bytes() == before


def test_a_newer_schema_that_took_nothing_away_is_used_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "rushes.db"
    migrate_sqlite(path)
    run(path, "UPDATE alembic_version SET version_num = '9999'")
    before = path.read_bytes()
    assert is_current(path)
    assert migrate_sqlite(path) == Migrated("9999", "9999")
    assert path.read_bytes() == before


def test_a_newer_schema_without_a_floor_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "rushes.db"
    migrate_sqlite(path)
    run(path, "UPDATE alembic_version SET version_num = '9999'")
    run(path, "DELETE FROM schema_floor")
    with pytest.raises(StartupError, match="newer version of rushes"):
        migrate_sqlite(path)


async def test_a_process_learns_that_its_database_was_moved_beyond_it(tmp_path: Path) -> None:
    path = tmp_path / "rushes.db"
    migrate_sqlite(path)
    database = SqliteDatabase(path, SystemClock())
    assert await outgrown(database) is None
    run(path, "UPDATE schema_floor SET version = '9998'")
    assert "9998 or newer" in str(await outgrown(database))
    await database.close()


def test_a_file_that_is_no_database_is_refused_and_left_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "rushes.db"
    path.write_bytes(b"a diary" * 1000)
    assert not is_current(path)
    with pytest.raises(StartupError, match="cannot be read as a rushes database"):
        migrate_sqlite(path)
    assert path.read_bytes() == b"a diary" * 1000


def test_a_directory_that_is_not_there_is_a_clear_error(tmp_path: Path) -> None:
    with pytest.raises(StartupError):
        migrate_sqlite(tmp_path / "nowhere" / "rushes.db")


@pytest.mark.parametrize("name", ["with space", "100%25", "what?", "hash#tag", "ümlaut"])
def test_any_name_of_a_directory_will_do(tmp_path: Path, name: str) -> None:
    folder = tmp_path / name
    folder.mkdir()
    migrate_sqlite(folder / "rushes.db")
    assert [entry.name for entry in folder.iterdir()] == ["rushes.db"]


@pytest.mark.parametrize(
    ("query", "index"),
    [
        (("SELECT seq FROM jobs WHERE state IN ('queued', 'rerouted') AND lease IS NULL AND deadline_at <= 1"
          " ORDER BY deadline_at"),
         "jobs_overdue"),
        (
            ("SELECT seq FROM jobs WHERE lane = 'a' AND state IN ('queued', 'rerouted') AND lease IS NULL"
            " AND held = 0 ORDER BY turn, seq"),
            "COVERING INDEX jobs_ready",
        ),
        (
            ("SELECT seq FROM jobs WHERE state IN ('queued', 'rerouted') AND lease IS NULL"
            " AND held = 1 AND available_at <= 5 ORDER BY available_at"),
            "jobs_held",
        ),
        (
            ("SELECT MAX(turn) FROM jobs WHERE lane = 'a' AND account_id = 'b'"
            " AND state IN ('queued', 'rerouted') AND lease IS NULL AND turn > 5"),
            "COVERING INDEX jobs_by_turn",
        ),
        (
            (
                "SELECT seq FROM jobs WHERE lease IS NULL"
                " AND state IN ('submitting', 'running', 'storing', 'recovering') ORDER BY seq"
            ),
            "jobs_unowned",
        ),
        ("SELECT id FROM jobs WHERE worker_id = 'worker_1'", "jobs_leased"),
        ("SELECT * FROM ledger WHERE account_id = 'a' ORDER BY seq DESC LIMIT 20", "ledger_by_account"),
        ("SELECT * FROM ledger WHERE account_id = 'a' AND kind = 'settle' ORDER BY seq DESC", "ledger_by_account_kind"),
        ("SELECT * FROM ledger WHERE account_id = 'a' AND job_id = 'j' ORDER BY seq DESC", "ledger_by_account_job"),
        ("SELECT seq FROM ledger WHERE account_id = 'a' AND at >= 5 ORDER BY at LIMIT 1", "ledger_by_account_time"),
        ("SELECT id FROM jobs WHERE account_id = 'a' ORDER BY seq DESC", "jobs_by_account"),
        ("SELECT id FROM jobs WHERE account_id = 'a' AND seq > 5 ORDER BY seq ASC", "jobs_by_account"),
        ("SELECT id FROM jobs WHERE tenant = 'a' ORDER BY seq DESC", "jobs_by_tenant"),
        ("SELECT id FROM jobs WHERE tenant = 'a' AND status = 'failed' ORDER BY seq DESC", "jobs_by_tenant_status"),
        ("SELECT id FROM jobs WHERE tenant <> account_id AND seq < 5 ORDER BY seq DESC LIMIT 9", "jobs_of_test_keys"),
        ("SELECT id FROM webhook_deliveries WHERE tenant = 'a' ORDER BY seq DESC", "webhook_deliveries_by_tenant"),
        ("SELECT account_id, key_id, COUNT(*) FROM jobs WHERE in_slot = 1 AND byok = 0 GROUP BY account_id, key_id",
         "jobs_in_flight"),
        ("SELECT job_id FROM attempts WHERE state = 'failed' AND error_code IN ('submission_unknown', 'output_lost')",
         "attempts_unsettled"),
        ("SELECT 1 FROM jobs WHERE key_id = 'key_1' AND status = 'pending' LIMIT 5", "jobs_pending_by_key"),
        ("SELECT * FROM accounts WHERE (created_at, id) > (1, 'a') ORDER BY created_at, id", "accounts_by_time"),
        ("SELECT * FROM api_keys WHERE account_id = 'a' AND (created_at, id) > (1, 'a') ORDER BY created_at, id",
         "api_keys_by_account"),
    ],
)  # fmt: skip
def test_what_is_asked_all_the_time_is_found_through_an_index(tmp_path: Path, query: str, index: str) -> None:
    path = tmp_path / "rushes.db"
    migrate_sqlite(path)
    plan = " ".join(str(row[-1]) for row in run(path, f"EXPLAIN QUERY PLAN {query}"))
    assert index in plan
    assert "TEMP B-TREE" not in plan


LIVE_DAY = 1_795_305_600_000 // 86_400_000
BEFORE_MODES = [
    "INSERT INTO accounts (id, name, created_at) VALUES ('acct_1', 'one', 0)",
    *(
        "INSERT INTO api_keys (id, account_id, name, mode, hint, hash, created_at) "
        f"VALUES ('key_{mode}', 'acct_1', '', '{mode}', '', '{mode}', 0)"
        for mode in ("live", "test")
    ),
    *(
        "INSERT INTO jobs (id, account_id, key_id, state, status, provider, model, served_provider, served_model, "
        "request, response_format, cost_usd, usual_s, warnings, lane, available_at, deadline_at, created_at, user_tag) "
        f"VALUES ('{job}', 'acct_1', 'key_{key}', 'x', '{status}', 'p', 'm', 'p', 'm', '{{}}', 'url', '0', 1, '[]', "
        f"'l', 0, 0, 1795305600000, {user})"
        for job, key, status, user in (
            ("job_live", "live", "completed", "'anna'"),
            ("job_test", "test", "completed", "'anna'"),
            ("job_failed", "test", "failed", "NULL"),
            ("job_gone", "gone", "completed", "NULL"),
        )
    ),
    "INSERT INTO job_counts VALUES ('acct_1', 'completed', 3), ('acct_1', 'failed', 1)",
    f"INSERT INTO usage_rollups VALUES ('acct_1', {LIVE_DAY}, 'p', 'm', 4, 3, 1, 0, 0)",
    f"INSERT INTO user_usage_rollups VALUES ('acct_1', {LIVE_DAY}, 'anna', 2, 2, 0, 0, 0)",
    *(
        "INSERT INTO idempotency (account_id, route, key, body_hash, answer, created_at) "
        f"VALUES ('acct_1', 'r', '{job}', '', '{{\"job_id\": \"{job}\"}}', 0)"
        for job in ("job_live", "job_test")
    ),
    (
        "INSERT INTO webhook_endpoints (id, account_id, url, enabled, sealed, created_at) "
        "VALUES ('whe_1', 'acct_1', 'u', 1, '', 0)"
    ),
    *(
        "INSERT INTO webhook_deliveries (id, account_id, endpoint_id, shown_url, lane, job_id, type, event_at, state, "
        "next_attempt_at, created_at) "
        f"VALUES ('msg_{number}', 'acct_1', {endpoint}, '', '', 'job_test', '', 0, '', 0, 0)"
        for number, endpoint in enumerate(("'whe_1'", "NULL"))
    ),
]
AFTER_MODES = {
    "SELECT id, tenant FROM jobs ORDER BY id": [
        ("job_failed", "acct_1/test"),
        ("job_gone", "acct_1"),
        ("job_live", "acct_1"),
        ("job_test", "acct_1/test"),
    ],
    "SELECT account_id, status, jobs FROM job_counts ORDER BY 1, 2": [
        ("acct_1", "completed", 2),
        ("acct_1", "failed", 0),
        ("acct_1/test", "completed", 1),
        ("acct_1/test", "failed", 1),
    ],
    "SELECT account_id, jobs, completed, failed FROM usage_rollups ORDER BY 1": [
        ("acct_1", 2, 2, 0),
        ("acct_1/test", 2, 1, 1),
    ],
    "SELECT account_id, user_tag, jobs, completed FROM user_usage_rollups ORDER BY 1": [
        ("acct_1", "anna", 1, 1),
        ("acct_1/test", "anna", 1, 1),
    ],
    "SELECT account_id, key FROM idempotency ORDER BY 1": [("acct_1", "job_live"), ("acct_1/test", "job_test")],
    "SELECT tenant FROM webhook_endpoints": [("acct_1",)],
    "SELECT id, tenant FROM webhook_deliveries ORDER BY 1": [("msg_0", "acct_1"), ("msg_1", "acct_1/test")],
}


def test_jobs_from_before_are_of_the_mode_of_the_key_that_made_them(tmp_path: Path) -> None:
    path = tmp_path / "rushes.db"
    migrate_to(path, "0019")
    for sql in BEFORE_MODES:
        run(path, sql)
    migrate_sqlite(path)
    assert {sql: run(path, sql) for sql in AFTER_MODES} == AFTER_MODES


# Postgres.


@pytest.fixture
def blank() -> str:
    return shared_server().blank()


@pytest.fixture
def migrated() -> Iterator[str]:
    url = shared_server().fresh()
    yield url
    run_sql(url, f"UPDATE alembic_version SET version_num = '{known_versions()[-1]}'")
    run_sql(url, f"UPDATE schema_floor SET version = '{known_versions()[-1]}'")
    shared_server().done_with(url)


async def test_processes_that_migrate_an_empty_postgres_at_once_all_succeed(blank: str) -> None:
    await asyncio.gather(*(migrate_postgres(blank) for _ in range(4)))
    assert run_sql(blank, "SELECT version_num FROM alembic_version") == [(known_versions()[-1],)]


async def test_jobs_on_postgres_are_of_the_mode_of_the_key_that_made_them(
    blank: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    upgrade = command.upgrade
    with monkeypatch.context() as patched:
        patched.setattr(command, "upgrade", lambda config, _head: upgrade(config, "0019"))
        await migrate_postgres(blank)
    for sql in BEFORE_MODES:
        run_sql(blank, sql)
    await migrate_postgres(blank)
    assert {sql: run_sql(blank, sql) for sql in AFTER_MODES} == AFTER_MODES


async def test_a_newer_schema_on_postgres_is_refused(migrated: str) -> None:
    run_sql(migrated, "UPDATE alembic_version SET version_num = '9999'")
    run_sql(migrated, "UPDATE schema_floor SET version = '9998'")
    with pytest.raises(StartupError, match=r"newer version of rushes .*9999"):
        await migrate_postgres(migrated)


async def test_a_newer_schema_on_postgres_that_took_nothing_away_is_used_as_it_is(migrated: str) -> None:
    run_sql(migrated, "UPDATE alembic_version SET version_num = '9999'")
    assert await migrate_postgres(migrated) == Migrated("9999", "9999")
    assert (await read_postgres(migrated)).due == ()


async def test_a_step_gives_way_while_others_hold_a_table_and_is_done_when_they_let_go(
    blank: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(migrate, "LOCK_PAUSE_S", 0.01)
    monkeypatch.setattr(migrate, "LOCK_S", 0.05)
    monkeypatch.setattr(migrate, "LOCK_TRIES", 10_000)
    # All steps are due, and each of them touches the one table that there is already.
    run_sql(blank, "CREATE TABLE alembic_version (version_num varchar(32) PRIMARY KEY)")
    holder = await asyncpg.connect(blank)
    try:
        await holder.execute("BEGIN")
        await holder.execute("LOCK TABLE alembic_version IN SHARE MODE")
        with monkeypatch.context() as impatient:
            impatient.setattr(migrate, "LOCK_TRIES", 2)
            with pytest.raises(StartupError, match="locked"):
                await migrate_postgres(blank)
        migrating = asyncio.create_task(migrate_postgres(blank))
        done, _ = await asyncio.wait({migrating}, timeout=0.2)
        assert not done
        await holder.execute("COMMIT")
        assert (await migrating).after == known_versions()[-1]
    finally:
        await holder.close()


async def test_steps_that_break_off_leave_nothing_on_postgres(blank: str) -> None:
    run_sql(blank, "CREATE TABLE workers (in_the_way text)")
    with pytest.raises(StartupError, match="could not be brought up to date"):
        await migrate_postgres(blank)
    assert run_sql(blank, "SELECT tablename FROM pg_tables WHERE schemaname = 'public'") == [("workers",)]


def test_both_databases_have_the_same_columns_and_indexes(tmp_path: Path, migrated: str) -> None:
    path = tmp_path / "rushes.db"
    migrate_sqlite(path)
    ours = "SELECT m.name, c.name FROM sqlite_master m JOIN pragma_table_info(m.name) c WHERE m.type = 'table'"
    columns = "SELECT table_name::text, column_name::text FROM information_schema.columns WHERE table_schema = 'public'"
    assert {row for row in run(path, ours) if row[0] != "sqlite_sequence"} == set(run_sql(migrated, columns))
    named = run(path, "SELECT name FROM sqlite_master WHERE type = 'index' AND name NOT LIKE 'sqlite_%'")
    indexes = "SELECT indexname::text FROM pg_indexes WHERE schemaname = 'public'"
    assert {row[0] for row in named} <= {row[0] for row in run_sql(migrated, indexes)}
