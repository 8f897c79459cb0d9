"""/admin/jobs: the jobs of all accounts, those that need an operator, and what the operator decides. Scope `admin`."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import Response

from rushes.accounts.keys import Caller, Mode
from rushes.api.answers import json_response
from rushes.api.authentication import Administrator, administered_mode
from rushes.api.cursors import cursor_of, milliseconds, place_of, seq_of
from rushes.api.document import leads_to
from rushes.api.native.answers import problems
from rushes.api.native.jobs import Moment
from rushes.api.native.key_shapes import body_schema
from rushes.api.native.paging import Cursor, ModeFilter, PageLimit
from rushes.api.services import services_of
from rushes.catalogue.price import to_usd
from rushes.domain.job import Job, Status, Trouble
from rushes.errors import FieldError, JobNotFound
from rushes.intake.body import invalid_fields, read_json_object, refuse_unknown, shaped
from rushes.operations.decisions import MOST, Decision, DecisionResult, Selection
from rushes.operations.job_list import JobQuery
from rushes.operations.needs_operator import Action, After, NeedsOperator
from rushes.views.times import rfc3339, rfc3339_or_none

router = APIRouter()

LARGEST_COST_USD = 1_000_000

ReasonFilter = Annotated[str | None, Query(description="Only with this reason, such as `submission_unknown`.")]
AccountFilter = Annotated[str | None, Query(description="Only of this account, by its id.")]
KeyFilter = Annotated[str | None, Query(description="Only of this API key, by its id.")]
StatusFilter = Annotated[Status | None, Query(description="Only in this status.")]
ProviderFilter = Annotated[str | None, Query(description="Only for this provider.")]
ModelFilter = Annotated[str | None, Query(description="Only for this model, by the id that was asked for.")]
ErrorFilter = Annotated[str | None, Query(description="Only with this error code.")]
TroubleFilter = Annotated[str | None, Query(description="Only whose last call failed with this code.")]
After_ = Annotated[Moment | None, Query(description="Only created at this time or later.")]
Before = Annotated[Moment | None, Query(description="Only created before this time.")]


class TroubleView(BaseModel):
    """The last failed call for a job."""

    code: str
    message: str
    at: str


class UnsettledJob(BaseModel):
    """A job that needs an operator: money is reserved that nothing frees by itself, or its video can be fetched again.

    `actions` are what can be done. `reason` is the error code that left the job so, `overdue` for a job that has not
    ended, or `money_reserved`. Of a deleted job only the money is known.
    """

    job_id: str
    account_id: str
    key_id: str
    mode: Mode
    provider: str
    model: str
    served_model: str | None
    status: Status | None
    deleted: bool
    reason: str
    error_code: str | None
    error: str | None
    provider_video_id: str | None
    reserved_usd: float
    spent_usd: float
    actions: list[Action]
    trouble: TroubleView | None
    created_at: str
    since: str
    completed_at: str | None


class UnsettledPage(BaseModel):
    """Such jobs, the one accepted first at the top."""

    jobs: list[UnsettledJob]
    next_cursor: str | None


class OperatorJob(BaseModel):
    """A job of any account as an operator sees it. The prompt and the options are left out; they are the caller's."""

    job_id: str
    account_id: str
    key_id: str
    mode: Mode
    status: Status
    state: str
    provider: str
    model: str
    served_model: str
    progress: int
    provider_video_id: str | None
    error_code: str | None
    error: str | None
    provider_error: str | None
    trouble: TroubleView | None
    byok_api_key: bool
    cost_usd: float | None
    reserved_usd: float
    spent_usd: float | None
    created_at: str
    started_at: str | None
    completed_at: str | None
    deadline_at: str | None
    request_id: str | None


class OperatorJobPage(BaseModel):
    """Jobs, newest first. A page can be shorter than `limit`, or empty; only a null `next_cursor` is the end."""

    jobs: list[OperatorJob]
    next_cursor: str | None


class OperatorJobAnswer(BaseModel):
    """One job, and its entry in the list of jobs that need an operator, if it has one."""

    job: OperatorJob
    needs_operator: UnsettledJob | None


class SelectionBody(BaseModel):
    """Jobs of the list of those that need an operator; all given conditions must match."""

    model_config = ConfigDict(extra="forbid")

    reason: str | None = None
    account_id: str | None = None
    provider: str | None = None
    model: str | None = None


class ActionsBody(BaseModel):
    """One action for several jobs: those named, or those selected.

    `reconcile` takes one job and its `provider_video_id`; `settle` needs `cost_usd`, 0 for nothing charged.
    """

    model_config = ConfigDict(extra="forbid")

    action: Action
    job_ids: Annotated[list[Annotated[str, Field(max_length=100)]], Field(min_length=1, max_length=MOST)] | None = None
    selection: SelectionBody | None = None
    provider_video_id: Annotated[str, Field(min_length=1, max_length=1000)] | None = None
    cost_usd: Annotated[float, Field(ge=0, le=LARGEST_COST_USD, allow_inf_nan=False)] | None = None
    dry_run: Annotated[bool, Field(strict=True)] = False


