"""What a release holds, and whether it works where nothing else of ours is."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

from rushes import __version__
from tests.fixtures.time_limits import GENEROUS_S
from tools import release

ROOT = Path(release.ROOT)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    if not release.UV.exists():
        pytest.skip("uv is not in .tools: make setup")
    return release.build(tmp_path_factory.mktemp("dist"))


def test_files_are_named_by_the_version_of_the_package(made: tuple[Path, Path]) -> None:
    wheel, sdist = made
    assert wheel.name == f"rushes-{__version__}-py3-none-any.whl"
    assert sdist.name == f"rushes-{__version__}.tar.gz"


def test_the_wheel_holds_the_package_and_nothing_else(made: tuple[Path, Path]) -> None:
    with zipfile.ZipFile(made[0]) as wheel:
        names = wheel.namelist()
    folders = {name.split("/")[0] for name in names}
    assert folders == {"rushes", f"rushes-{__version__}.dist-info"}
    tracked = subprocess.run(
        ["git", "ls-files", "src/rushes"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout.split()
    assert {name.removeprefix("src/") for name in tracked} <= set(names)
    assert [name for name in names if re.search(r"(^|/)(tests?|bench|conftest\.py|__pycache__)(/|$)", name)] == []


def test_the_sdist_holds_what_the_wheel_is_made_of(made: tuple[Path, Path]) -> None:
    with tarfile.open(made[1]) as sdist:
        names = [name.partition("/")[2] for name in sdist.getnames()]
    beside = {name for name in names if not name.startswith("src/rushes/")}
    assert beside == {"pyproject.toml", "README.md", "LICENSE", "CHANGELOG.md", "PKG-INFO", ".gitignore"}


def test_the_wheel_makes_a_video_in_an_environment_of_its_own(made: tuple[Path, Path], tmp_path: Path) -> None:
    try:
        rushes = release.install(made[0], tmp_path / "venv", "--offline")
    except subprocess.CalledProcessError:
        pytest.skip("uv's cache does not hold the packages of the lock, and tests do not use the network")
    # Nothing of this environment: neither its packages nor its settings.
    environment = {"PATH": os.environ["PATH"], "HOME": str(tmp_path)}
    done = subprocess.run(
        [rushes, "demo"], cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=GENEROUS_S, check=False
    )
    assert done.returncode == 0, done.stderr
    (video,) = tmp_path.glob("demo/*.mp4")
    assert video.read_bytes()[4:8] == b"ftyp"


def test_the_wheel_is_a_tool_of_uv(made: tuple[Path, Path], tmp_path: Path) -> None:
    folders = {"UV_TOOL_DIR": str(tmp_path / "tools"), "UV_TOOL_BIN_DIR": str(tmp_path / "bin")}
    installed = subprocess.run(
        [
            release.UV,
            "tool",
            "install",
            "--offline",
            "--constraints",
            release.LOCK,
            "--python",
            sys.executable,
            made[0],
        ],
        cwd=tmp_path,
        env={**os.environ, **folders},
        capture_output=True,
        text=True,
        check=False,
    )
    if installed.returncode != 0:
        pytest.skip("uv's cache does not hold the packages of the lock, and tests do not use the network")
    done = subprocess.run(
        [tmp_path / "bin" / "rushes", "doctor", "--json"],
        cwd=tmp_path,
        env={"PATH": os.defpath, "HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=GENEROUS_S,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert {found["state"] for found in json.loads(done.stdout)["findings"]} <= {"ok", "warning", "skipped"}


def test_the_list_of_parts_names_every_package_of_the_lock(made: tuple[Path, Path]) -> None:
    if not release.CYCLONEDX.exists():
        pytest.skip("the tools of a release are not installed: make release")
    document = json.loads(release.list_parts(made[0]).read_text())
    assert document["bomFormat"] == "CycloneDX"
    assert document["metadata"]["component"]["version"] == __version__
    locked = set(re.findall(r"^([a-z0-9-]+)==", release.LOCK.read_text(), re.MULTILINE))
    assert {component["name"] for component in document["components"]} == locked
