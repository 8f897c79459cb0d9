"""Refuses words that are not plain English in the source and the documentation. `make check` runs it.

The rule is plain English: say client, caller, operator, worker or provider, subject first, one fact a sentence.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent

INSTEAD = {
    r"whoever|whosever|whomever|whose ever": "the caller, the operator, the client",
    r"nobody|anybody|everybody|somebody": "no one, or better the caller, the operator, a client, a worker",
    r"for ever": "forever, or say until when",
    r"told|tells of|is telling": "says, reports, names, is notified",
    r"surely": "certainly, or leave it out",
    r"in vain": "without success",
    r"be (?:it|they) (?:\w+ )?or|be it": "whether",
    r"should (?:we|it|he|they) \w+,|had (?:we|it|they) \w+,": "if",
    r"(?:is|are|be|being|was) (?-i:none)(?!-)": "is invalid, does not exist, there is no",
    r"heard|hears|deaf|hungry|minds|fears": "received, answered, busy",
    r"tenure|insist(?:s|ed)?|custody|doom(?:ed)?": "lease, retry, storage, failed",
    r"what (?:is|are) (?:\w+ )?(?:kept|known|left|stored|shown|due|asked|given|said) (?:of|to|for|by|in)\b": "a noun",
    r"not any ?more|any ?more|no more (?:is|are)": "no longer",
}
"""Each pattern of words, and what to write instead."""

NOT_YET: tuple[str, ...] = ()
"""Files and folders that still hold such words. Rewrite one, then take it off this list."""

PATTERN = re.compile(
    "|".join(rf"(?P<g{number}>\b(?:{words})(?!\w))" for number, words in enumerate(INSTEAD)), re.IGNORECASE
)
ALTERNATIVES = tuple(INSTEAD.values())


def files() -> Iterator[Path]:
    """The source and the pages, apart from what is not rewritten yet."""
    pages = [*(ROOT / "docs").glob("**/*.md"), *ROOT.glob("*.md")]
    for path in sorted([*(ROOT / "src").glob("**/*.py"), *(ROOT / "tools").glob("*.py"), *pages]):
        name = path.relative_to(ROOT).as_posix()
        if path != Path(__file__).resolve() and not name.startswith(NOT_YET):
            yield path


def findings(text: str) -> Iterator[tuple[int, str, str]]:
    """The number of each line with such a word, the word, and what to write instead."""
    for number, line in enumerate(text.splitlines(), start=1):
        for found in PATTERN.finditer(line):
            assert found.lastgroup is not None
            yield number, found[0], ALTERNATIVES[int(found.lastgroup[1:])]


def main() -> int:
    """Print every finding, and return the exit code."""
    count = 0
    for path in files():
        for number, word, instead in findings(path.read_text("utf-8")):
            print(f"{path.relative_to(ROOT)}:{number}: '{word}': write {instead}")
            count += 1
    if count:
        print(f"plain words: {count} to rewrite")
    return 1 if count else 0


if __name__ == "__main__":
    sys.exit(main())
