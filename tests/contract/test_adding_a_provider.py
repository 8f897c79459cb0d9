"""The page on adding a provider is true: its files, put where it says, are a provider that passes the suite."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.fixtures.time_limits import GENEROUS_S

ROOT = Path(__file__).resolve().parent.parent.parent
PAGE = ROOT / "docs" / "guides" / "adding-a-provider.md"
FILE = re.compile(r"^```\w+ file=(\S+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
LINE = re.compile(r"^```text add=(\S+)\n( .*?\n)```$", re.MULTILINE)
LINKED = re.compile(r"`((?:src|tests|docs)/[\w./-]+\.\w+)`")
NOT_COPIED = shutil.ignore_patterns("__pycache__", "e2e", "live", "compat")


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the project with the page's provider added to it."""
    copy = tmp_path_factory.mktemp("project")
    shutil.copy(ROOT / "pyproject.toml", copy)
    for folder in ("src", "tests"):
        shutil.copytree(ROOT / folder, copy / folder, ignore=NOT_COPIED)
    page = PAGE.read_text("utf-8")
    for path, content in FILE.findall(page):
        target = copy / path
        assert not target.exists(), f"the page would replace {path}"
        target.write_text(content, "utf-8")
    ((path, line),) = LINE.findall(page)
    registry = (copy / path).read_text("utf-8")
    after = '    "rushes.providers.bedrock",\n'
    assert after in registry
    registry = registry.replace(after, line + after, 1)
    (copy / path).write_text(registry, "utf-8")
    return copy


def run(project: Path, *command: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": str(project / "src")}
    environment.pop("PYTEST_ADDOPTS", None)
    return subprocess.run(
        [sys.executable, *command],
        cwd=project,
        env=environment,
        capture_output=True,
        text=True,
        timeout=GENEROUS_S,
        check=False,
    )


def test_the_example_passes_the_suite(project: Path) -> None:
    done = run(project, "-m", "pytest", "-n0", "-q", "-p", "no:cacheprovider", "tests/contract/test_example.py")
    assert done.returncode == 0, done.stdout + done.stderr
    assert re.search(r"\b(\d+) passed", done.stdout), done.stdout
    assert "skipped" not in done.stdout, done.stdout


def test_the_example_is_found_by_the_service(project: Path) -> None:
    done = run(
        project,
        "-c",
        "from rushes.providers import registry, example; from rushes.catalogue.load import load; "
        "assert registry.declarations()['example'] is example.PROVIDER; "
        "print(example.__file__, load().find('example', 'kite-1').id)",
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == [str(project / "src/rushes/providers/example.py"), "kite-1"]


def test_the_example_is_written_as_we_write(project: Path) -> None:
    paths = [path for path, _ in FILE.findall(PAGE.read_text("utf-8")) if path.endswith(".py")]
    for check in (["check"], ["format", "--check"]):
        done = run(project, "-m", "ruff", *check, "--no-cache", *paths, "src/rushes/providers/registry.py")
        assert done.returncode == 0, done.stdout + done.stderr


def test_the_page_names_files_that_exist(project: Path) -> None:
    # `src` and `tests` as they are with the example; folders that were not copied, and `docs`, as they are here.
    named = set(LINKED.findall(PAGE.read_text("utf-8")))
    assert named
    assert [path for path in named if not (project / path).exists() and not (ROOT / path).exists()] == []
