"""What the pages name exists, and what exists is named: files, commands, settings, error codes, words."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from docs import generate
from docs.commands import commands
from rushes.errors import RushesError
from rushes.settings import Settings

ROOT = Path(__file__).resolve().parent.parent.parent
DOCS = ROOT / "docs"
PAGES = sorted(page for page in [*ROOT.glob("*.md"), *DOCS.glob("**/*.md")] if page.name != "CHANGELOG.md")
CODE = re.compile(r"^```.*?^```|`[^`\n]+`", re.MULTILINE | re.DOTALL)
FILE = re.compile(r"`((?:[\w.-]+/)+[\w-]+\.(?:py|toml|yml|yaml|sql|conf|service|mjs|sh|json))`")
FOLDERS = [ROOT, ROOT / "src" / "rushes"]
MADE_UP = ("docs/guides/adding-a-provider.md", "docs/providers/")
"""Pages whose files are an operator's or an example's own."""
COMMAND = re.compile(r"(?<![\w-])rushes (?!rushes|import)([a-z]+)(?: ([a-z][a-z-]*))?")
VARIABLE = re.compile(r"\bRUSHES_[A-Z0-9_]*[A-Z0-9]")
OTHER_VARIABLES = {"RUSHES_BASE_URL", "RUSHES_API_KEY", "RUSHES_CONFIG", "RUSHES_KEY", "RUSHES_CHAOS"}
"""Read by clients, by the start of the service, by an example, by tests."""
NESTED = ("RUSHES_OIDC__", "RUSHES_PROVIDERS__", "RUSHES_LIMITS__", "RUSHES_NET_ALLOW__")
MOST_WORDS = 25


def name_of(page: Path) -> str:
    return str(page.relative_to(ROOT))


@pytest.mark.parametrize("page", [page for page in PAGES if not name_of(page).startswith(MADE_UP)], ids=name_of)
def test_every_file_that_a_page_names_exists(page: Path) -> None:
    named = FILE.findall(page.read_text("utf-8"))
    assert [path for path in named if not any((folder / path).exists() for folder in FOLDERS)] == []


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_every_command_that_a_page_shows_exists(page: Path) -> None:
    names = {name.removeprefix("rushes ") for name, _ in commands()}
    groups = {name.split()[0] for name in names if " " in name}
    shown = [found for code in CODE.findall(page.read_text("utf-8")) for found in COMMAND.findall(code)]
    # `rushes models NAME` is short for `rushes models list NAME`.
    called = {f"{first} {second}" if first in groups - {"models"} and second else first for first, second in shown}
    assert called - names - groups == set()


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_every_variable_that_a_page_names_is_a_setting(page: Path) -> None:
    known = {f"RUSHES_{name.upper()}" for name in Settings.model_fields} | OTHER_VARIABLES
    named = {name for name in VARIABLE.findall(page.read_text("utf-8")) if not name.startswith(NESTED)}
    assert named - known - {prefix.rstrip("_") for prefix in NESTED} == set()


@pytest.mark.parametrize("setting", Settings.model_fields)
def test_every_setting_is_documented(setting: str) -> None:
    assert f"`RUSHES_{setting.upper()}" in generate.SETTINGS.read_text("utf-8")


def test_every_command_is_documented() -> None:
    headings = re.findall(r"^## (rushes .*)$", generate.COMMANDS.read_text("utf-8"), re.MULTILINE)
    assert headings == [name for name, _ in commands()]
    assert len(headings) > 30


def codes(base: type[RushesError] = RushesError) -> Iterator[str]:
    """The codes of all errors that are raised themselves: a class with subclasses only gathers them."""
    for error in base.__subclasses__():
        if error.__module__ == "rushes.errors":
            yield from codes(error) if error.__subclasses__() else [error.code]


def test_every_error_code_is_documented() -> None:
    pages = "".join((DOCS / "reference" / name).read_text("utf-8") for name in ("errors.md", "jobs.md"))
    never_leaves_the_worker = {"audit_broken", "lease_lost"}
    assert {code for code in codes() if f"`{code}`" not in pages} == never_leaves_the_worker


def words() -> list[str]:
    return re.findall(r"^\| (\w+) \|", (DOCS / "design" / "words.md").read_text("utf-8"), re.MULTILINE)[1:]


def test_the_glossary_is_short() -> None:
    assert 15 <= len(words()) <= MOST_WORDS
    assert len(set(words())) == len(words())


def test_the_code_uses_every_word_of_the_glossary() -> None:
    source = " ".join(path.read_text("utf-8").lower() for path in (ROOT / "src" / "rushes").glob("**/*.py"))
    assert [word for word in words() if not re.search(rf"(?<![a-z]){word}s?(?![a-z])", source)] == []


def test_every_path_in_the_table_for_contributors_exists() -> None:
    table = (ROOT / "CONTRIBUTING.md").read_text("utf-8").partition("## Where do I change")[2].partition("\n## ")[0]
    rows = [line for line in table.splitlines() if line.startswith("| ")][1:]
    paths = re.findall(r"`((?:src|docs|tests|deploy)/[^`]+)`", table)
    assert len(rows) >= 15
    assert len(paths) > len(rows)
    assert [path for path in paths if not (ROOT / path).exists()] == []
