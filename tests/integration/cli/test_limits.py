"""Commands about money: what they refuse."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from rushes.cli.commands import app


@pytest.mark.parametrize(
    "arguments",
    [
        ["jobs", "settle", "job_x"],
        ["jobs", "settle", "--released"],
        ["jobs", "settle", "job_x", "--cost", "1", "--released"],
        ["jobs", "settle", "job_x", "--cost", "-1"],
        ["limits", "set", "--account", "default"],
        ["limits", "set", "--account", "default", "--spend-day", "five"],
        ["limits", "clear", "--account", "default", "spend-week"],
        ["usage", "--since", "yesterday"],
        ["usage", "--since", "2026-02-01", "--until", "2026-01-01"],
    ],
    ids=" ".join,
)
def test_what_cannot_be_meant_is_refused_before_anything_is_opened(arguments: list[str], tmp_path: Path) -> None:
    folder = tmp_path / "data"
    refused = CliRunner().invoke(app, [*arguments, "--data-dir", str(folder)])
    assert refused.exit_code == 2
    assert not folder.exists()
