"""Commands on streams that cannot write every character, and videos on standard output."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

GENEROUS_S = 240


def run(*arguments: str, encoding: str, cwd: Path, **variables: str) -> subprocess.CompletedProcess[bytes]:
    environment = os.environ | {"PYTHONIOENCODING": encoding, "PYTHONUTF8": "0"} | variables
    return subprocess.run(
        [sys.executable, "-m", "rushes", *arguments],
        cwd=cwd,
        env=environment,
        capture_output=True,
        timeout=GENEROUS_S,
        check=False,
    )


@pytest.mark.parametrize("encoding", ["ascii", "cp1252", "latin-1", "utf-8"])
def test_a_name_is_listed_on_any_stream(tmp_path: Path, encoding: str) -> None:
    made = run("keys", "create", "--test", "--name", "映画 \u202e\u2028\x9b key", encoding=encoding, cwd=tmp_path)
    assert made.returncode == 0, made.stderr
    listed = run("keys", "list", encoding=encoding, cwd=tmp_path)
    assert (listed.returncode, b"Traceback" in listed.stderr) == (0, False), listed.stderr
    shown = listed.stdout.decode(encoding)
    assert "key" in shown
    assert not {"\u202e", "\u2028", "\x9b"} & set(shown)
    assert len(shown.splitlines()) == 2


@pytest.mark.parametrize("encoding", ["ascii", "cp1252"])
@pytest.mark.parametrize("arguments", [["--help"], ["models"], ["keys", "revoke", "key_ü"], ["jobs", "--help"]])
def test_no_command_ends_with_a_traceback_on_such_a_stream(tmp_path: Path, encoding: str, arguments: list[str]) -> None:
    done = run(*arguments, encoding=encoding, cwd=tmp_path)
    assert b"Traceback" not in done.stderr


def test_json_is_escaped_where_the_stream_is_not_utf8(tmp_path: Path) -> None:
    run("accounts", "create", "映画", encoding="utf-8", cwd=tmp_path)
    found = run("doctor", "--json", encoding="ascii", cwd=tmp_path)
    assert json.loads(found.stdout.decode("ascii"))["findings"]


def test_a_prompt_on_standard_input_that_is_not_utf8_is_a_usage_error(tmp_path: Path) -> None:
    environment = os.environ | {"RUSHES_API_KEY": "x" * 40, "PYTHONIOENCODING": "ascii"}
    done = subprocess.run(
        [sys.executable, "-m", "rushes", "generate", "-"],
        input=b"\xff\xfe prompt",
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        timeout=GENEROUS_S,
        check=False,
    )
    assert done.returncode == 2
    assert b"not UTF-8" in done.stderr
