"""What a job's money is at each point of its life; plain rules, in whole millionths of a dollar.

A job reserves the dearest of the models that may run it. When it ends it pays for the videos that were delivered, at
the price pinned when it was accepted: what was asked for times the list price, whatever length was measured, because
that is what providers bill. What may or may not be charged stays reserved until an operator knows.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

from rushes.catalogue.price import to_microusd


@dataclass(frozen=True, slots=True)
class Reservation:
    """What is set aside for a new job. `unpriced` names a model that may run it and whose price is not known."""

    microusd: int
    unpriced: str | None = None


@dataclass(frozen=True, slots=True)
class Costs:
    """What is reserved for a job, and what it has cost: None until that is known."""

    reserved_microusd: int
    spent_microusd: int | None

    def spent_over(self, before: Costs) -> int:
        """How many micro-dollars more it has cost than `before`."""
        return (self.spent_microusd or 0) - (before.spent_microusd or 0)


def reservation_for(possible: Sequence[tuple[str, Decimal | None]]) -> Reservation:
    """What a job reserves that one of these models will run, each with its cost in dollars."""
    known = [to_microusd(cost_usd) for _, cost_usd in possible if cost_usd is not None]
    return Reservation(max(known, default=0), next((name for name, cost_usd in possible if cost_usd is None), None))


def costs_at_end(cost_usd: Decimal | None, *, n: int, delivered: int, uncertain: int) -> Costs:
    """The costs of a job for `n` videos at `cost_usd` that has ended.

    `delivered` of them are ours; of `uncertain` others at the provider the outcome is unknown. A job never pays
    for more videos than were asked for.
    """
    if cost_usd is None:
        return Costs(0, None if delivered or uncertain else 0)
    spent = share_microusd(cost_usd, min(delivered, n), n)
    return Costs(share_microusd(cost_usd, min(delivered + uncertain, n), n) - spent, spent)


def share_microusd(cost_usd: Decimal, part: int, n: int) -> int:
    """What `part` of `n` videos cost that cost `cost_usd` together."""
    return to_microusd(cost_usd * part / n)
