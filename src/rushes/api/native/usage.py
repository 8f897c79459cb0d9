"""GET /user/usage: how many jobs the account has started, what became of them, and what they cost."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from decimal import Decimal

from fastapi import APIRouter, Request
from pydantic import BaseModel, Field
from starlette.responses import Response

from rushes.accounts.keys import Caller
from rushes.accounts.limits import LimitName
from rushes.api.answers import json_response
from rushes.api.authentication import Viewer
from rushes.api.native.answers import problems
from rushes.api.services import Services, services_of
from rushes.domain.tenant import Tenant, is_test
from rushes.money.usage import ModelUsage, Usage
from rushes.views.times import rfc3339

router = APIRouter()


class UsageView(BaseModel):
    """Jobs and their cost in USD. A request is a job; `tokens` is always 0, for clients that divide by requests."""

    requests: int
    completed: int
    failed: int = Field(description="Failed, cancelled and expired jobs; they cost only what was settled by hand.")
    open: int = Field(description="Jobs that have not ended; they cost nothing yet.")
    unpriced: int = Field(description="Completed jobs whose cost is not known; it is missing from the sum.")
    cost: float
    tokens: int = 0


class PeriodView(UsageView):
    """The usage of jobs started in this period."""

    period_start: str
    period_end: str


class Remaining(BaseModel):
    """What the caller's limits leave at this moment; null where the caller has no limit."""

    spend_day: float | None = Field(
        description="USD that new jobs may cost today (UTC); what is reserved counts as spent."
    )
    spend_month: float | None = Field(description="The same for this calendar month (UTC).")
    spend_ever: float | None = Field(description="The same for all time.")
    requests_per_minute: int | None = Field(description="In the minute that runs, as this process knows it.")
    jobs_in_flight: int | None = Field(description="Jobs that may begin before others have ended.")
    queued_jobs: int | None = Field(description="Jobs that may be created before others have begun.")


class AccountUsage(BaseModel):
    """What the account has used since its first job, and in this calendar month (UTC)."""

    total_requests: int
    total_cost: float
    total_tokens: int = 0
    currency: str = "USD"
    total: UsageView
    current_period: PeriodView
    blocked_requests: int = Field(default=0, description="Requests of this period that the guardrail blocked.")
    by_provider: dict[str, UsageView]
    by_model: dict[str, UsageView]
    remaining: Remaining | None = None
    """Null when an administrator asks."""


@router.get("/user/usage", summary="What the account has used", response_model=AccountUsage,
            responses=problems(401, 422, 503))  # fmt: skip
async def get_usage(request: Request, caller: Viewer) -> Response:
    """Real counts and costs, kept with every job, and counted by the provider and model that were asked for."""
    services = services_of(request)
    answer = await usage_of(services, caller.tenant)
    answer.remaining = await remaining_of(services, caller)
    return json_response(answer)


async def remaining_of(services: Services, caller: Caller) -> Remaining:
    """What the limits of the account and the key leave; of two of a kind the lesser."""
    jobs = await services.allowances.remaining(caller.tenant, caller.key_id)
    spending = await services.spending.limits_of(
        caller.account_id, caller.key_id, services.clock.now_ms(), is_test=is_test(caller.tenant)
    )

    def left_usd(name: LimitName) -> float | None:
        # Below 0 where a limit was lowered, or a real bill was higher.
        left = [max(limit.left_usd, Decimal(0)) for limit in spending if limit.name is name]
        return float(min(left)) if left else None

    return Remaining(
        spend_day=left_usd(LimitName.SPEND_DAY),
        spend_month=left_usd(LimitName.SPEND_MONTH),
        spend_ever=left_usd(LimitName.SPEND_EVER),
        requests_per_minute=min((rate.remaining for rate in services.rates.standing(caller).rates), default=None),
        jobs_in_flight=jobs.jobs_in_flight,
        queued_jobs=jobs.queued_jobs,
    )


async def usage_of(services: Services, *tenants: Tenant) -> AccountUsage:
    """The answer for some tenants together, without what remains."""
    start_ms, end_ms = month_of(services.clock.now_ms())
    everything = [one for tenant in tenants for one in await services.usage.read(tenant)]
    month = [one for tenant in tenants for one in await services.usage.read(tenant, since_ms=start_ms)]
    answer = account_usage(everything, month, start_ms, end_ms)
    blocked = [await services.guardrail_records.blocked_since(tenant, start_ms) for tenant in tenants]
    answer.blocked_requests = sum(blocked)
    return answer


def account_usage(
    everything: Iterable[ModelUsage], month: Iterable[ModelUsage], start_ms: int, end_ms: int
) -> AccountUsage:
    """The answer made of the sums per model; a period ends in its last second."""
    total, by_provider, by_model = Usage(), dict[str, Usage](), dict[str, Usage]()
    for item in everything:
        total += item.usage
        by_provider[item.provider] = by_provider.get(item.provider, Usage()) + item.usage
        by_model[item.model] = by_model.get(item.model, Usage()) + item.usage
    current = sum((item.usage for item in month), Usage())
    return AccountUsage(
        total_requests=total.jobs,
        total_cost=float(total.cost_usd),
        total=usage_view(total),
        current_period=PeriodView(
            **usage_view(current).model_dump(), period_start=rfc3339(start_ms), period_end=rfc3339(end_ms - 1)
        ),
        by_provider={name: usage_view(usage) for name, usage in by_provider.items()},
        by_model={name: usage_view(usage) for name, usage in by_model.items()},
    )


def month_of(now_ms: int) -> tuple[int, int]:
    """The first moment of the calendar month (UTC) that `now_ms` is in, and of the next one, in milliseconds."""
    now = datetime.fromtimestamp(now_ms / 1000, UTC)
    start = datetime(now.year, now.month, 1, tzinfo=UTC)
    end = datetime(now.year + now.month // 12, now.month % 12 + 1, 1, tzinfo=UTC)
    return int(start.timestamp() * 1000), int(end.timestamp() * 1000)


def usage_view(usage: Usage) -> UsageView:
    """A sum as callers see it."""
    return UsageView(
        requests=usage.jobs,
        completed=usage.completed,
        failed=usage.failed,
        open=usage.open,
        unpriced=usage.unpriced,
        cost=float(usage.cost_usd),
    )