class ActionResult(BaseModel):
    """What became of the action for one job. `error_code` is null if it was done, or could be."""

    job_id: str
    done: bool
    message: str
    error_code: str | None


class ActionsAnswer(BaseModel):
    """The result for each job, in the order given or selected. Of a dry run `done` says what could be done."""

    action: Action
    dry_run: bool
    done: int
    refused: int
    results: list[ActionResult]


@router.get("/admin/jobs", summary="List jobs of all accounts", response_model=OperatorJobPage,
            responses=problems(400, 401, 422, 503)
            | leads_to(get_job_of_any_account={"job_id": "$response.body#/jobs/0/job_id"}))  # fmt: skip
async def list_jobs_of_all_accounts(
    request: Request,
    caller: Administrator,
    limit: PageLimit = 100,
    cursor: Cursor = None,
    account_id: AccountFilter = None,
    key_id: KeyFilter = None,
    status: StatusFilter = None,
    provider: ProviderFilter = None,
    model: ModelFilter = None,
    error_code: ErrorFilter = None,
    trouble_code: TroubleFilter = None,
    created_after: After_ = None,
    created_before: Before = None,
    mode: ModeFilter = None,
) -> Response:
    """Newest first. A page reads a bounded number of jobs, so it can be short; go on while there is a cursor."""
    refuse_unknown(
        request.query_params,
        ("limit", "cursor", "account_id", "key_id", "status", "provider", "model", "error_code", "trouble_code",
         "created_after", "created_before", "mode"),
        "parameter",
    )  # fmt: skip
    query = JobQuery(
        limit=limit,
        beyond_seq=None if cursor is None else seq_of(cursor),
        account_id=account_id,
        key_id=key_id,
        status=status,
        provider=provider,
        model=model,
        error_code=error_code,
        trouble_code=trouble_code,
        created_after_ms=milliseconds(created_after),
        created_before_ms=milliseconds(created_before),
        is_test=_is_test(administered_mode(caller, mode)),
    )
    services = services_of(request)
    found = await services.job_list.list(query)
    now_ms = services.clock.now_ms()
    return json_response(
        OperatorJobPage(
            jobs=[_job_view(job, now_ms) for job in found.jobs],
            next_cursor=None if found.next_seq is None else cursor_of(found.next_seq),
        )
    )


@router.get("/admin/jobs/unsettled", summary="List jobs that need an operator", response_model=UnsettledPage,
            responses=problems(400, 401, 422, 503))  # fmt: skip
async def list_unsettled(
    request: Request,
    caller: Administrator,
    limit: PageLimit = 100,
    cursor: Cursor = None,
    reason: ReasonFilter = None,
    account_id: AccountFilter = None,
    provider: ProviderFilter = None,
    model: ModelFilter = None,
    mode: ModeFilter = None,
) -> Response:
    """Every job with money reserved that nothing frees by itself, or whose video can still be fetched."""
    known = ("limit", "cursor", "reason", "account_id", "provider", "model", "mode")
    refuse_unknown(request.query_params, known, "parameter")
    selection = Selection(
        reason=reason,
        account_id=account_id,
        provider=provider,
        model=model,
        is_test=_is_test(administered_mode(caller, mode)),
    )
    after = None if cursor is None else After(*place_of(cursor))
    found = await services_of(request).decisions.select(selection, limit + 1, after=after)
    page = found[:limit]
    return json_response(
        UnsettledPage(
            jobs=[_entry_view(entry) for entry in page],
            next_cursor=cursor_of(page[-1].accepted_at, page[-1].job_id) if len(found) > limit else None,
        )
    )


@router.post("/admin/jobs/actions", summary="Decide on jobs that need an operator", response_model=ActionsAnswer,
             responses=problems(400, 401, 404, 413, 415, 422, 503),
             openapi_extra=body_schema(ActionsBody))  # fmt: skip
async def act_on_jobs(request: Request, caller: Administrator) -> Response:
    """Reconcile, recover, settle, write off or abort up to 100 jobs. With `dry_run` nothing changes.

    The answer is 200 also if the action was refused for some jobs; the results say for which, and why.
    """
    content = await read_json_object(request)
    refuse_unknown(content, ActionsBody.model_fields)
    if isinstance(content.get("selection"), dict):
        refuse_unknown(content["selection"], SelectionBody.model_fields)
    body = shaped(ActionsBody, content)
    decisions = services_of(request).decisions
    job_ids = body.job_ids
    _check(body)
    if job_ids is None:
        assert body.selection is not None
        is_test = _is_test(administered_mode(caller, None))
        selection = Selection(**body.selection.model_dump(), action=body.action, is_test=is_test)
        job_ids = [entry.job_id for entry in await decisions.select(selection)]
    elif caller.mode is Mode.TEST:
        for job_id in job_ids:
            await _job_for(request, caller, job_id)
    decide = decisions.check if body.dry_run else decisions.carry_out
    cost_usd = None if body.cost_usd is None else Decimal(str(body.cost_usd))
    results = [
        await decide(Decision(body.action, job_id, provider_video_id=body.provider_video_id, cost_usd=cost_usd))
        for job_id in dict.fromkeys(job_ids)
    ]
    return json_response(_results_view(body, results))


