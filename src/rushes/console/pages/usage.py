"""Usage: by day, model, user tag and key; what is spent, reserved and left."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

from starlette.responses import Response

from rushes.accounts.keys import Mode
from rushes.accounts.limits import WHOLE_ACCOUNT
from rushes.catalogue.price import to_usd
from rushes.console.charts import bar_chart
from rushes.console.routes import Page
from rushes.console.visit import Visit
from rushes.domain.tenant import is_test
from rushes.money.spend_limits import Balance
from rushes.money.usage import Grouping, Usage

SPANS = (7, 30, 90)
USUAL_SPAN = 30
MOST_KEYS = 100
MOST_USERS = 50


async def show_usage(visit: Visit) -> Response:
    """The last days, and this month by key."""
    text = visit.query.text("days")
    days = int(text) if text.isdecimal() and int(text) in SPANS else USUAL_SPAN
    services, caller = visit.services, visit.signed_in
    last = datetime.fromtimestamp(visit.now_ms / 1000, UTC).date()
    first = last - timedelta(days - 1)
    by_day = dict(await services.usage.read_span(caller.tenant, first, last, Grouping.DATE))
    by_model = await services.usage.read_span(caller.tenant, first, last, Grouping.MODEL)
    by_user = await services.usage.read_span(caller.tenant, first, last, Grouping.USER)
    every_day = [first + timedelta(offset) for offset in range(days)]
    spent = [(_label(day), float(by_day.get(day.isoformat(), Usage()).cost_usd)) for day in every_day]
    made = [(_label(day), float(by_day.get(day.isoformat(), Usage()).jobs)) for day in every_day]
    # Test jobs cost nothing, and what live keys have spent is not for test keys to know.
    is_live = not is_test(caller.tenant)
    keys = await services.keys.keys_of(caller.account_id, most=MOST_KEYS, mode=Mode.LIVE) if is_live else []
    places = [WHOLE_ACCOUNT, *(key.id for key in keys)]
    balances = await services.spending.of_keys(caller.account_id, places, visit.now_ms) if is_live else {}
    month = balances.get(WHOLE_ACCOUNT, Balance(WHOLE_ACCOUNT, "", 0, 0))
    return visit.page(
        "usage.html",
        days=days,
        spans=SPANS,
        total=sum(by_day.values(), Usage()),
        by_day=[(day, by_day[day.isoformat()]) for day in reversed(every_day) if day.isoformat() in by_day],
        by_model=_parts(by_model),
        by_user=_parts(by_user)[:MOST_USERS],
        users=len(by_user),
        spent_chart=bar_chart(spent),
        jobs_chart=bar_chart(made, counts=True),
        has_spent=any(value for _, value in spent),
        keys=[(key, balances[key.id]) for key in keys if key.id in balances],
        month=month,
        to_usd=to_usd,
        limits=await services.spending.limits_of(caller.account_id, caller.key_id, visit.now_ms, is_test=not is_live),
    )


def _parts(groups: Sequence[tuple[str, Usage]]) -> list[tuple[str, Usage, float]]:
    """Each model with its part of the whole in percent: of the cost, or of the jobs where nothing has cost anything."""
    total_usd = sum((usage.cost_usd for _, usage in groups), Decimal(0))
    jobs = sum(usage.jobs for _, usage in groups)
    parts = [
        (name, usage, round(100 * (float(usage.cost_usd / total_usd) if total_usd else usage.jobs / max(1, jobs)), 1))
        for name, usage in groups
    ]
    return sorted(parts, key=lambda part: -part[2])


def _label(day: date) -> str:
    return f"{day.day} {day:%b}"


PAGES = (Page("GET", "/usage", show_usage),)
