"""/admin/guardrail: what the guardrail has blocked and rewritten. Needs the scope `admin`."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, Request
from pydantic import BaseModel
from starlette.responses import Response

from rushes.api.answers import json_response
from rushes.api.authentication import Administrator, administered_mode
from rushes.api.native.answers import problems
from rushes.api.native.paging import PARAMETERS, Cursor, ModeFilter, PageLimit, paged, place_after
from rushes.api.services import services_of
from rushes.intake.body import refuse_unknown
from rushes.jobs.guardrail.store import NEWEST
from rushes.views.guardrail import GuardrailRecordView, guardrail_record

router = APIRouter()


class GuardrailPage(BaseModel):
    """Records, the newest first."""

    records: list[GuardrailRecordView]
    next_cursor: str | None


@router.get("/admin/guardrail", summary="List what the guardrail blocked or rewrote", response_model=GuardrailPage,
            responses=problems(400, 401, 422, 503))  # fmt: skip
async def list_guardrail_records(
    request: Request,
    caller: Administrator,
    account_id: Annotated[str | None, Query(max_length=100, description="Only this account's.")] = None,
    job_id: Annotated[str | None, Query(max_length=100, description="Only of this job.")] = None,
    limit: PageLimit = 100,
    cursor: Cursor = None,
    mode: ModeFilter = None,
) -> Response:
    """The newest first. A record of a rewrite goes with its job, the others after the time that the operator sets."""
    refuse_unknown(request.query_params, (*PARAMETERS, "account_id", "job_id", "mode"), "parameter")
    mode = administered_mode(caller, mode)
    found = await services_of(request).guardrail_records.list(
        before=NEWEST if cursor is None else place_after(cursor),
        most=limit + 1,
        account_id=account_id,
        job_id=job_id,
        is_test=None if mode is None else mode == "test",
    )
    page, next_cursor = paged(found, limit)
    views = [guardrail_record(one) for one in page]
    return json_response(GuardrailPage(records=views, next_cursor=next_cursor))
