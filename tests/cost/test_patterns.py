"""Every regular expression of ours takes at most about twice as long for a text of twice the length.

A regular expression cannot count its steps, so this compares processor time of one thread, short text against long, in
one run. What is too quick to compare passes.
"""

from __future__ import annotations

import ast
import importlib
import itertools
import pkgutil
import re
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

import pytest

import rushes
from rushes.net.redact import Redactor, scrub

SOURCE = Path(rushes.__file__).parent
LENGTH = 3_000
WORST_RATIO = 2.6
TOO_QUICK_S = 0.002
"""Below this a clock says nothing of how the time grows; a pattern that grows with the square is far above it."""
TRIES = 6
RUNS = (
    "a",
    "0",
    "-",
    "_",
    " ",
    "\\",
    '"',
    "%25",
    "&amp;",
    ";",
    ",",
    "=",
    ".",
    "/",
    "eyJ-",
    "\t",
    "[",
    "{",
    "amp;",
    "A ",
)
CALLS = frozenset({"match", "fullmatch", "search", "sub", "subn", "findall", "finditer", "split"})


@dataclass(frozen=True)
class Used:
    """A pattern, and the methods by which the source uses it."""

    pattern: re.Pattern[str]
    calls: frozenset[str]


def modules() -> Iterator[ModuleType]:
    for found in pkgutil.walk_packages([str(SOURCE)], "rushes."):
        if ".migrations" not in found.name and not found.name.endswith("__main__"):
            yield importlib.import_module(found.name)


def calls_in_source() -> Iterator[tuple[str, str, ast.Call, str]]:
    """Where, on what, and which call: every `THING.method(...)` whose method is one of a pattern."""
    for path in SOURCE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in CALLS:
                yield f"{path.relative_to(SOURCE)}:{node.lineno}", ast.unparse(node.func.value), node, node.func.attr


def patterns() -> dict[str, Used]:
    """Patterns in the names of modules, and those that stand in a call."""
    found: dict[str, Used] = {}
    called: dict[str, set[str]] = {}
    for place, subject, node, method in calls_in_source():
        called.setdefault(subject.rpartition(".")[2], set()).add(method)
        if subject == "re" and node.args and isinstance(node.args[0], ast.Constant):
            found[place] = Used(re.compile(str(node.args[0].value)), frozenset({method}))
    for module in modules():
        for name, value in vars(module).items():
            if isinstance(value, re.Pattern):
                found[f"{module.__name__}.{name}"] = Used(_as_text(value), frozenset(called.get(name, CALLS)))
    return found


def _as_text(pattern: re.Pattern[str] | re.Pattern[bytes]) -> re.Pattern[str]:
    if isinstance(pattern.pattern, str):
        return re.compile(pattern.pattern, pattern.flags)
    return re.compile(pattern.pattern.decode("latin-1"), pattern.flags & ~re.UNICODE | re.ASCII)


def attacks(pattern: re.Pattern[str], length: int) -> Iterator[str]:
    """Texts that make a pattern begin often and fail late: its own literals again and again, and an end or none."""
    literals = set(re.findall(r"[A-Za-z0-9_:/@%&=.-]{1,20}", re.sub(r"\\[a-zA-Z]", " ", pattern.pattern)))
    seeds = [*RUNS, *sorted(literals, key=lambda text: -len(text))[:8]]
    for seed, end in itertools.product(seeds, ("", "\x00", "!")):
        yield (seed * (length // len(seed) + 1))[:length] + end
    for first, run in itertools.product(seeds[len(RUNS) :], RUNS):
        yield first + (run * (length // len(run) + 1))[:length]
        yield ((first + run) * (length // (len(first) + len(run)) + 1))[:length]


def seconds(used: Used, text: str) -> float:
    began = time.thread_time()
    if "match" in used.calls:
        used.pattern.match(text)
    if "fullmatch" in used.calls:
        used.pattern.fullmatch(text)
    if used.calls - {"match", "fullmatch"}:
        sum(1 for _ in used.pattern.finditer(text))
    return time.thread_time() - began


def growth(pattern: Used, short: str, long: str) -> float:
    """How much longer the long text takes than the short one; 1 where both are too quick to tell."""
    if seconds(pattern, long) < TOO_QUICK_S:
        return 1.0
    best = [min(seconds(pattern, text) for _ in range(3)) for text in (short, long)]
    return 1.0 if best[1] < TOO_QUICK_S else best[1] / max(best[0], 1e-9)


PATTERNS = patterns()


def test_the_patterns_are_found() -> None:
    assert len(PATTERNS) > 40
    assert "rushes.net.redact.KEY_SHAPED" in PATTERNS


@pytest.mark.parametrize("name", sorted(PATTERNS))
def test_twice_the_text_takes_at_most_about_twice_the_time(name: str) -> None:
    used = PATTERNS[name]
    for short, long in zip(attacks(used.pattern, LENGTH), attacks(used.pattern, 2 * LENGTH), strict=True):
        # Others use this machine too: one good try shows how the time grows.
        ratios: list[float] = []
        while len(ratios) < TRIES and (not ratios or min(ratios) > WORST_RATIO):
            ratios.append(growth(used, short, long))
        assert min(ratios) <= WORST_RATIO, f"{long[:60]!r}... takes {min(ratios):.1f} times as long as half of it"


def test_a_quadratic_pattern_would_be_noticed() -> None:
    quadratic = Used(re.compile(r"\beyJ[\w-]{8,}\.[\w-]{8,}"), frozenset({"search"}))
    worst = max(
        growth(quadratic, short, long)
        for short, long in zip(attacks(quadratic.pattern, LENGTH), attacks(quadratic.pattern, 2 * LENGTH), strict=True)
    )
    assert worst > WORST_RATIO


SECRETS = ("/slash/first+and=more", "sk-plain", "a\\b/c%d&e", '{"private_key": "-----BEGIN\\nabc/def+ghi\\n-----END"}')


@pytest.mark.parametrize("secret", SECRETS)
@pytest.mark.parametrize("run", RUNS)
def test_scrubbing_twice_the_text_takes_at_most_about_twice_the_time(secret: str, run: str) -> None:
    redactor = Redactor([secret])
    scrub("warm", [secret])

    def best(length: int) -> float:
        text = "slash" + (run * (length // len(run) + 1))[:length] + "plain"
        found = []
        for _ in range(3):
            began = time.thread_time()
            redactor.scrub(text)
            found.append(time.thread_time() - began)
        return min(found)

    ratios: list[float] = []
    while len(ratios) < TRIES and (not ratios or min(ratios) > WORST_RATIO):
        short_s, long_s = best(4 * LENGTH), best(8 * LENGTH)
        ratios.append(1.0 if long_s < TOO_QUICK_S else long_s / short_s)
    assert min(ratios) <= WORST_RATIO
