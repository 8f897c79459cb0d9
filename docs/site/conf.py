"""How Sphinx makes the documentation's site of the pages in docs/ (`make docs-site`)."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from pygments.lexers.special import TextLexer

ROOT = Path(__file__).resolve().parents[2]
version = re.search(r'__version__ = "(.+)"', (ROOT / "src/rushes/__init__.py").read_text())[1]  # type: ignore[index]

project = "rushes"
copyright = "the authors of rushes"  # noqa: A001  # Sphinx wants this name
release = version
extensions = ["myst_parser"]
root_doc = "README"
exclude_patterns = ["site"]
html_theme = "furo"
html_title = f"rushes {version}"
html_show_sphinx = False
html_copy_source = False
html_extra_path = [str(ROOT / "dist" / "api-reference")]
myst_heading_anchors = 4

API_REFERENCE = '<p><a href="api/index.html">The API, route by route</a></p>'
HEADING = re.compile(r"^## (.+?)(?:: .*)?$")
OUTSIDE = re.compile(r"\[([^]]+)\]\(((?:\.\./)+(?:[\w./-]+))\)")
PAGE = re.compile(r"^- \[.+?\]\(([\w/-]+)\.md\)")


def add_contents(app: Any, name: str, source: list[str]) -> None:
    """Make the index's lists the site's contents, so that a page is listed in one place."""
    del app
    if name != root_doc:
        return
    source[0] = source[0].replace("## ", f"{API_REFERENCE}\n\n## ", 1)
    contents: dict[str, list[str]] = {}
    for line in source[0].splitlines():
        if heading := HEADING.match(line):
            contents[heading[1]] = []
        elif (page := PAGE.match(line)) and contents:
            contents[list(contents)[-1]].append(page[1])
    for heading, pages in contents.items():
        source[0] += "\n".join(["", "```{toctree}", ":hidden:", f":caption: {heading}", "", *pages, "```", ""])


def link_outside(app: Any, name: str, source: list[str]) -> None:
    """Let links to files beside docs/ lead to copies of them. A folder has no copy, so its name stays as text."""

    def linked(found: re.Match[str]) -> str:
        target = (Path(app.srcdir) / name).parent.joinpath(found[2]).resolve()
        if target.is_relative_to(app.srcdir):
            return found[0]
        return found[1] if target.is_dir() else f"[{found[1]}](path:{found[2]})"

    source[0] = OUTSIDE.sub(linked, source[0])


def setup(app: Any) -> None:
    """What Sphinx calls once."""
    app.add_lexer("mermaid", TextLexer)  # a diagram is shown as its text: drawing it would need a request
    app.connect("source-read", add_contents)
    app.connect("source-read", link_outside)
