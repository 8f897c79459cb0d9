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


def limits_in(data_dir: Path) -> list[list[str]]:
    return [line.split() for line in done(data_dir, "limits", "list").splitlines()[1:]]


def test_limits_of_all_kinds_are_set_listed_and_cleared(tmp_path: Path) -> None:
    account_id = done(tmp_path, "accounts", "create", "ours").strip()
    done(tmp_path, "limits", "set", "--account", "ours", "--queued-jobs", "5", "--spend-day", "2.50")
    done(tmp_path, "limits", "set", "--account", account_id, "--jobs-in-flight", "3", "--requests-per-minute", "60")
    counts = [
        ["ours", "all", "jobs-in-flight", "3"],
        ["ours", "all", "queued-jobs", "5"],
        ["ours", "all", "requests-per-minute", "60"],
    ]
    *listed, spending = limits_in(tmp_path)
    assert listed == counts
    assert spending[:-1] == ["ours", "all", "spend-day", "2.50", "USD", "0.00", "0.00", "2.50"]
    shown = done(tmp_path, "accounts", "show", "ours")
    assert "2.50 USD" in shown
    assert "queued_jobs" in shown
    done(tmp_path, "limits", "clear", "--account", "ours", "queued-jobs", "spend_day")
    assert limits_in(tmp_path) == [counts[0], counts[2]]
    done(tmp_path, "limits", "clear", "--account", "ours")
    assert done(tmp_path, "limits", "list") == ""


def test_the_limit_of_a_key_wants_a_key_of_that_account(tmp_path: Path) -> None:
    done(tmp_path, "accounts", "create", "ours")
    assert done(tmp_path, "keys", "create", "--account", "theirs")
    key_id = done(tmp_path, "keys", "list").splitlines()[1].split()[0]
    foreign = run(tmp_path, "limits", "set", "--account", "ours", "--queued-jobs", "5", "--key", key_id)
    assert isinstance(foreign.exception, KeyNotFound)
    done(tmp_path, "limits", "set", "--account", "theirs", "--jobs-queued", "5", "--key", key_id)
    assert limits_in(tmp_path) == [["theirs", key_id, "queued-jobs", "5"]]


@pytest.mark.parametrize(
    "option", ["--queue=5", "--queued-jobs=0", "--queued-jobs=many", "--jobs-in-flight=-1", "--queued-jobs=1000000001"]
)
def test_a_senseless_limit_is_refused(tmp_path: Path, option: str) -> None:
    assert run(tmp_path, "limits", "set", "--account", "ours", option).exit_code == 2


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
