from __future__ import annotations

from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, invariant, multiple, rule

from rushes.engine.breaker import (
    FAILURES_TO_OPEN,
    FIRST_OPEN_S,
    LONGEST_OPEN_S,
    MOST_BREAKERS,
    PROBE_WAIT_S,
    Breaker,
    Breakers,
    BreakerState,
    Circuit,
    Outcome,
    outcome_of,
)
from rushes.errors import (
    ContentFiltered,
    LeaseLost,
    ProviderAuth,
    ProviderCreditEmpty,
    ProviderError,
    ProviderQuota,
    ProviderRejected,
    ProviderUnavailable,
    StorageUnavailable,
    UnexpectedResponse,
)


def call(breaker: Breaker, outcome: Outcome, now_ms: int = 0) -> None:
    number = breaker.begin(now_ms)
    assert number is not None
    breaker.end(number, outcome, now_ms)


def opened(now_ms: int = 0) -> Breaker:
    breaker = Breaker()
    for _ in range(FAILURES_TO_OPEN):
        call(breaker, Outcome.UNREACHED, now_ms)
    return breaker


def test_it_opens_after_so_many_failures_in_a_row() -> None:
    breaker = Breaker()
    for _ in range(FAILURES_TO_OPEN - 1):
        call(breaker, Outcome.UNREACHED)
    assert breaker.state(0) is BreakerState.CLOSED
    call(breaker, Outcome.UNREACHED)
    assert breaker.state(0) is BreakerState.OPEN
    assert breaker.begin(0) is None
    assert breaker.wait_s(0) == FIRST_OPEN_S


def test_an_answer_between_failures_starts_the_count_anew() -> None:
    breaker = Breaker()
    for _ in range(3 * FAILURES_TO_OPEN):
        call(breaker, Outcome.UNREACHED)
        call(breaker, Outcome.ANSWERED)
    assert breaker.is_untroubled


def test_half_open_it_lets_one_call_through() -> None:
    breaker, later_ms = opened(), round(FIRST_OPEN_S * 1000)
    assert breaker.state(later_ms) is BreakerState.HALF_OPEN
    assert breaker.begin(later_ms) is not None
    assert breaker.begin(later_ms) is None
    assert breaker.wait_s(later_ms) == PROBE_WAIT_S


def test_a_probe_that_is_answered_closes_it() -> None:
    breaker, later_ms = opened(), round(FIRST_OPEN_S * 1000)
    call(breaker, Outcome.ANSWERED, later_ms)
    assert breaker.is_untroubled


def test_a_probe_that_was_not_made_leaves_its_place_to_another() -> None:
    breaker, later_ms = opened(), round(FIRST_OPEN_S * 1000)
    call(breaker, Outcome.UNDECIDED, later_ms)
    assert breaker.begin(later_ms) is not None


def test_each_probe_that_fails_opens_it_for_twice_as_long_up_to_a_limit() -> None:
    breaker, now_ms, waits = opened(), 0, []
    for _ in range(9):
        waits.append(breaker.wait_s(now_ms))
        now_ms += round(waits[-1] * 1000)
        call(breaker, Outcome.UNREACHED, now_ms)
    assert waits == [5, 10, 20, 40, 80, 160, LONGEST_OPEN_S, LONGEST_OPEN_S, LONGEST_OPEN_S]


def test_calls_from_before_the_opening_do_not_lengthen_it() -> None:
    breaker = Breaker()
    numbers = [breaker.begin(0) for _ in range(50)]
    for number in numbers:
        assert number is not None
        breaker.end(number, Outcome.UNREACHED, 0)
    assert breaker.wait_s(0) == FIRST_OPEN_S


@pytest.mark.parametrize(
    ("error", "outcome"),
    [
        (None, Outcome.ANSWERED),
        (ProviderUnavailable("503"), Outcome.UNREACHED),
        (ProviderUnavailable("Connection refused", accepted=False), Outcome.UNREACHED),
        (ProviderQuota("429"), Outcome.ANSWERED),
        (ProviderAuth("401"), Outcome.ANSWERED),
        (ProviderRejected("400"), Outcome.ANSWERED),
        (ContentFiltered("No"), Outcome.ANSWERED),
        (UnexpectedResponse("<html>"), Outcome.ANSWERED),
        (StorageUnavailable("Our disk"), Outcome.UNDECIDED),
        (LeaseLost("gone"), Outcome.UNDECIDED),
        (KeyError("bug"), Outcome.UNDECIDED),
    ],
)
def test_only_a_provider_that_cannot_be_reached_counts_as_a_failure(
    error: BaseException | None, outcome: Outcome
) -> None:
    assert outcome_of(error) is outcome


