"""Where the videos of a job are saved on this machine."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from rushes.client import JobState

LONGEST_SLUG = 48
OPTION = "--output"


STANDARD_OUTPUT = "-"


class Destination:
    """Where the videos of a job are saved: a file, files in a folder named after the prompt, or standard output."""

    def __init__(self, output: str | None, *, replace: bool) -> None:
        self.replace = replace
        self.is_standard_output = output == STANDARD_OUTPUT
        path = Path(output or ".")
        self._is_folder = output is None or path.is_dir() or output.endswith(("/", os.sep))
        self._path = path

    def check(self, n: int) -> None:
        """Raise BadParameter, before anything is paid for, if the videos could not be written there."""
        if self.is_standard_output:
            if n != 1:
                raise typer.BadParameter(f"standard output takes one video, not {n}; name a folder", param_hint=OPTION)
            if sys.stdout.isatty():
                raise typer.BadParameter("standard output is a terminal; name a file, or use a pipe", param_hint=OPTION)
            return
        folder = self._path if self._is_folder else self._path.parent
        try:
            if self._is_folder:
                folder.mkdir(parents=True, exist_ok=True)
        except OSError as exc:
            raise typer.BadParameter(f"'{folder}' cannot be created: {exc.strerror}", param_hint=OPTION) from exc
        if not folder.is_dir():
            raise typer.BadParameter(f"the folder '{folder}' does not exist", param_hint=OPTION)
        if not os.access(folder, os.W_OK | os.X_OK):
            raise typer.BadParameter(f"the folder '{folder}' cannot be written to", param_hint=OPTION)
        if self._is_folder or self.replace:
            return
        for index in range(n):
            target = self._path.with_name(numbered(self._path.name, index, n))
            if os.path.lexists(target):
                raise typer.BadParameter(f"'{target}' exists; --force replaces it", param_hint=OPTION)

    def paths(self, job: JobState) -> Sequence[Path]:
        """One path for each of the job's videos, in order."""
        names = []
        for index, video in enumerate(job.videos):
            name = self._path.name
            if self._is_folder:
                name = f"{slug(job.prompt)}-{job.id[-6:]}{video.extension}".lstrip("-")
            names.append(numbered(name, index, max(job.n, len(job.videos))))
        folder = self._path if self._is_folder else self._path.parent
        return [folder / name for name in names]


def numbered(name: str, index: int, n: int) -> str:
    """The name of the video at `index`: `-1`, `-2`, ... before the suffix where there are several."""
    if n == 1:
        return name
    stem, suffix = os.path.splitext(name)
    return f"{stem}-{index + 1}{suffix}"


def slug(prompt: str) -> str:
    """The first words of the prompt in the form of a file name; empty if it has no words."""
    words = re.findall(r"[^\W_]+", prompt.lower())
    taken = ""
    for word in words:
        longer = f"{taken}-{word}" if taken else word
        # File systems count bytes.
        if len(longer.encode()) > LONGEST_SLUG:
            break
        taken = longer
    return taken
