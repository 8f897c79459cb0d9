"""Builds a release in dist/ and tries it as a stranger would: `make release`.

It makes the wheel, the sdist and the list of parts (CycloneDX). Then it installs the wheel into an empty environment,
with the versions of the lock, and makes a video there. It needs the network for that.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

ROOT = Path(__file__).resolve().parent.parent
DIST = ROOT / "dist"
UV = ROOT / ".tools" / "bin" / "uv"
LOCK = ROOT / "requirements.lock"
CYCLONEDX = ROOT / ".venv-release" / "bin" / "cyclonedx-py"


def build(to: Path) -> tuple[Path, Path]:
    """The wheel and the sdist, made by the build tools of .venv, so without the network."""
    command = [
        UV,
        "build",
        "-q",
        "--offline",
        "--no-build-isolation",
        "--python",
        sys.executable,
        "--out-dir",
        to,
        ROOT,
    ]
    run(command)
    (wheel,), (sdist,) = to.glob("*.whl"), to.glob("*.tar.gz")
    return wheel, sdist


def list_parts(wheel: Path) -> Path:
    """What the release is made of, as CycloneDX, from the lock: names, versions and hashes."""
    parts = wheel.with_name(f"{'-'.join(wheel.name.split('-')[:2])}.cdx.json")
    about = ["--pyproject", ROOT / "pyproject.toml", "--mc-type", "application"]
    run([CYCLONEDX, "requirements", LOCK, *about, "--of", "JSON", "--output-reproducible", "-o", parts])
    document = json.loads(parts.read_text())
    document["metadata"]["component"]["version"] = wheel.name.split("-")[1]
    parts.write_text(json.dumps(document, indent=2) + "\n")
    return parts


def install(wheel: Path, environment: Path, *options: str) -> Path:
    """Install the wheel into a new environment; its `rushes`."""
    run([UV, "venv", "-q", "--python", sys.executable, environment])
    run([UV, "pip", "install", "-q", *options, "--python", environment / "bin" / "python", "--constraint", LOCK, wheel])
    return environment / "bin" / "rushes"


def run(command: Sequence[object], within: Path = ROOT) -> None:
    """Run to its end in this folder, or raise CalledProcessError."""
    subprocess.run([str(word) for word in command], check=True, cwd=within)


def main() -> None:
    """Make and try a release."""
    for old in (*DIST.glob("*.whl"), *DIST.glob("*.tar.gz"), *DIST.glob("*.cdx.json")):
        old.unlink()
    wheel, sdist = build(DIST)
    parts = list_parts(wheel)
    with TemporaryDirectory() as folder:
        rushes = install(wheel, Path(folder) / "venv")
        run([rushes, "demo"], within=Path(folder))
    print("Made and tried:", *(path.relative_to(ROOT) for path in (wheel, sdist, parts)), sep="\n  ")


if __name__ == "__main__":
    main()
