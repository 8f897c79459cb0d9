"""`rushes models check`: what needs attention, and `rushes models` as it always was beside it."""

from __future__ import annotations

import json
import os
from datetime import date, timedelta
from pathlib import Path

import pytest
from typer.testing import CliRunner

from rushes.catalogue.load import Catalogue, load
from rushes.cli.commands import app
from rushes.cli.lifecycle import Finding, findings
from rushes.money.usage import ModelUsage, Usage
from rushes.providers.base import Credential
from rushes.providers.credentials import Keyring, Pinned

DEFAULT = "veo-3.0-generate-001"
TODAY = date(2026, 11, 22)
NOBODY = Keyring({})
GEMINI = Keyring({}, {"google": [Pinned(Credential("api_key", "a-key-of-ours"), "gemini")]})
OTHER = Keyring({}, {"google": [Pinned(Credential("api_key", "a-key-of-ours"), "elsewhere")]})
ALL_DAYS = 3650


def found_for(
    model_id: str,
    *,
    keyring: Keyring = NOBODY,
    jobs: int = 0,
    refuses: bool = False,
    today: date = TODAY,
    catalogue: Catalogue | None = None,
) -> Finding:
    asked = [ModelUsage("google", model_id, Usage(jobs=jobs))] if jobs else []
    found = findings(
        load() if catalogue is None else catalogue, keyring, asked, today, within_days=ALL_DAYS, refuses=refuses
    )
    (finding,) = (each for each in found if each.ending.model.id == model_id)
    return finding


def test_the_default_model_is_in_use_and_served_by_its_successor() -> None:
    finding = found_for(DEFAULT, keyring=GEMINI)
    assert finding.used_by == ("the default model",)
    assert finding.served_by == ("gemini-omni-1.2-flash",)
    assert finding.attention is None


def test_without_a_key_of_ours_the_successor_depends_on_the_callers() -> None:
    assert found_for(DEFAULT).served_by == ("gemini-omni-1.2-flash", "veo-3.1-generate-001")
    assert found_for(DEFAULT).attention is None


def test_a_retired_model_in_use_needs_attention_where_it_is_refused() -> None:
    finding = found_for(DEFAULT, keyring=GEMINI, refuses=True)
    assert finding.served_by == ()
    assert finding.attention == "requests for it are refused: RUSHES_ON_RETIRED is refuse"


def test_a_retired_model_in_use_needs_attention_where_nothing_serves_it() -> None:
    assert found_for(DEFAULT, keyring=OTHER).attention == "requests for it are refused: it has no successor here"


def test_a_model_that_jobs_ask_for_needs_attention_before_it_retires() -> None:
    retired = date(2026, 9, 30)
    finding = found_for("gemini-omni-flash-preview", keyring=GEMINI, jobs=3, today=retired - timedelta(days=1))
    assert finding.used_by == ("3 jobs in 30 days",)
    assert finding.attention == "it retires in 1 day"
    assert found_for("gemini-omni-flash-preview", keyring=GEMINI, jobs=3, today=retired).attention is None


@pytest.mark.parametrize("refuses", [False, True])
def test_a_model_that_nothing_uses_needs_no_attention(refuses: bool) -> None:
    finding = found_for("veo-2.0-generate-001", refuses=refuses, today=date(2026, 6, 1))
    assert (finding.used_by, finding.attention) == ((), None)


# The commands.


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working directory and an environment without settings."""
    for name in list(os.environ):
        if name.startswith("RUSHES_") or name in ("GEMINI_API_KEY", "GOOGLE_API_KEY"):
            monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_check_ends_with_0_if_nothing_needs_attention_and_makes_no_data_directory(here: Path) -> None:
    done = CliRunner().invoke(app, ["models", "check"])
    assert done.exit_code == 0
    assert DEFAULT in done.stdout
    assert "nothing needs attention" in done.stderr
    assert list(here.iterdir()) == []


@pytest.mark.usefixtures("here")
def test_check_ends_with_1_if_something_does(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RUSHES_ON_RETIRED", "refuse")
    done = CliRunner().invoke(app, ["models", "check", "--json"])
    assert done.exit_code == 1
    content = json.loads(done.stdout)
    assert content["needs_attention"] is True
    (default,) = (each for each in content["models"] if each["id"] == DEFAULT)
    assert default["retired"] == "2026-06-30"
    assert default["successors"] == {"gemini": "gemini-omni-1.2-flash", "vertex": "veo-3.1-generate-001"}
    assert default["used_by"] == ["the default model"]


@pytest.mark.usefixtures("here")
@pytest.mark.parametrize("days", ["-1", "many"])
def test_a_window_that_is_none_is_refused(days: str) -> None:
    assert CliRunner().invoke(app, ["models", "check", "--within", days]).exit_code == 2


@pytest.mark.usefixtures("here")
@pytest.mark.parametrize("arguments", [[], ["list"], ["list", "veo"], ["veo"], ["--all", "veo"], ["veo", "--all"]])
def test_models_without_a_command_lists_them(arguments: list[str]) -> None:
    done = CliRunner().invoke(app, ["models", *arguments])
    assert done.exit_code == 0
    assert "veo-3.1-generate-001" in done.stdout
    assert ("storyboard" in done.stdout) is ("veo" not in arguments)
    assert (DEFAULT in done.stdout) is ("--all" in arguments)


@pytest.mark.usefixtures("here")
def test_the_help_of_models_names_both_commands() -> None:
    done = CliRunner().invoke(app, ["models", "--help"])
    assert done.exit_code == 0
    assert "check" in done.stdout
    assert "list" in done.stdout
