"""Turns: one account's requests are answered a few at a time, and those of other accounts in between."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from rushes.accounts import turns
from rushes.accounts.turns import end_turn, take_turn
from rushes.errors import AccountBusy
from rushes.shared_places import REQUESTS, TURNS, SharedPlaces


def new_state(places: SharedPlaces) -> dict[str, Any]:
    """What the middleware gives each request."""
    return {"places": places, "holdings": []}


async def test_a_request_of_another_account_comes_before_a_queue() -> None:
    places = SharedPlaces()
    order: list[str] = []

    async def answer(account_id: str) -> None:
        state = new_state(places)
        await take_turn(state, account_id)
        # It never waits, as a read of SQLite does not.
        order.append(account_id)
        end_turn(state)

    await asyncio.gather(*(answer(account_id) for account_id in ["hostile"] * 200 + ["other"]))
    assert order.index("other") < 5


async def test_a_request_has_one_turn_until_its_answer_begins() -> None:
    places = SharedPlaces()
    state = new_state(places)
    await take_turn(state, "a")
    await take_turn(state, "a")
    assert (places[REQUESTS].held, places[TURNS].held) == (1, 1)
    end_turn(state)
    assert (places[REQUESTS].held, places[TURNS].held) == (1, 0)
    for holding in state["holdings"]:
        holding.release()
    assert places[REQUESTS].held == places[TURNS].held == 0


async def test_a_request_that_takes_long_lets_the_next_one_go_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(turns, "LONGEST_TURN_S", 0.01)
    places = SharedPlaces()
    # More than the share, and none of them is ever answered.
    for _ in range(TURNS.share + 2):
        await take_turn(new_state(places), "a")
    assert places[REQUESTS].held == TURNS.share + 2


async def test_an_account_with_its_share_of_requests_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(turns, "REFUSAL_DELAY_S", 0)
    places = SharedPlaces()
    held = places[REQUESTS].take("a", REQUESTS.share)
    with pytest.raises(AccountBusy) as refused:
        await take_turn(new_state(places), "a")
    assert refused.value.retry_after_s
    await take_turn(new_state(places), "b")
    held.release()
    await take_turn(new_state(places), "a")
