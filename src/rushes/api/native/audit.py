"""/admin/audit: who has changed accounts, keys, limits, webhooks and money. Needs the scope `admin`."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, Request
from pydantic import BaseModel
from starlette.responses import Response

from rushes.accounts.keys import Mode
from rushes.api.answers import json_response
from rushes.api.authentication import Administrator, administered_mode
from rushes.api.cursors import cursor_of, milliseconds, seq_of
from rushes.api.native.answers import problems
from rushes.api.native.jobs import Moment
from rushes.api.native.paging import Cursor, ModeFilter, PageLimit
from rushes.api.services import services_of
from rushes.audit.entry import Query as AuditQuery
from rushes.intake.body import refuse_unknown
from rushes.views.audit import AuditEntry, audit_entry

router = APIRouter()

PARAMETERS = (
    "limit",
    "cursor",
    "account_id",
    "actor_id",
    "subject_id",
    "action",
    "created_after",
    "created_before",
    "mode",
)

AccountFilter = Annotated[str | None, Query(description="Only of things of this account, by its id.")]
ActorFilter = Annotated[str | None, Query(description="Only by this key, or this user of the machine.")]
SubjectFilter = Annotated[str | None, Query(description="Only on this thing, by its id.")]
ActionFilter = Annotated[str | None, Query(description="Only this action; `key.` means all that begin so.")]
After = Annotated[Moment | None, Query(description="Done at this time or later.")]
Before = Annotated[Moment | None, Query(description="Done before this time.")]


class AuditPage(BaseModel):
    """Entries, newest first. A page can be shorter than `limit`, or empty; only a null `next_cursor` is the end."""

    entries: list[AuditEntry]
    next_cursor: str | None


@router.get("/admin/audit", summary="List who has changed what", response_model=AuditPage,
            responses=problems(400, 401, 422, 503))  # fmt: skip
async def list_audit_entries(
    request: Request,
    caller: Administrator,
    limit: PageLimit = 100,
    cursor: Cursor = None,
    account_id: AccountFilter = None,
    actor_id: ActorFilter = None,
    subject_id: SubjectFilter = None,
    action: ActionFilter = None,
    created_after: After = None,
    created_before: Before = None,
    mode: ModeFilter = None,
) -> Response:
    """Newest first; a test key sees what test keys have done. `rushes audit verify` checks the chain of hashes."""
    refuse_unknown(request.query_params, PARAMETERS, "parameter")
    mode = administered_mode(caller, mode)
    query = AuditQuery(
        limit=limit,
        before_seq=None if cursor is None else seq_of(cursor),
        account_id=account_id,
        actor_id=actor_id,
        subject_id=subject_id,
        action=action,
        after_ms=milliseconds(created_after),
        before_ms=milliseconds(created_before),
        is_test=None if mode is None else mode is Mode.TEST,
    )
    page = await services_of(request).audit.list(query)
    return json_response(
        AuditPage(
            entries=[audit_entry(entry) for entry in page.entries],
            next_cursor=None if page.next_seq is None else cursor_of(page.next_seq),
        )
    )
