"""What the rate limiter promises, over every database: several processes never admit more than a minute's limit."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rushes.accounts.keys import Caller, Mode
from rushes.accounts.limits import Limits
from rushes.accounts.rate import LEASES_IN_A_WINDOW, WINDOW_MS, RateLimiter
from rushes.clock import Clock
from rushes.db.database import Database
from tests.contract.database_harness import HARNESSES, Desk, Harness, play_on
from tests.fixtures.databases import WatchedDatabase


class HarnessClock:
    """The harness's time as a process sees it."""

    def __init__(self, harness: Harness) -> None:
        self._harness = harness

    def now_ms(self) -> int:
        return self._harness.now_ms()

    async def sleep(self, seconds: float) -> None:
        raise NotImplementedError


def limiter(harness: Harness, database: Database | None = None, *, quota: int | None = None) -> RateLimiter:
    clock: Clock = HarnessClock(harness)
    return RateLimiter(database or harness.database, clock, Limits(requests_per_minute=quota))


def caller(*, account: str = "acct_1", key: str = "key_1", rate: int | None = None, own: int | None = None) -> Caller:
    return Caller(account_id=account, key_id=key, mode=Mode.TEST, account_rate=rate, key_rate=own)


async def admitted(one: RateLimiter, who: Caller) -> bool:
    return (await one.admit(who)).refused is None


ARRIVALS = st.lists(
    st.tuples(st.sampled_from([0, 0, 0, 1, 700, 20_000, 59_999, 60_000]), st.integers(0, 2), st.integers(1, 60)),
    max_size=30,
)


@pytest.mark.parametrize("make", HARNESSES)
@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
@given(quota=st.sampled_from([1, 2, 7, 39, 40, 100]), arrivals=ARRIVALS)
def test_no_minute_admits_more_than_its_limit_and_refuses_no_more_than_the_leases_of_others(
    make: Callable[[Path], Harness], quota: int, arrivals: list[tuple[int, int, int]]
) -> None:
    """Each arrival: time since the last (ms), at which of three processes, how many requests."""

    async def play(harness: Harness) -> None:
        processes = [limiter(harness) for _ in range(3)]
        # With 1 this is exact: whoever is refused is rightly refused.
        lost = 0 if quota < 2 * LEASES_IN_A_WINDOW else 2 * (quota // LEASES_IN_A_WINDOW)
        ends_ms, count = 0, 0
        for passed_ms, process, requests in arrivals:
            harness.pass_time(passed_ms / 1000)
            for _ in range(requests):
                if harness.now_ms() >= ends_ms:
                    ends_ms, count = harness.now_ms() + WINDOW_MS, 0
                standing = await processes[process].admit(caller(rate=quota))
                (rate,) = standing.rates
                assert 0 <= rate.remaining < quota or standing.refused
                assert 0 < rate.reset_s <= WINDOW_MS / 1000
                if standing.refused is None:
                    count += 1
                    assert count <= quota
                else:
                    assert count >= quota - lost

    play_on(make, play)


async def test_a_burst_at_two_processes_is_admitted_up_to_the_limit_exactly(desk: Desk) -> None:
    processes = [limiter(desk.harness) for _ in range(2)]
    outcomes = await asyncio.gather(*(admitted(processes[i % 2], caller(rate=25)) for i in range(80)))
    assert sum(outcomes) == 25


async def test_most_requests_cost_no_write(desk: Desk) -> None:
    database = WatchedDatabase(desk.harness.database)
    one = limiter(desk.harness, database)
    assert all([await admitted(one, caller(rate=1000)) for _ in range(1000)])
    assert database.writes == LEASES_IN_A_WINDOW
    assert not any([await admitted(one, caller(rate=1000)) for _ in range(100)])
    assert database.writes == LEASES_IN_A_WINDOW
    assert all([await admitted(one, caller(account="unlimited")) for _ in range(10)])
    assert database.writes == LEASES_IN_A_WINDOW


async def test_what_a_key_is_refused_is_not_taken_from_its_account(desk: Desk) -> None:
    one = limiter(desk.harness)
    outcomes = [await admitted(one, caller(rate=10, own=1)) for _ in range(5)]
    assert outcomes == [True, False, False, False, False]
    assert sum([await admitted(one, caller(rate=10, key="key_2")) for _ in range(12)]) == 9


async def test_an_accounts_own_limit_wins_over_the_default_in_both_directions(desk: Desk) -> None:
    one = limiter(desk.harness, quota=3)
    assert sum([await admitted(one, caller(account="usual")) for _ in range(6)]) == 3
    assert sum([await admitted(one, caller(account="more", rate=5)) for _ in range(6)]) == 5
    assert sum([await admitted(one, caller(account="less", rate=1)) for _ in range(6)]) == 1


async def test_a_limit_that_is_raised_or_lowered_holds_for_the_minute_that_runs(desk: Desk) -> None:
    one = limiter(desk.harness)
    assert sum([await admitted(one, caller(rate=2)) for _ in range(4)]) == 2
    assert sum([await admitted(one, caller(rate=5)) for _ in range(9)]) == 3
    assert not await admitted(one, caller(rate=4))


async def test_a_clock_that_was_set_back_shuts_nobody_out(desk: Desk) -> None:
    one = limiter(desk.harness)
    assert await admitted(one, caller(rate=1))
    await desk.harness.database.write(
        lambda transaction: transaction.execute("UPDATE rate_windows SET ends_at = ends_at + 86400000")
    )
    assert await admitted(limiter(desk.harness), caller(rate=1))
