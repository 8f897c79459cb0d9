"""`rushes migrate` on SQLite; tests/integration/db/test_migrate.py tests the database, on Postgres too."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from rushes.cli.commands import app
from rushes.data_directory import DataDirectory
from rushes.db.migrate import known_versions
from rushes.errors import StartupError

NEWEST = known_versions()[-1]


def migrate(data_dir: Path, *arguments: str) -> Result:
    return CliRunner().invoke(app, ["migrate", *arguments, "--data-dir", str(data_dir)])


def test_a_check_names_what_is_due_and_changes_nothing(tmp_path: Path) -> None:
    done = migrate(tmp_path / "data", "--check")
    assert done.exit_code == 1
    assert done.stdout.startswith("the schema is not created yet; due: 0001_first_light, 0002_inputs, ")
    assert list(tmp_path.iterdir()) == []


def test_it_says_from_which_version_to_which_and_then_that_nothing_is_due(tmp_path: Path) -> None:
    assert migrate(tmp_path).stdout == f"the schema was created: {NEWEST}\n"
    assert migrate(tmp_path).stdout == f"the schema is {NEWEST}; no migration was due\n"
    checked = migrate(tmp_path, "--check")
    assert (checked.exit_code, checked.stdout) == (0, f"the schema is {NEWEST}; no migration is due\n")


def test_under_a_running_service_only_a_check_is_done(tmp_path: Path) -> None:
    migrate(tmp_path)
    with DataDirectory(tmp_path).lock():
        assert isinstance(migrate(tmp_path).exception, StartupError)
        assert migrate(tmp_path, "--check").exit_code == 0


def test_a_database_that_a_start_may_not_upgrade_is_not_upgraded_by_a_command_either(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RUSHES_MIGRATE_ON_START", "false")
    (tmp_path / "rushes.db").touch()
    done = CliRunner().invoke(app, ["keys", "create", "--data-dir", str(tmp_path)])
    assert isinstance(done.exception, StartupError)
    assert "run `rushes migrate`" in done.exception.message
    assert (tmp_path / "rushes.db").stat().st_size == 0
