"""`rushes jobs needs-operator` and `decide`: the jobs that need an operator, and decisions on many of them at once."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Sequence
from decimal import Decimal
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from rushes.cli.money import dollars
from rushes.cli.options import AsJson, DataDir
from rushes.cli.tables import print_table

if TYPE_CHECKING:
    from rushes.operations.decisions import DecisionResult, Selection
    from rushes.operations.needs_operator import NeedsOperator
    from rushes.settings import Settings

HEADINGS = ("job", "account", "model", "reason", "reserved USD", "accepted", "possible")
MOST_USD = 1_000_000
LISTED_AT_ONCE = 1_000

Reason = Annotated[str | None, typer.Option(metavar="CODE", help="Only with this reason.")]
Account = Annotated[str | None, typer.Option(metavar="ID", help="Only of this account, by its id.")]
Provider = Annotated[str | None, typer.Option(metavar="NAME", help="Only for this provider.")]
Model = Annotated[str | None, typer.Option(metavar="ID", help="Only for this model.")]
ModeName = Annotated[Literal["live", "test"] | None, typer.Option(help="Only of keys of this mode.")]
ActionName = Literal["reconcile", "recover", "settle", "write-off", "abort"]


def needs_operator(
    reason: Reason = None,
    account: Account = None,
    provider: Provider = None,
    model: Model = None,
    mode: ModeName = None,
    as_json: AsJson = False,
    data_dir: DataDir = None,
) -> None:
    """List the jobs that need an operator: why, the money that is reserved, and what can be done.

    Works on the database, also while the service runs.
    """
    from rushes.operations.decisions import Selection
    from rushes.settings import load_settings

    selection = Selection(reason=reason, account_id=account, provider=provider, model=model, is_test=_is_test(mode))
    entries = asyncio.run(_select(load_settings(data_dir=data_dir), selection))
    if as_json:
        from rushes.cli.screen import print_json

        print_json([_entry_json(entry) for entry in entries])
    elif entries:
        print_table(HEADINGS, [_row(entry) for entry in entries])
    else:
        print("no job needs an operator", file=sys.stderr)


def decide(
    action: Annotated[ActionName, typer.Argument(metavar="ACTION", help="What to do with each of the jobs.")],
    job_ids: Annotated[list[str] | None, typer.Argument(metavar="[JOB]...", help="Ids; else give a filter.")] = None,
    reason: Reason = None,
    account: Account = None,
    provider: Provider = None,
    model: Model = None,
    mode: ModeName = None,
    every: Annotated[bool, typer.Option("--all", help="All jobs of the list that allow this action.")] = False,
    cost: Annotated[str | None, typer.Option(metavar="USD", help="For settle: the cost of each job.")] = None,
    provider_id: Annotated[str | None, typer.Option(help="For reconcile: the id of one generation.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be done, and change nothing.")] = False,
    as_json: AsJson = False,
    data_dir: DataDir = None,
) -> None:
    """Reconcile, recover, settle, write off or abort several jobs: those named, or up to 100 of the list.

    Works on the database, also while the service runs. The exit code is 1 if the action was refused for a job.
    """
    from rushes.operations.decisions import Selection
    from rushes.operations.needs_operator import Action
    from rushes.settings import load_settings

    filters = (reason, account, provider, model, mode)
    is_filtered = every or any(value is not None for value in filters)
    if bool(job_ids) == is_filtered:
        raise typer.BadParameter(
            "name jobs, or select them with --reason, --account, --provider, --model, --mode or --all"
        )
    if (action == "settle") != (cost is not None):
        raise typer.BadParameter("settle needs --cost (0 for nothing charged), and no other action takes it")
    if (action == "reconcile") != bool(provider_id):
        raise typer.BadParameter("reconcile needs --provider-id, and no other action takes it")
    if action == "reconcile" and len(job_ids or ()) != 1:
        raise typer.BadParameter("reconcile takes one job, because each has an id of its own at the provider")
    chosen = Action(action.replace("-", "_"))
    selection = Selection(
        reason=reason, account_id=account, provider=provider, model=model, action=chosen, is_test=_is_test(mode)
    )
    cost_usd = None if cost is None else dollars(cost, "--cost", most=MOST_USD)
    results = asyncio.run(
        _decide(
            load_settings(data_dir=data_dir),
            chosen.value,
            job_ids or None,
            selection,
            cost_usd=cost_usd,
            provider_id=provider_id,
            dry_run=dry_run,
        )
    )
    _print_results(results, as_json=as_json, dry_run=dry_run)
    if any(result.error_code is not None for result in results):
        raise typer.Exit(1)


def _print_results(results: Sequence[DecisionResult], *, as_json: bool, dry_run: bool) -> None:
    if as_json:
        from rushes.cli.screen import print_json

        print_json(
            [
                {
                    "job_id": result.job_id,
                    "done": result.error_code is None,
                    "message": result.message,
                    "error_code": result.error_code,
                }
                for result in results
            ]
        )
        return
    for result in results:
        prefix = "would: " if dry_run and result.error_code is None else ""
        print(f"{prefix}{result.message}", file=sys.stderr if result.error_code is not None else sys.stdout)
    if not results:
        print("no job of the list matches", file=sys.stderr)


async def _select(settings: Settings, selection: Selection) -> Sequence[NeedsOperator]:
    from rushes.app.administration import opened_decisions

    async with opened_decisions(settings) as decisions:
        return await decisions.select(selection, LISTED_AT_ONCE)


async def _decide(
    settings: Settings,
    action: str,
    job_ids: Sequence[str] | None,
    selection: Selection,
    *,
    cost_usd: Decimal | None,
    provider_id: str | None,
    dry_run: bool,
) -> Sequence[DecisionResult]:
    from rushes.app.administration import opened_decisions
    from rushes.operations.decisions import Decision
    from rushes.operations.needs_operator import Action

    async with opened_decisions(settings) as decisions:
        if job_ids is None:
            job_ids = [entry.job_id for entry in await decisions.select(selection)]
        act = decisions.check if dry_run else decisions.carry_out
        return [
            await act(Decision(Action(action), job_id, provider_video_id=provider_id, cost_usd=cost_usd))
            for job_id in dict.fromkeys(job_ids)
        ]


def _is_test(mode: str | None) -> bool | None:
    return None if mode is None else mode == "test"


def _row(entry: NeedsOperator) -> tuple[str, ...]:
    from rushes.catalogue.price import to_usd
    from rushes.views.times import rfc3339

    return (
        entry.job_id,
        f"{entry.account_id} (test)" if entry.is_test else entry.account_id,
        f"{entry.provider}/{entry.model}",
        entry.reason,
        f"{to_usd(entry.reserved_microusd):f}",
        rfc3339(entry.accepted_at),
        ", ".join(action.value.replace("_", "-") for action in entry.actions),
    )


def _entry_json(entry: NeedsOperator) -> dict[str, object]:
    from rushes.catalogue.price import to_usd
    from rushes.views.times import rfc3339

    return {
        "job_id": entry.job_id,
        "account_id": entry.account_id,
        "mode": "test" if entry.is_test else "live",
        "provider": entry.provider,
        "model": entry.model,
        "reason": entry.reason,
        "error": entry.message,
        "provider_video_id": entry.provider_video_id,
        "reserved_usd": float(to_usd(entry.reserved_microusd)),
        "actions": [action.value for action in entry.actions],
        "created_at": rfc3339(entry.accepted_at),
        "since": rfc3339(entry.since),
    }
