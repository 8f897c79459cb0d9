"""GET /user/transactions: the lines of the ledger that are the account's."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, Request
from pydantic import BaseModel, Field
from starlette.responses import Response

from rushes.api.answers import json_response
from rushes.api.authentication import Viewer
from rushes.api.cursors import cursor_of, milliseconds, seq_of
from rushes.api.native.answers import problems
from rushes.api.native.jobs import Moment
from rushes.api.services import services_of
from rushes.intake.body import refuse_unknown
from rushes.money.ledger import Kind
from rushes.money.statement import LedgerLine, StatementQuery
from rushes.views.times import rfc3339

router = APIRouter()

PARAMETERS = ("limit", "cursor", "job_id", "kind", "created_after", "created_before", "mode")


class TransactionView(BaseModel):
    """One line, in USD. It is never changed; what is put right later is another line."""

    id: str
    kind: Kind
    created_at: str
    job_id: str
    key_id: str
    provider: str
    model: str
    counts_on: str = Field(description="The UTC day in which it counts: the job was accepted on it.")
    reserved: float = Field(description="The change of what is reserved.")
    spent: float = Field(description="The change of what is spent.")
    total_reserved: float = Field(description="What the account has reserved after this line.")
    total_spent: float = Field(description="What the account has ever spent after this line.")
    currency: str = "USD"
    cause: str


class TransactionPage(BaseModel):
    """Lines, newest first."""

    transactions: list[TransactionView]
    limit: int
    next_cursor: str | None


@router.get(
    "/user/transactions",
    summary="List what was reserved and spent",
    response_model=TransactionPage,
    responses=problems(400, 401, 422, 503),
)
async def list_transactions(
    request: Request,
    caller: Viewer,
    limit: Annotated[int, Query(ge=1, le=1000, description="Most lines to answer.")] = 20,
    cursor: Annotated[str | None, Query(description="`next_cursor` of the page before.")] = None,
    job_id: Annotated[str | None, Query(description="Only lines of this job; deleted jobs keep theirs.")] = None,
    kind: Annotated[Kind | None, Query(description="Only lines of this kind.")] = None,
    created_after: Annotated[Moment | None, Query(description="Written at this time or later.")] = None,
    created_before: Annotated[Moment | None, Query(description="Written before this time.")] = None,
) -> Response:
    """The account's lines, newest first: each reservation, settlement, release and adjustment."""
    refuse_unknown(request.query_params, PARAMETERS, "parameter")
    listing = StatementQuery(
        limit=limit,
        before_seq=None if cursor is None else seq_of(cursor),
        job_id=job_id,
        kind=kind,
        after_ms=milliseconds(created_after),
        before_ms=milliseconds(created_before),
    )
    lines = await services_of(request).statement.list(caller.tenant, listing)
    page = TransactionPage(
        transactions=[_view(line) for line in lines],
        limit=limit,
        next_cursor=cursor_of(lines[-1].seq) if len(lines) == limit else None,
    )
    return json_response(page)


def _view(line: LedgerLine) -> TransactionView:
    return TransactionView(
        id=line.id,
        kind=line.kind,
        created_at=rfc3339(line.at),
        job_id=line.job_id,
        key_id=line.key_id,
        provider=line.provider,
        model=line.model,
        counts_on=rfc3339(line.accepted_at)[:10],
        reserved=float(line.reserved_usd),
        spent=float(line.spent_usd),
        total_reserved=float(line.total_reserved_usd),
        total_spent=float(line.total_spent_usd),
        cause=line.cause,
    )
