"""What a quote looks like as JSON: what a generation would cost, and whether the limits let it pass."""

from __future__ import annotations

from decimal import Decimal

from pydantic import BaseModel, Field

from rushes.catalogue.price import to_usd
from rushes.jobs.quote import UNKNOWN_PRICE, Quote, Quoted
from rushes.money.spend_limits import SpendLimit
from rushes.views.times import rfc3339_or_none


class ChargeView(BaseModel):
    """One line of what one video costs."""

    unit: str = Field(
        description="`second`, `video`, `token`, `input_second`, `input_image`, or `least` where a minimum holds."
    )
    quantity: float
    usd: float = Field(description="Of each unit.")


class QuotedView(BaseModel):
    """One model and what it would cost: the sum of `charges`, times `n`."""

    provider: str
    model: str
    served_model: str = Field(description="What would really run, as `provider/id`.")
    cost: float | None = Field(description="USD; null where a price is not known.")
    duration: int | None
    n: int
    resolution: str | None
    generate_audio: bool | None
    usd_per_second: float | None = Field(
        description="The list price under this resolution and sound, where the model is charged by the second."
    )
    charges: list[ChargeView]
    source: str = Field(description="Where the price was read.")
    checked: str = Field(description="The day on which the source was last read.")
    warnings: list[str]


class SpendLimitView(BaseModel):
    """A limit that the job would meet, and how it stands now, in USD."""

    name: str
    key_id: str | None = Field(description="The key whose limit it is; null where it is the whole account's.")
    limit: float
    spent: float
    reserved: float
    left: float
    resets_at: str | None


class RefusalView(BaseModel):
    """Why creating the job would be refused now."""

    code: str
    detail: str


class QuoteView(QuotedView):
    """What the job would cost, what is set aside for it, and whether the limits let it pass."""

    currency: str = "USD"
    estimated: bool
    reserved: float | None = Field(description="What is set aside until it ends: the dearest of all models named.")
    fallbacks: list[QuotedView]
    limits: list[SpendLimitView]
    within_limits: bool
    refusal: RefusalView | None


def quote_view(quote: Quote) -> QuoteView:
    """What callers see of a quote."""
    is_known = all(one.cost_usd is not None for one in (quote.main, *quote.fallbacks))
    return QuoteView(
        **_quoted(quote.main).model_dump(),
        estimated=quote.main.cost_usd != 0,
        reserved=float(to_usd(quote.reservation.microusd)) if is_known else None,
        fallbacks=[_quoted(one) for one in quote.fallbacks],
        limits=[_limit(one) for one in quote.limits],
        within_limits=quote.refusal is None,
        refusal=None if quote.refusal is None else RefusalView(code=quote.refusal.code, detail=quote.refusal.message),
    )


def _quoted(quoted: Quoted) -> QuotedView:
    route, request = quoted.route, quoted.route.request
    return QuotedView(
        provider=route.asked.provider,
        model=route.asked.id,
        served_model=quoted.name,
        cost=_number(quoted.cost_usd),
        duration=request.duration_s,
        n=request.n,
        resolution=request.resolution,
        generate_audio=request.generate_audio,
        usd_per_second=_number(quoted.usd_per_s),
        charges=_charges(quoted),
        source=route.model.source,
        checked=route.model.checked.isoformat(),
        warnings=[*route.warnings, *(() if quoted.cost_usd is not None else (UNKNOWN_PRICE,))],
    )


def _charges(quoted: Quoted) -> list[ChargeView]:
    if quoted.estimate is None:
        return []
    return [
        ChargeView(unit=one.unit, quantity=float(one.quantity), usd=float(one.usd_each))
        for one in quoted.estimate.charges_of_one
    ]


def _limit(limit: SpendLimit) -> SpendLimitView:
    return SpendLimitView(
        name=limit.name,
        key_id=limit.key_id,
        limit=float(limit.limit_usd),
        spent=float(limit.spent_usd),
        reserved=float(limit.reserved_usd),
        left=float(limit.left_usd),
        resets_at=rfc3339_or_none(limit.resets_at),
    )


def _number(usd: Decimal | None) -> float | None:
    return None if usd is None else float(usd)
