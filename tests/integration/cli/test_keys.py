from __future__ import annotations

import re
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from rushes.cli.commands import app


def run(data_dir: Path, *arguments: str) -> Result:
    return CliRunner().invoke(app, ["keys", *arguments, "--data-dir", str(data_dir)])


def test_a_key_is_alone_on_standard_output(tmp_path: Path) -> None:
    done = run(tmp_path, "create", "--test")
    assert done.exit_code == 0
    assert re.fullmatch(r"rushes_test_\w{40}\n", done.stdout)


def test_without_a_word_a_key_is_live(tmp_path: Path) -> None:
    assert run(tmp_path, "create").stdout.startswith("rushes_live_")


def test_a_key_is_kept_nowhere_as_it_is(tmp_path: Path) -> None:
    key = run(tmp_path, "create").stdout.strip()
    with closing(sqlite3.connect(tmp_path / "rushes.db")) as database:
        kept = "\n".join(database.iterdump())
    assert key.removeprefix("rushes_live_") not in kept


def test_a_list_shows_a_key_by_its_last_four_characters(tmp_path: Path) -> None:
    key = run(tmp_path, "create", "--name", "laptop", "--account", "studio").stdout.strip()
    shown = run(tmp_path, "list").stdout
    assert "laptop" in shown
    assert "studio" in shown
    assert key[-4:] in shown
    assert key not in shown


def test_a_revoked_key_says_so_in_the_list(tmp_path: Path) -> None:
    made = run(tmp_path, "create")
    found = re.search(r"key_\w+", made.stderr)
    assert found is not None
    assert run(tmp_path, "revoke", found[0]).exit_code == 0
    assert "revoked 20" in run(tmp_path, "list").stdout


def test_an_expiry_is_shown(tmp_path: Path) -> None:
    assert ", works until 20" in run(tmp_path, "create", "--expires", "12h").stderr


@pytest.mark.parametrize("text", ["", "12", "0d", "-1d", "1y", "1.5h", "9999999d"])
def test_an_expiry_that_is_no_length_of_time_is_refused(tmp_path: Path, text: str) -> None:
    done = run(tmp_path, "create", "--expires", text)
    assert done.exit_code == 2
    assert "--expires" in done.stderr
