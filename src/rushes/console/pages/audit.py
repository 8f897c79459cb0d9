"""The audit log, for administrators: who has changed what."""

from __future__ import annotations

from starlette.responses import Response

from rushes.accounts.keys import Scope
from rushes.audit.entry import Query
from rushes.console.routes import Page
from rushes.console.visit import Visit
from rushes.views.audit import change_text

PAGE_SIZE = 50
KINDS = ("account.", "key.", "limits.", "settings.", "webhook.", "job.", "person.")
FILTERS = ("action", "actor_id", "account_id", "subject_id")


async def show_audit(visit: Visit) -> Response:
    """Entries that match the filters, newest first."""
    query = visit.query
    before = query.text("before")
    given = {name: query.given(name) for name in FILTERS}
    page = await visit.services.audit.list(
        Query(
            limit=PAGE_SIZE,
            before_seq=int(before) if before.isdecimal() and len(before) <= 18 else None,
            action=given["action"],
            actor_id=given["actor_id"],
            account_id=given["account_id"],
            subject_id=given["subject_id"],
        )
    )
    kept = {name: value for name, value in given.items() if value is not None}
    return visit.page(
        "audit.html",
        entries=[(entry, change_text(entry)) for entry in page.entries],
        kinds=KINDS,
        given=given,
        is_filtered=bool(kept or before),
        older=None if page.next_seq is None else visit.path("/audit", **kept, before=page.next_seq),
    )


PAGES = (Page("GET", "/audit", show_audit, scope=Scope.ADMIN),)
