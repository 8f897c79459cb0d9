"""The release of 2026-11-22 beside today's, in one run, for the goals that compare with before.

It has an environment of its own in `.bench/`, made on the first run from its commit in this repository's history and
the lock file of that commit.
"""

from __future__ import annotations

import subprocess
import sys
import tarfile
from pathlib import Path

from bench.server import PROJECT

COMMIT = "6af9170c9cea5a4b777dfe7cf908cd6fb315bf28"
NAME = f"the release of 2026-11-22 (commit {COMMIT[:7]})"
ENVIRONMENT = PROJECT / ".bench" / f"rushes-{COMMIT[:7]}"


def program() -> Path:
    """Its `rushes`, installed if that is not done yet; about a minute then.

    Needs the package index, and the commit in the history of this checkout. Raises CalledProcessError without them.
    """
    installed = ENVIRONMENT / "bin" / "rushes"
    if not (ENVIRONMENT / "installed").exists():
        _install()
    return installed


def _install() -> None:
    uv = PROJECT / ".tools" / "bin" / "uv"
    _run(uv, "venv", "-q", "--clear", "--python", sys.executable, ENVIRONMENT)
    archive, tree = ENVIRONMENT / "tree.tar", ENVIRONMENT / "tree"
    _run("git", "archive", "--format=tar", f"--output={archive}", COMMIT)
    with tarfile.open(archive) as files:
        files.extractall(tree, filter="data")
    install: tuple[str | Path, ...] = (
        uv, "pip", "install", "-q", "--compile-bytecode", "--python", ENVIRONMENT / "bin/python"
    )  # fmt: skip
    _run(*install, "--require-hashes", "-r", tree / "requirements.lock")
    _run(*install, "--no-deps", tree)
    (ENVIRONMENT / "installed").touch()


def _run(*command: str | Path) -> None:
    subprocess.run(command, check=True, cwd=PROJECT)
