"""Shared places: a bound for all, a share per account, and turns between accounts."""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rushes import pace
from rushes.errors import AccountBusy, Overloaded
from rushes.shared_places import DECLARED, Declaration, Holding, SharedPlace, SharedPlaces

SMALL = Declaration("small", "Small things", "things", most=4, share=2, queue=3, retry_after_s=7)


def test_an_account_is_refused_beyond_its_share() -> None:
    place = SharedPlace(SMALL)
    held = [place.take("a"), place.take("a")]
    with pytest.raises(AccountBusy) as refusal:
        place.take("a")
    assert refusal.value.retry_after_s == 7
    held[0].release()
    place.take("a")
    assert place.refused == {"account": 1}


def test_all_accounts_are_refused_when_all_of_it_is_held() -> None:
    place = SharedPlace(SMALL)
    for account_id in ("a", "a", "b", "b"):
        place.take(account_id)
    with pytest.raises(Overloaded):
        place.take("c")
    assert place.refused == {"all": 1}


def test_a_holding_gives_back_once() -> None:
    place = SharedPlace(SMALL)
    with place.take("a") as holding:
        holding.release()
    assert place.held == 0


def test_a_holding_that_may_not_grow_keeps_what_it_has() -> None:
    place = SharedPlace(SMALL)
    holding = place.take("a")
    holding.grow(1)
    with pytest.raises(AccountBusy):
        holding.grow(1)
    assert place.held_by("a") == 2
    holding.release()
    assert place.held == place.held_by("a") == 0
    place.take("b")
    assert place.held == place.held_by("b") == 1


def test_more_than_a_share_is_refused_even_when_all_is_free() -> None:
    with pytest.raises(AccountBusy):
        SharedPlace(SMALL).take("a", 3)


async def test_accounts_take_turns_however_long_one_queue_is() -> None:
    place = SharedPlace(Declaration("one", "One thing", "things", most=1, share=1, queue=100))
    order: list[str] = []

    async def use(account_id: str) -> None:
        with await place.wait(account_id):
            order.append(account_id)
            await asyncio.sleep(0)

    first = place.take("hog")
    tasks = [asyncio.create_task(use("hog")) for _ in range(50)]
    await asyncio.sleep(0)
    tasks.append(asyncio.create_task(use("guest")))
    await asyncio.sleep(0)
    first.release()
    await asyncio.gather(*tasks)
    assert order.index("guest") <= 1
    assert place.held == place.waiting == 0


async def test_a_full_queue_refuses_its_own_account_alone() -> None:
    place = SharedPlace(Declaration("one", "One thing", "things", most=1, share=1, queue=1))
    first = place.take("a")
    waits = asyncio.create_task(place.wait("a"))
    await asyncio.sleep(0)
    with pytest.raises(AccountBusy):
        await place.wait("a")
    other = asyncio.create_task(place.wait("b"))
    await asyncio.sleep(0)
    first.release()
    (await waits).release()
    (await other).release()
    assert place.held == 0


async def test_a_request_that_stops_waiting_leaves_no_trace() -> None:
    place = SharedPlace(SMALL)
    held = [place.take("a"), place.take("a")]
    waits = asyncio.create_task(place.wait("a"))
    await asyncio.sleep(0)
    held.pop().release()
    waits.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waits
    held.pop().release()
    assert place.held == place.waiting == 0


def test_settings_replace_bounds() -> None:
    places = SharedPlaces({"decoders": 7}, {"decoders": 3})
    (decoders,) = [place for place in places if place.declaration.name == "decoders"]
    assert (decoders.declaration.most, decoders.declaration.share) == (7, 3)


def test_no_share_is_above_its_bound_and_names_are_unique() -> None:
    assert all(declared.share <= declared.most for declared in DECLARED)
    assert len({declared.name for declared in DECLARED}) == len(DECLARED)


@given(
    st.lists(
        st.tuples(st.sampled_from(["take", "wait", "release", "cancel"]), st.sampled_from("abc"), st.integers(0, 9)),
        max_size=60,
    )
)
def test_no_history_exceeds_a_bound_or_loses_a_place(steps: list[tuple[str, str, int]]) -> None:
    asyncio.run(play(steps))


async def play(steps: list[tuple[str, str, int]]) -> None:
    """Every step of a history, with the bounds checked after each."""
    place = SharedPlace(SMALL)
    held: list[Holding] = []
    waits: list[asyncio.Task[Holding]] = []
    for act, account_id, number in steps:
        if act == "take":
            with contextlib.suppress(AccountBusy, Overloaded):
                held.append(place.take(account_id))
        elif act == "wait":
            waits.append(asyncio.create_task(place.wait(account_id)))
        elif act == "release" and held:
            held.pop(number % len(held)).release()
        elif act == "cancel" and waits:
            waits.pop(number % len(waits)).cancel()
        for _ in range(3):
            await asyncio.sleep(0)
        for task in [task for task in waits if task.done()]:
            waits.remove(task)
            if not task.cancelled() and task.exception() is None:
                held.append(task.result())
        assert place.held <= SMALL.most
        assert all(place.held_by(account) <= SMALL.share for account in "abc")
    # Whatever waits gets its turn once all is given back.
    while held or waits:
        while held:
            held.pop().release()
        for _ in range(3):
            await asyncio.sleep(0)
        for task in list(waits):
            if task.done():
                waits.remove(task)
                if not task.cancelled() and task.exception() is None:
                    held.append(task.result())
    assert place.held == place.waiting == 0
    assert Counter(place.refused).total() <= len(steps)


async def test_an_account_that_rests_goes_on_by_itself_and_holds_up_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pace, "REST", 1.0)
    place = SharedPlace(Declaration("paced", "Requests", "requests", most=9, share=9, queue=9, paced=True))
    for account_id in ("heavy", "other"):
        (await place.wait(account_id)).release()
    place.has_held_up("heavy", 0.2)
    waiting = [asyncio.create_task(place.wait("heavy")) for _ in range(2)]
    await asyncio.sleep(0)
    assert place.waiting == 2
    (await place.wait("other")).release()
    assert place.waiting == 2
    for holding in await asyncio.gather(*waiting):
        holding.release()
    assert place.held == place.waiting == 0


def test_only_a_paced_place_takes_rests() -> None:
    place = SharedPlace(SMALL)
    place.has_held_up("a", 10)
    assert place.take("a").amount == 1
