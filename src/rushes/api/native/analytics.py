"""GET /analytics/usage: what the account has used in a span of days, by day, model or provider."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, timedelta
from typing import Annotated

from fastapi import APIRouter, Query, Request
from pydantic import BaseModel, BeforeValidator, Field
from pydantic_core import PydanticCustomError
from starlette.responses import Response

from rushes.api.answers import json_response
from rushes.api.authentication import Viewer
from rushes.api.native.answers import problems
from rushes.api.native.usage import UsageView, usage_view
from rushes.api.services import services_of
from rushes.errors import FieldError
from rushes.intake.body import invalid_fields, refuse_unknown
from rushes.money.usage import Grouping, Usage

router = APIRouter()

PARAMETERS = ("start", "end", "group_by", "mode")
DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
USUAL_DAYS = 30
MOST_DAYS = 366


def _no_bare_number(text: object) -> object:
    # A bare number would be taken for seconds since 1970.
    if isinstance(text, str) and DAY.fullmatch(text) is None:
        raise PydanticCustomError("date", "must be a day such as 2026-04-07")
    return text


Day = Annotated[date, BeforeValidator(_no_bare_number)]


class GroupView(UsageView):
    """The usage of one day (`2026-04-07`), model (`google/veo-3.1`) or provider."""

    group: str


class SpanUsage(BaseModel):
    """The usage of jobs started on these days (UTC), both included. Groups without a job are left out."""

    start: str
    end: str
    group_by: Grouping
    currency: str = "USD"
    total: UsageView
    data: list[GroupView] = Field(description="By name; days from the first to the last.")


@router.get(
    "/analytics/usage", summary="What the account has used, day by day", response_model=SpanUsage,
    responses=problems(400, 401, 422, 503),
)  # fmt: skip
async def get_span_usage(
    request: Request,
    caller: Viewer,
    start: Annotated[Day | None, Query(description="First day (UTC); 30 days back if it is left out.")] = None,
    end: Annotated[Day | None, Query(description="Last day (UTC), itself included; today if it is left out.")] = None,
    group_by: Annotated[Grouping, Query(description="The field to group the sums by.")] = Grouping.DATE,
) -> Response:
    """Read from daily sums: its cost does not grow with the jobs that they count. At most 366 days at once."""
    refuse_unknown(request.query_params, PARAMETERS, "parameter")
    services = services_of(request)
    last = end or datetime.fromtimestamp(services.clock.now_ms() / 1000, UTC).date()
    first = start or max(date.min + timedelta(USUAL_DAYS), last) - timedelta(USUAL_DAYS - 1)
    if first > last:
        raise invalid_fields([FieldError("start", f"{first} is after the end, {last}")])
    if (last - first).days >= MOST_DAYS:
        raise invalid_fields([FieldError("start", f"{first} to {last} is more than {MOST_DAYS} days; ask for less")])
    groups = await services.usage.read_span(caller.tenant, first, last, group_by)
    return json_response(
        SpanUsage(
            start=first.isoformat(),
            end=last.isoformat(),
            group_by=group_by,
            total=usage_view(sum((usage for _, usage in groups), Usage())),
            data=[GroupView(group=name, **usage_view(usage).model_dump()) for name, usage in groups],
        )
    )
