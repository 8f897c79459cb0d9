from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from rushes.cli.commands import app
from rushes.errors import AccountNameTaken, AccountNotFound, KeyNotFound


def run(data_dir: Path, *arguments: str) -> Result:
    return CliRunner().invoke(app, [*arguments, "--data-dir", str(data_dir)])


def done(data_dir: Path, *arguments: str) -> str:
    result = run(data_dir, *arguments)
    assert result.exit_code == 0, result.output
    return result.stdout


def test_an_account_is_found_by_its_name_and_by_its_id(tmp_path: Path) -> None:
    account_id = done(tmp_path, "accounts", "create", "ours").strip()
    assert account_id.startswith("acct_")
    assert isinstance(run(tmp_path, "accounts", "create", "ours").exception, AccountNameTaken)
    done(tmp_path, "accounts", "rename", "ours", "theirs")
    for name in (account_id, "theirs"):
        assert account_id in done(tmp_path, "accounts", "show", name)
    assert isinstance(run(tmp_path, "accounts", "show", "ours").exception, AccountNotFound)


def test_an_account_is_disabled_and_enabled(tmp_path: Path) -> None:
    done(tmp_path, "accounts", "create", "ours")
    done(tmp_path, "accounts", "disable", "ours")
    assert "disabled 20" in done(tmp_path, "accounts", "list")
    done(tmp_path, "accounts", "enable", "ours")
    assert "enabled" in done(tmp_path, "accounts", "show", "ours")


@pytest.mark.parametrize("name", ["", "a\nb", "x" * 201])
def test_a_name_that_nobody_could_read_is_refused(tmp_path: Path, name: str) -> None:
    assert run(tmp_path, "accounts", "create", name).exit_code == 2


def test_limits_are_set_shown_and_cleared(tmp_path: Path) -> None:
    done(tmp_path, "accounts", "create", "ours")
    done(tmp_path, "limits", "set", "ours", "queued_jobs", "5")
    assert done(tmp_path, "limits", "show", "ours").split() == ["queued_jobs", "5"]
    assert "queued_jobs" in done(tmp_path, "accounts", "show", "ours")
    done(tmp_path, "limits", "clear", "ours", "queued_jobs")
    assert done(tmp_path, "limits", "show", "ours") == ""


def test_the_limit_of_a_key_wants_a_key_of_that_account(tmp_path: Path) -> None:
    done(tmp_path, "accounts", "create", "ours")
    assert done(tmp_path, "keys", "create", "--account", "theirs")
    key_id = done(tmp_path, "keys", "list").splitlines()[1].split()[0]
    foreign = run(tmp_path, "limits", "set", "ours", "queued_jobs", "5", "--key", key_id)
    assert isinstance(foreign.exception, KeyNotFound)
    done(tmp_path, "limits", "set", "theirs", "queued_jobs", "5", "--key", key_id)
    assert done(tmp_path, "limits", "show", "theirs", "--key", key_id).split() == ["queued_jobs", "5"]
    assert done(tmp_path, "limits", "show", "theirs") == ""


@pytest.mark.parametrize(("name", "value"), [("queue", "5"), ("queued_jobs", "0"), ("queued_jobs", "many")])
def test_a_senseless_limit_is_refused(tmp_path: Path, name: str, value: str) -> None:
    assert run(tmp_path, "limits", "set", "ours", name, value).exit_code == 2


def test_a_key_is_made_with_scopes_disabled_enabled_and_deleted(tmp_path: Path) -> None:
    done(tmp_path, "keys", "create", "--scope", "admin", "--scope", "read")
    line = done(tmp_path, "keys", "list").splitlines()[1]
    key_id = line.split()[0]
    assert "read admin" in line
    done(tmp_path, "keys", "disable", key_id)
    assert "disabled 20" in done(tmp_path, "keys", "list")
    assert "is valid" in done(tmp_path, "keys", "enable", key_id)
    done(tmp_path, "keys", "delete", key_id)
    assert key_id not in done(tmp_path, "keys", "list")
    assert run(tmp_path, "keys", "create", "--scope", "root").exit_code == 2