@router.get("/admin/jobs/{job_id}", summary="Get a job of any account", response_model=OperatorJobAnswer,
            responses=problems(401, 404, 503))  # fmt: skip
async def get_job_of_any_account(request: Request, job_id: str, caller: Administrator) -> Response:
    """With its last trouble, its money, and what an operator can do for it."""
    services = services_of(request)
    job = await _job_for(request, caller, job_id)
    entry = await services.decisions.find(job_id)
    return json_response(
        OperatorJobAnswer(
            job=_job_view(job, services.clock.now_ms()), needs_operator=None if entry is None else _entry_view(entry)
        )
    )


async def _job_for(request: Request, caller: Caller, job_id: str) -> Job:
    """The job of any account; for a test key, live jobs are not there. Raises JobNotFound."""
    job = await services_of(request).job_list.find(job_id)
    if job is None or (caller.mode is Mode.TEST and not job.is_test):
        raise JobNotFound(f"Job '{job_id[:100]}' not found")
    return job


def _is_test(mode: Mode | None) -> bool | None:
    return None if mode is None else mode is Mode.TEST


def _mode(*, is_test: bool) -> Mode:
    return Mode.TEST if is_test else Mode.LIVE


def _check(body: ActionsBody) -> None:
    faults: list[FieldError] = []
    if (body.job_ids is None) == (body.selection is None):
        faults.append(FieldError("job_ids", "or 'selection' is required, and not both"))
    if (body.action is Action.SETTLE) != (body.cost_usd is not None):
        faults.append(FieldError("cost_usd", "is required for 'settle', and only for it"))
    if (body.action is Action.RECONCILE) != (body.provider_video_id is not None):
        faults.append(FieldError("provider_video_id", "is required for 'reconcile', and only for it"))
    if body.action is Action.RECONCILE and (body.job_ids is None or len(body.job_ids) != 1):
        faults.append(FieldError("job_ids", "must name one job for 'reconcile': each has an id of its own"))
    if faults:
        raise invalid_fields(faults)


def _results_view(body: ActionsBody, results: Sequence[DecisionResult]) -> ActionsAnswer:
    done = sum(result.error_code is None for result in results)
    return ActionsAnswer(
        action=body.action,
        dry_run=body.dry_run,
        done=done,
        refused=len(results) - done,
        results=[
            ActionResult(
                job_id=result.job_id,
                done=result.error_code is None,
                message=result.message,
                error_code=result.error_code,
            )
            for result in results
        ],
    )


def _job_view(job: Job, now_ms: int) -> OperatorJob:
    problem: dict[str, Any] = {"error_code": None, "error": None, "provider_error": None}
    if job.problem is not None:
        problem = {
            "error_code": job.problem.code,
            "error": job.problem.message,
            "provider_error": job.problem.provider_error,
        }
    return OperatorJob(
        job_id=job.id,
        account_id=job.account_id,
        key_id=job.key_id,
        mode=_mode(is_test=job.is_test),
        status=job.status,
        state=job.state.value,
        provider=job.provider,
        model=job.model,
        served_model=f"{job.served_provider}/{job.served_model}",
        progress=job.percent(now_ms),
        provider_video_id=job.provider_video_id,
        **problem,
        trouble=_trouble_view(job.trouble),
        byok_api_key=job.byok,
        cost_usd=None if job.cost_usd is None else float(job.cost_usd),
        reserved_usd=float(to_usd(job.reserved_microusd)),
        spent_usd=None if job.spent_microusd is None else float(to_usd(job.spent_microusd)),
        created_at=rfc3339(job.created_at),
        started_at=rfc3339_or_none(job.started_at),
        completed_at=rfc3339_or_none(job.completed_at),
        deadline_at=rfc3339_or_none(job.deadline_at),
        request_id=job.request_id,
    )


def _entry_view(entry: NeedsOperator) -> UnsettledJob:
    served = None if entry.served_provider is None else f"{entry.served_provider}/{entry.served_model}"
    return UnsettledJob(
        job_id=entry.job_id,
        account_id=entry.account_id,
        key_id=entry.key_id,
        mode=_mode(is_test=entry.is_test),
        provider=entry.provider,
        model=entry.model,
        served_model=served,
        status=None if entry.state is None else entry.state.status,
        deleted=entry.is_deleted,
        reason=entry.reason,
        error_code=entry.error_code,
        error=entry.message,
        provider_video_id=entry.provider_video_id,
        reserved_usd=float(to_usd(entry.reserved_microusd)),
        spent_usd=float(to_usd(entry.spent_microusd)),
        actions=list(entry.actions),
        trouble=_trouble_view(entry.trouble),
        created_at=rfc3339(entry.accepted_at),
        since=rfc3339(entry.since),
        completed_at=rfc3339_or_none(entry.completed_at),
    )


def _trouble_view(trouble: Trouble | None) -> TroubleView | None:
    return None if trouble is None else TroubleView(code=trouble.code, message=trouble.message, at=rfc3339(trouble.at))
