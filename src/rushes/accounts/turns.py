"""How many requests of one account are answered at a time, so that a flood of one account delays no other."""

from __future__ import annotations

import asyncio
from typing import Any, Final

from rushes.errors import AccountBusy, Overloaded
from rushes.pace import HEAVY_S
from rushes.shared_places import REQUESTS, TURNS, Holding, SharedPlaces, account_served

LONGEST_TURN_S: Final = 1.0
"""A request that takes longer mostly waits for something else, such as a picture that it names, and does no work."""
REFUSAL_DELAY_S: Final = 1.0
"""A client that repeats refused requests at once would else keep the process busy with refusals."""


async def take_turn(state: dict[str, Any], account_id: str) -> None:
    """Return once the turn of the request with this state has come among its account's; a second call does nothing.

    The turn lasts until the answer begins, and at most `LONGEST_TURN_S`. Raises AccountBusy if too many requests of the
    account are not answered to the end, and Overloaded if too many of all accounts are.
    """
    places: SharedPlaces | None = state.get("places")
    account_served.set(account_id)
    if places is None or "turn" in state:
        return
    state["turn"] = None
    state["turn_of"] = account_id
    try:
        holding = places[REQUESTS].take(account_id)
    except (AccountBusy, Overloaded):
        await asyncio.sleep(REFUSAL_DELAY_S)
        raise
    state["holdings"].append(holding)
    turn = await places[TURNS].wait(account_id)
    state["holdings"].append(turn)
    state["turn"] = turn, asyncio.get_running_loop().call_later(LONGEST_TURN_S, turn.release)


def note_held(state: dict[str, Any], seconds: float) -> None:
    """Note that a step of the request with this state has held the event loop for so long."""
    if seconds <= HEAVY_S:
        return
    account_id: str | None = state.get("turn_of")
    if account_id is not None:
        places: SharedPlaces = state["places"]
        places[TURNS].has_held_up(account_id, seconds)


def end_turn(state: dict[str, Any]) -> None:
    """Give the request's turn back, if it has one."""
    found: tuple[Holding, asyncio.TimerHandle] | None = state.get("turn")
    if found is not None:
        turn, timer = found
        timer.cancel()
        turn.release()