@pytest.mark.parametrize("error", [ProviderAuth("401"), ProviderCreditEmpty("402")])
def test_a_refused_key_is_left_alone_at_once_where_there_are_others(error: ProviderError) -> None:
    breaker = Breaker()
    call(breaker, outcome_of(error, has_other_keys=True))
    assert breaker.state(0) is BreakerState.OPEN
    assert outcome_of(ProviderQuota("429"), has_other_keys=True) is Outcome.ANSWERED


# Of many providers.


def circuit(number: int = 0) -> Circuit:
    return Circuit("google", "gemini", f"key-{number}")


def test_each_circuit_has_its_own_breaker() -> None:
    breakers = Breakers()
    for _ in range(FAILURES_TO_OPEN):
        call(breakers.of(circuit(1)), Outcome.UNREACHED)
    call(breakers.of(circuit(2)), Outcome.ANSWERED)
    shown = breakers.snapshot(0)
    assert list(shown) == [circuit(1)]
    assert (shown[circuit(1)].state, shown[circuit(1)].failures) == (BreakerState.OPEN, FAILURES_TO_OPEN)
    assert shown[circuit(1)].wait_s == FIRST_OPEN_S


def test_what_is_kept_is_bounded_and_the_troubled_are_kept_longest() -> None:
    breakers = Breakers()
    call(breakers.of(circuit(-1)), Outcome.UNREACHED)
    for number in range(2 * MOST_BREAKERS):
        breakers.of(circuit(number))
    assert list(breakers.snapshot(0)) == [circuit(-1)]
    for number in range(2 * MOST_BREAKERS):
        call(breakers.of(circuit(number)), Outcome.UNREACHED)
    assert len(breakers.snapshot(0)) == MOST_BREAKERS


class BreakerMachine(RuleBasedStateMachine):
    """Calls that begin and end in any order while time passes, against what is promised at every moment."""

    calls = Bundle("calls")

    def __init__(self) -> None:
        super().__init__()
        self.breaker = Breaker()
        self.now_ms = 0
        self.in_a_row = 0
        self.probes: set[int] = set()

    @rule(seconds=st.sampled_from([0.5, 1, 5, 10, 400]))
    def time_passes(self, seconds: float) -> None:
        self.now_ms += round(seconds * 1000)

    @rule(target=calls)
    def begin(self) -> Any:
        state, wait_s = self.breaker.state(self.now_ms), self.breaker.wait_s(self.now_ms)
        number = self.breaker.begin(self.now_ms)
        assert (number is None) == (wait_s > 0)
        if state is BreakerState.OPEN:
            assert number is None
        if state is BreakerState.CLOSED:
            assert number is not None
        if number is None:
            return multiple()
        if state is BreakerState.HALF_OPEN:
            self.probes.add(number)
            assert len(self.probes) == 1
        return number

    @rule(number=consumes(calls), outcome=st.sampled_from(Outcome))
    def end(self, number: int, outcome: Outcome) -> None:
        before = self.breaker.state(self.now_ms)
        self.breaker.end(number, outcome, self.now_ms)
        after = self.breaker.state(self.now_ms)
        was_probe = number in self.probes
        self.probes.discard(number)
        if outcome is Outcome.ANSWERED:
            self.in_a_row = 0
            self.probes.clear()
            assert after is BreakerState.CLOSED
        elif outcome is not Outcome.UNDECIDED:
            self.in_a_row += 1
            if before is BreakerState.CLOSED:
                opens = outcome is Outcome.REFUSED or self.in_a_row >= FAILURES_TO_OPEN
                assert after is (BreakerState.OPEN if opens else BreakerState.CLOSED)
            else:
                assert after is (BreakerState.OPEN if was_probe else before)
        else:
            assert after is before

    @invariant()
    def it_never_closes_the_door_for_good(self) -> None:
        assert 0 <= self.breaker.wait_s(self.now_ms) <= LONGEST_OPEN_S

    @invariant()
    def it_counts_failures_in_a_row(self) -> None:
        assert self.breaker.failures == self.in_a_row


TestBreakerMachine = BreakerMachine.TestCase
TestBreakerMachine.settings = settings(max_examples=150, stateful_step_count=50, deadline=None)
