from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rushes.cli.wording import ago, length, money, printable, size, span

NOW = datetime(2026, 4, 7, 12, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("elapsed", "said"),
    [
        (timedelta(seconds=-5), "0 s ago"),
        (timedelta(seconds=59), "59 s ago"),
        (timedelta(seconds=60), "1 m ago"),
        (timedelta(minutes=59, seconds=59), "59 m ago"),
        (timedelta(hours=47), "47 h ago"),
        (timedelta(hours=48), "2 d ago"),
        (timedelta(days=90), "90 d ago"),
    ],
)
def test_recent_times_are_relative(elapsed: timedelta, said: str) -> None:
    assert ago(NOW - elapsed, NOW) == said


def test_long_ago_is_a_date() -> None:
    assert ago(NOW - timedelta(days=91), NOW) == "2026-01-06"


@pytest.mark.parametrize(
    ("seconds", "said"), [(0.4, "0 s"), (59.4, "59 s"), (59.6, "1 m 00 s"), (125, "2 m 05 s"), (3720, "1 h 02 m")]
)
def test_lengths_of_time(seconds: float, said: str) -> None:
    assert length(seconds) == said


@pytest.mark.parametrize(
    ("size_bytes", "said"),
    [(0, "0 B"), (999, "999 B"), (1000, "1.0 kB"), (999_499, "999 kB"), (999_500, "1.0 MB"), (12_300_000, "12 MB")],
)
def test_sizes(size_bytes: int, said: str) -> None:
    assert size(size_bytes) == said


@pytest.mark.parametrize(
    ("usd", "said"), [(None, "price unknown"), (0, "free"), (3.2, "$3.20"), (0.1, "$0.10"), (0.034, "$0.034")]
)
def test_prices(usd: float | None, said: str) -> None:
    assert money(usd) == said


@pytest.mark.parametrize(
    ("values", "said"), [([], ""), ([8], "8"), ([4, 6, 8], "4 6 8"), ([1, 2], "1 2"), ([3, 1, 2], "1-3")]
)
def test_whole_numbers_are_listed_shortly(values: list[int], said: str) -> None:
    assert span(values) == said


@given(st.text())
def test_nothing_that_a_terminal_obeys_is_printed(text: str) -> None:
    assert all(one.isprintable() or one == "\u200d" for one in printable(text))


def test_other_scripts_and_emoji_stay() -> None:
    assert printable("Приве́т 東京 👩\u200d🚀\n\x1b[31m") == "Приве́т 東京 👩\u200d🚀 [31m"
