"""What a request would cost, and how that is made up; nothing is stored for it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

from rushes.catalogue.price import Estimate, estimate, to_usd
from rushes.errors import BudgetExceeded, PriceUnknown, SpendLimitReached
from rushes.jobs.new_job import Budget
from rushes.jobs.routing import ANIMATIC, Route
from rushes.money.costs import Reservation, reservation_for
from rushes.money.spend_limits import SpendLimit, refuse_beyond

UNKNOWN_PRICE = "The price of this model is not known; the job's cost is null."


@dataclass(frozen=True, slots=True)
class Quoted:
    """One model that may run a request, and what it would cost; None where a price is not known."""

    route: Route
    cost_usd: Decimal | None
    estimate: Estimate | None = None
    """How the cost is made up; None where it is not by a price list."""

    @classmethod
    def of(cls, route: Route) -> Quoted:
        """What this model costs for this request: nothing of ours for an animatic or on the caller's own key."""
        request = route.request
        if is_free(route):
            return cls(route, Decimal(0))
        found = estimate(route.model, request)
        return cls(route, None if found is None else found.usd, found)

    @property
    def usd_per_s(self) -> Decimal | None:
        """The list price of a second, where the model is charged by the second."""
        if self.estimate is None:
            return self.cost_usd
        return self.estimate.price.usd_per_s

    @property
    def name(self) -> str:
        """What really runs, as `provider/id`."""
        return f"{self.route.model.provider}/{self.route.model.id}"


@dataclass(frozen=True, slots=True)
class Quote:
    """What a request would cost and reserve, and the limits that it would meet.

    `refusal` is what creating the job would raise now because of a limit, or None.
    """

    main: Quoted
    fallbacks: tuple[Quoted, ...]
    reservation: Reservation
    limits: Sequence[SpendLimit]
    refusal: SpendLimitReached | PriceUnknown | None


def quote_of(
    possible: Sequence[Quoted],
    *,
    limits: Sequence[SpendLimit] = (),
    now_ms: int = 0,
    unpriced_allowed: bool = False,
) -> Quote:
    """The quote for a request that the first of these models would run, and the others might take over."""
    reservation = reservation_for([(one.name, one.cost_usd) for one in possible])
    refusal: SpendLimitReached | PriceUnknown | None = None
    try:
        refuse_beyond(limits, reservation, now_ms, unpriced_allowed=unpriced_allowed)
    except (SpendLimitReached, PriceUnknown) as error:
        refusal = error
    return Quote(possible[0], tuple(possible[1:]), reservation, limits, refusal)


def refuse_beyond_budget(budget: Budget | None, possible: Sequence[Quoted]) -> None:
    """Raise BudgetExceeded if one of these models would cost more than the caller has agreed to.

    Raises PriceUnknown if an amount was agreed and the price of one is not known. Where none was agreed, such a model
    passes: there is no price to show.
    """
    if budget is None:
        return
    reservation = reservation_for([(one.name, one.cost_usd) for one in possible])
    most_usd, cost_usd = budget.most_usd, to_usd(reservation.microusd)
    if reservation.unpriced is not None and most_usd is not None:
        raise PriceUnknown(
            f"max_cost_usd: The price of '{reservation.unpriced}' is not known, so no amount can be kept to; use a "
            "model with a price, or leave max_cost_usd out to run it all the same"
        )
    if cost_usd <= (most_usd or 0):
        return
    again = f"call again with max_cost_usd of at least {cost_usd.normalize():f}"
    if most_usd is None:
        message = f"This would cost {cost_usd.normalize():f} USD, and nothing was started; if that is agreed, {again}"
    else:
        message = (
            f"max_cost_usd: This would cost {cost_usd.normalize():f} USD, more than {most_usd.normalize():f}, and "
            f"nothing was started; if that is agreed, {again}"
        )
    raise BudgetExceeded(message, cost_usd=cost_usd, most_usd=most_usd)


def cost_usd_of(route: Route) -> Decimal | None:
    """What this model costs for this request, in dollars; None if that is not known."""
    return Quoted.of(route).cost_usd


def is_free(route: Route) -> bool:
    """Whether the operator is charged nothing."""
    return route.model.provider == ANIMATIC or route.byok
