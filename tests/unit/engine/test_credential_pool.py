"""Which key of a pool a job gets: by weight among those that are well, with few calls to those that are not."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rushes.engine.breaker import FIRST_OPEN_S, LONGEST_OPEN_S, Breaker, Outcome
from rushes.engine.credential_pool import REST_S, CredentialPool, JobKeys, PoolKey
from rushes.providers.base import Credential
from rushes.providers.credentials import KeyTerms, Pinned
from tests.fixtures.new_jobs import clip_model
from tests.fixtures.scripted_provider import ScriptedProvider

JOBS = 10_000
MOST_MISSED = 0.05


@dataclass
class Keys:
    """A pool with keys of these weights, and what each was called for."""

    weights: dict[str, float]
    pool: CredentialPool = field(default_factory=CredentialPool)
    calls: Counter[str] = field(default_factory=Counter)
    now_ms: int = 0

    def __post_init__(self) -> None:
        self.keys = [
            PoolKey(
                Pinned(Credential("api_key", f"secret-{name}"), None, name, KeyTerms(weight)),
                ScriptedProvider(),
                Breaker(),
                self.pool.standing(name),
            )
            for name, weight in self.weights.items()
        ]

    def job(self) -> JobKeys:
        return JobKeys(self.pool, self.keys, self.keys[0])

    def submit(self, outcomes: dict[str, Outcome] | None = None) -> str | None:
        """Submit one job, with another key while one refuses. Returns the key that took it, or None."""
        job = self.job()
        while job.choose(self.now_ms):
            key = job.current
            call = key.breaker.begin(self.now_ms)
            assert call is not None
            job.taken()
            outcome = (outcomes or {}).get(key.pinned.name, Outcome.ANSWERED)
            self.calls[key.pinned.name] += 1
            key.breaker.end(call, outcome, self.now_ms)
            job.let_go()
            if outcome is Outcome.ANSWERED:
                return key.pinned.name
        return None

    def pass_time(self, seconds: float) -> None:
        self.now_ms += round(seconds * 1000)


def assert_shares(taken: Counter[str], weights: dict[str, float]) -> None:
    jobs, all_weights = sum(taken.values()), sum(weights.values())
    for name, weight in weights.items():
        assert taken[name] == pytest.approx(jobs * weight / all_weights, rel=MOST_MISSED, abs=1)


@given(st.lists(st.integers(1, 20), min_size=1, max_size=6))
@settings(max_examples=20, deadline=None)
def test_ten_thousand_jobs_are_shared_by_weight(weights: list[int]) -> None:
    named: dict[str, float] = {f"key-{number}": weight for number, weight in enumerate(weights)}
    keys = Keys(named)
    assert_shares(Counter(filter(None, (keys.submit() for _ in range(JOBS)))), named)


@given(st.data())
@settings(max_examples=15, deadline=None)
def test_whatever_keys_die_and_come_back_jobs_go_to_those_that_are_well_by_weight(data: Any) -> None:
    weights: dict[str, float] = {"a": 5, "b": 3, "c": 1, "d": 1}
    keys = Keys(weights)
    for _ in range(data.draw(st.integers(1, 5))):
        dead = data.draw(st.sets(st.sampled_from("abcd"), max_size=3))
        outcomes = dict.fromkeys(dead, Outcome.REFUSED)
        # Long enough that every key which is well again has been found out.
        keys.pass_time(LONGEST_OPEN_S)
        for _ in range(40):
            keys.submit(outcomes)
        keys.calls.clear()
        taken = Counter(keys.submit(outcomes) for _ in range(2000))
        assert None not in taken
        well = {name: weight for name, weight in weights.items() if name not in dead}
        assert_shares(Counter({name: taken[name] for name in well}), well)
        assert all(keys.calls[name] == 0 for name in dead)


@given(st.integers(1, 50), st.integers(1, 400))
@settings(max_examples=20, deadline=None)
def test_a_dead_key_gets_at_most_its_probes(jobs_in_a_s: int, seconds: int) -> None:
    keys = Keys({"dead": 10, "well": 1})
    for _ in range(seconds):
        for _ in range(jobs_in_a_s):
            assert keys.submit({"dead": Outcome.REFUSED}) == "well"
        keys.pass_time(1)
    probes, open_s, at_s = 1, FIRST_OPEN_S, FIRST_OPEN_S
    while at_s < seconds:
        probes, open_s = probes + 1, min(2 * open_s, LONGEST_OPEN_S)
        at_s += open_s
    assert keys.calls["dead"] <= probes


def test_a_key_that_was_away_does_not_catch_up_on_what_it_missed() -> None:
    keys = Keys({"a": 1, "b": 1})
    for _ in range(1000):
        keys.submit({"b": Outcome.REFUSED})
    keys.pass_time(LONGEST_OPEN_S)
    taken = Counter(keys.submit() for _ in range(100))
    assert_shares(Counter({name: taken[name] for name in "ab"}), {"a": 1, "b": 1})


def test_a_key_without_weight_is_taken_only_while_no_other_can() -> None:
    keys = Keys({"main": 1, "spare": 0})
    assert {keys.submit() for _ in range(20)} == {"main"}
    assert keys.submit({"main": Outcome.REFUSED}) == "spare"
    assert keys.submit() == "spare"
    keys.pass_time(FIRST_OPEN_S)
    assert keys.submit() == "main"


def test_a_key_at_its_providers_rate_limit_rests_and_the_others_go_on() -> None:
    keys = Keys({"a": 1, "b": 1})
    limited = JobKeys(keys.pool, keys.keys, keys.keys[0])
    limited.limited(keys.now_ms, None)
    assert {keys.submit() for _ in range(20)} == {"b"}
    keys.pass_time(REST_S)
    assert {keys.submit() for _ in range(20)} == {"a", "b"}


def test_of_equal_keys_the_one_with_fewer_jobs_comes_first() -> None:
    keys = Keys({"a": 1, "b": 1})
    busy = JobKeys(keys.pool, keys.keys, keys.keys[0])
    busy.hold()
    assert keys.submit() == "b"


def test_with_every_key_closed_the_wait_is_that_of_the_first_to_open() -> None:
    keys = Keys({"a": 1, "b": 1})
    refused = {"a": Outcome.REFUSED, "b": Outcome.REFUSED}
    assert keys.submit(refused) is None
    job = keys.job()
    assert job.are_closed(keys.now_ms)
    assert job.wait_s(keys.now_ms) == FIRST_OPEN_S
    assert keys.submit() is None


@pytest.mark.parametrize(
    ("pattern", "matches"),
    [("*", True), ("clip", True), ("scripted/clip", True), ("scripted/*", True), ("cl?p", True), ("other/*", False)],
)
def test_a_key_is_for_the_models_that_its_patterns_name(pattern: str, matches: bool) -> None:
    pinned = Pinned(Credential("api_key", "secret"), None, "a", KeyTerms(models=("nothing", pattern)))
    assert pinned.is_for(clip_model()) is matches
