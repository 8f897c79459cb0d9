"""Commands about money: what they refuse."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from rushes.cli.commands import app
from rushes.cli.money import dollars


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


@pytest.mark.parametrize(("text", "usd"), [("5", "5"), ("0", "0"), ("2.50", "2.50"), ("0.000001", "0.000001")])
def test_an_amount_is_taken_exactly(text: str, usd: str) -> None:
    assert dollars(text, "--cost", most=10) == Decimal(usd)


@pytest.mark.parametrize("text", ["", "five", "-1", "11", "nan", "inf", "0.0000001", "1,20"])
def test_what_is_no_amount_is_refused(text: str) -> None:
    with pytest.raises(typer.BadParameter, match="not an amount in USD"):
        dollars(text, "--cost", most=10)
