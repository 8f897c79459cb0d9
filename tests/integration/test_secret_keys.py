"""Secret keys are derived per purpose, never shown, and agreed upon by all who start at once."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from rushes.errors import StartupError
from rushes.secret_keys import load_or_create, parse
from tests.fixtures.time_limits import GENEROUS_S

FIRST = "first-secret-" + "a" * 32


def test_a_new_file_holds_one_key_and_is_its_owners_alone(tmp_path: Path) -> None:
    path = tmp_path / "secret_keys"
    load_or_create(path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert len(path.read_text().split()) == 1
    assert os.listdir(tmp_path) == ["secret_keys"]


def test_the_file_is_read_again_as_it_was_made(tmp_path: Path) -> None:
    path = tmp_path / "secret_keys"
    assert load_or_create(path).derive("x") == load_or_create(path).derive("x")


def test_two_files_hold_unlike_keys(tmp_path: Path) -> None:
    assert load_or_create(tmp_path / "a").derive("x") != load_or_create(tmp_path / "b").derive("x")


def test_the_line_of_a_file_means_the_same_in_the_setting(tmp_path: Path) -> None:
    path = tmp_path / "secret_keys"
    assert load_or_create(path).derive("x") == parse(path.read_text()).derive("x")


def test_a_key_put_first_in_the_file_signs_from_then_on(tmp_path: Path) -> None:
    path = tmp_path / "secret_keys"
    old = load_or_create(path).derive("x")
    path.write_text(f"{FIRST}\n{path.read_text()}")
    assert load_or_create(path).derive("x") == parse(FIRST).derive("x") + old


@pytest.mark.parametrize("content", [b"", b"\n", b"tooshort\n", b"a" * 31, b"a b" * 20, b"\xff\xfe" * 40, b"\x00" * 64])
def test_a_malformed_file_is_refused_by_name_and_left_alone(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "secret_keys"
    path.write_bytes(content)
    with pytest.raises(StartupError, match=r"secret_keys'.*key") as caught:
        load_or_create(path)
    assert "tooshort" not in caught.value.message
    assert path.read_bytes() == content


def test_a_file_that_cannot_be_made_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(StartupError, match="make its directory writable or set RUSHES_SECRET_KEYS"):
        load_or_create(tmp_path / "absent" / "secret_keys")


def test_a_directory_in_place_of_the_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(StartupError, match="cannot be read or created"):
        load_or_create(tmp_path)


def test_threads_that_start_at_once_agree_on_one_key(tmp_path: Path) -> None:
    def load(_: int) -> tuple[bytes, ...]:
        return load_or_create(tmp_path / "secret_keys").derive("x")

    with ThreadPoolExecutor(16) as pool:
        keys = set(pool.map(load, range(16)))
    assert len(keys) == 1
    assert os.listdir(tmp_path) == ["secret_keys"]


def test_processes_that_start_at_once_agree_on_one_key(tmp_path: Path) -> None:
    script = (
        "import sys; from pathlib import Path; from rushes.secret_keys import load_or_create;"
        "print(load_or_create(Path(sys.argv[1])).derive('x')[0].hex())"
    )
    command = [sys.executable, "-c", script, str(tmp_path / "secret_keys")]
    children = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(4)]
    outputs = [child.communicate(timeout=GENEROUS_S)[0] for child in children]
    assert [child.returncode for child in children] == [0, 0, 0, 0]
    assert len(set(outputs)) == 1


def test_importing_the_module_does_not_import_cryptography() -> None:
    script = "import sys, rushes.secret_keys; sys.exit('cryptography' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == 0
