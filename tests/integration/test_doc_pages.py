"""The pages of the documentation hold together: links lead somewhere, the index is whole, pages are short."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent.parent
DOCS = ROOT / "docs"
PAGES = sorted([*ROOT.glob("*.md"), *DOCS.glob("**/*.md")])
FENCED = re.compile(r"^(```|~~~).*?^\1", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\]\((?!https?:|mailto:)([^)#\s]*)(?:#([^)\s]*))?\)")
# The site makes its contents of these lines (docs/site/conf.py).
LISTED = re.compile(r"^- \[.+?\]\(([\w/-]+\.md)\)", re.MULTILINE)
HEADING = re.compile(r"^#{1,6} (.+?)\s*$", re.MULTILINE)
MOST_LINES = 250
MAY_BE_LONGER = {
    "CHANGELOG.md": "grows with each change",
    "docs/guides/adding-a-provider.md": "holds whole files that a test runs",
    "docs/reference/commands.md": "generated",
    "docs/reference/choosing.md": "generated",
    "docs/reference/providers.md": "generated",
    "docs/reference/settings.md": "generated",
}


def name_of(page: Path) -> str:
    return str(page.relative_to(ROOT))


def prose(page: Path) -> str:
    """The page without its code blocks."""
    return FENCED.sub("", page.read_text("utf-8"))


def anchors(page: Path) -> set[str]:
    """The anchors of a page's headings, as GitHub makes them; the second of the same name ends in -1."""
    found: list[str] = []
    seen: Counter[str] = Counter()
    for heading in HEADING.findall(prose(page)):
        words = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading).replace("`", "").replace("*", "").lower()
        slug = re.sub(r"[^\w\- ]", "", words).replace(" ", "-")
        found.append(slug if not seen[slug] else f"{slug}-{seen[slug]}")
        seen[slug] += 1
    return set(found)


def broken_links(page: Path) -> list[str]:
    """The links of a page to a file or an anchor that does not exist."""
    broken = []
    for path, anchor in LINK.findall(prose(page)):
        target = (page.parent / path).resolve() if path else page
        if not target.exists() or (anchor and target.suffix == ".md" and anchor not in anchors(target)):
            broken.append(f"{path}#{anchor}" if anchor else path)
    return broken


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_every_link_leads_to_a_page_and_a_heading(page: Path) -> None:
    assert broken_links(page) == []


def test_a_link_to_a_missing_page_or_heading_is_found(tmp_path: Path) -> None:
    (tmp_path / "other.md").write_text("# Other\n\n## `rushes serve`, and more\n\n## Twice\n\n## Twice\n")
    page = tmp_path / "page.md"
    good = "[a](other.md) [b](other.md#rushes-serve-and-more) [c](other.md#twice-1) [d](#page) [e](https://x.example)"
    page.write_text(f"# Page\n\n{good} [f](none.md) [g](other.md#none) [h](#none)\n\n```\n# Code\n[i](code.md)\n```\n")
    assert broken_links(page) == ["none.md", "other.md#none", "#none"]


def test_the_index_lists_every_page() -> None:
    index = DOCS / "README.md"
    listed = Counter((DOCS / path).resolve() for path in LISTED.findall(prose(index)))
    pages = {page for page in DOCS.glob("**/*.md") if page != index}
    assert pages - listed.keys() == set()
    assert [path for path, times in listed.items() if times > 1] == []


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_no_page_is_too_long(page: Path) -> None:
    lines = len(page.read_text("utf-8").splitlines())
    assert lines <= MOST_LINES or name_of(page) in MAY_BE_LONGER


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_every_page_begins_with_its_title(page: Path) -> None:
    first, blank, *_ = page.read_text("utf-8").splitlines()
    assert re.match(r"# \S", first)
    assert blank == ""
