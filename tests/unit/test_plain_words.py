"""The check of words: what it refuses, and that its list of files that are not rewritten only names what exists."""

from __future__ import annotations

import pytest

from tools.plain_words import NOT_YET, ROOT, findings


@pytest.mark.parametrize(
    "line",
    [
        "Whoever holds the lease writes.",
        "It waits for ever.",
        "its boundary is none",
        "The caller is told why.",
        "SURELY not accepted",
        "What is kept of a key.",
        "Should it fail, nothing is written.",
    ],
)
def test_words_that_are_not_plain_are_refused(line: str) -> None:
    assert [number for number, _, _ in findings(f"fine\n{line}\n")] == [2]


@pytest.mark.parametrize("line", ["if deadline is None:", "The request is not accepted.", "forever", "the tolder"])
def test_other_words_are_not(line: str) -> None:
    assert list(findings(line)) == []


def test_the_list_of_files_that_are_not_rewritten_names_what_exists() -> None:
    assert [name for name in NOT_YET if not (ROOT / name).exists()] == []
