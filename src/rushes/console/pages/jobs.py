"""The list of jobs: as a gallery or as rows, filtered, in pages by cursor; bulk deletion and download."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from http import HTTPStatus

from starlette.responses import Response

from rushes.accounts.keys import Scope
from rushes.console.archive import archive_response
from rushes.console.job_card import card_of
from rushes.console.pages.models import names_by_provider
from rushes.console.routes import Page
from rushes.console.visit import Form, Visit, sentence_of
from rushes.domain.job import Job, Status
from rushes.errors import FieldError, InvalidRequest, RushesError
from rushes.jobs.store import Listing

PAGE_SIZE = 50
MOST_PICKED = 200
VIEWS = ("gallery", "rows")
FILTERS = ("status", "q", "model", "user", "from", "to")
DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Filters:
    """What the visitor asks to see. Days are UTC, both included."""

    status: Status | None
    text: str
    model: str
    user: str
    first: date | None
    last: date | None
    before: int | None

    @property
    def are_set(self) -> bool:
        """Whether anything is left out of the list."""
        return any((self.status, self.text, self.model, self.user, self.first, self.last))

    def listing(self) -> Listing:
        """What the store is asked for."""
        provider, _, model = self.model.rpartition("/")
        return Listing(
            limit=PAGE_SIZE,
            beyond_seq=self.before,
            status=self.status,
            model=model or None,
            provider=provider or None,
            user=self.user or None,
            created_after_ms=None if self.first is None else _ms(self.first),
            created_before_ms=None if self.last is None else _ms(self.last + DAY),
        )


def filters_of(query: Form) -> Filters:
    """The filters of an address. Raises InvalidRequest for values that a form of ours does not send."""
    before = query.given("before")
    if before is not None and not (before.isdecimal() and len(before) <= 18):
        raise _wrong("before", "is not a place in the list")
    status = query.given("status")
    if status is not None and status not in set(Status):
        raise _wrong("status", f"'{status[:40]}' is not one of {', '.join(Status)}")
    return Filters(
        status=None if status is None else Status(status),
        text=query.text("q")[:500],
        model=query.text("model")[:200],
        user=query.text("user")[:256],
        first=_day(query, "from"),
        last=_day(query, "to"),
        before=None if before is None else int(before),
    )


async def show_jobs(visit: Visit) -> Response:
    """A page of the caller's jobs."""
    query = visit.query
    filters = filters_of(query)
    caller, service = visit.signed_in, visit.services.jobs
    searched = None
    if filters.text:
        found = await service.search(caller, filters.listing(), filters.text)
        jobs: Sequence[Job] = found.jobs
        next_seq, searched = found.next_seq, found
    else:
        page = await service.list(caller, filters.listing())
        jobs = page.jobs
        next_seq = jobs[-1].seq if page.is_cut or len(jobs) == PAGE_SIZE else None
    kept = {name: query.given(name) for name in FILTERS}
    view = query.text("view") if query.text("view") in VIEWS else "gallery"
    return visit.page(
        "job_list.html" if visit.is_fetch else "jobs.html",
        cards=[card_of(visit, job) for job in jobs],
        filters=filters,
        kept=kept,
        view=view,
        counts=await service.counts(caller),
        searched=searched,
        next_path=None if next_seq is None else visit.path("/jobs", **kept, view=view, before=next_seq),
        models=names_by_provider(visit.services.catalogue),
        statuses=list(Status),
    )


async def act_on_picked(visit: Visit) -> Response:
    """Delete or download the jobs that were picked."""
    picked = visit.form.all("job")[:MOST_PICKED]
    if not picked:
        return visit.go("/jobs")
    jobs = await visit.services.jobs.get_several(visit.signed_in, picked)
    if visit.form.text("action") == "download":
        return archive_response(visit, jobs)
    if not visit.may(Scope.GENERATE):
        raise _wrong("action", "needs a key that may change jobs")
    if not visit.form.has("confirmed"):
        finished = [job for job in jobs if job.status.is_final]
        return visit.page("delete_jobs.html", jobs=finished, unfinished=len(jobs) - len(finished))
    troubles = []
    for job in jobs:
        try:
            await visit.services.jobs.delete(visit.signed_in, job.id)
        except RushesError as error:
            troubles.append(sentence_of(error))
    if troubles:
        deleted = len(jobs) - len(troubles)
        return visit.page("not_all_deleted.html", status=HTTPStatus.CONFLICT, troubles=troubles, deleted=deleted)
    return visit.go("/jobs", notice="deleted")


def _day(query: Form, name: str) -> date | None:
    text = query.given(name)
    if text is None:
        return None
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise _wrong(name, f"'{text[:40]}' is not a day such as 2026-04-07") from None


def _ms(day: date) -> int:
    return int(datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp() * 1000)


def _wrong(field: str, trouble: str) -> InvalidRequest:
    return InvalidRequest(f"{field} {trouble}", [FieldError(field, trouble)])


PAGES = (
    Page("GET", "/jobs", show_jobs),
    Page("POST", "/jobs/picked", act_on_picked),
)
