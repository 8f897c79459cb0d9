"""`rushes guardrail`: what the guardrail has blocked and rewritten."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from rushes.cli.options import AsJson, DataDir
from rushes.cli.tables import print_table

if TYPE_CHECKING:
    from rushes.jobs.guardrail.store import GuardRecord
    from rushes.settings import Settings

app = typer.Typer(help="Show what the guardrail has blocked and rewritten.", no_args_is_help=True)

HEADINGS = ("when", "action", "account", "model", "user", "job", "reason")


@app.command("list")
def list_records(
    account: Annotated[str | None, typer.Option(metavar="ID", help="Only of this account, by its id.")] = None,
    job: Annotated[str | None, typer.Option(metavar="ID", help="Only of this job.")] = None,
    mode: Annotated[Literal["live", "test"] | None, typer.Option(help="Only of keys of this mode.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=10_000, help="At most so many, the newest first.")] = 50,
    as_json: AsJson = False,
    data_dir: DataDir = None,
) -> None:
    """Show the newest records; prompts are in the JSON alone. Works on the database, also while the service runs."""
    from rushes.settings import load_settings

    is_test = None if mode is None else mode == "test"
    records = asyncio.run(_newest(load_settings(data_dir=data_dir), account, job, limit, is_test=is_test))
    if as_json:
        from rushes.cli.screen import print_json
        from rushes.views.guardrail import guardrail_record

        print_json([guardrail_record(one).model_dump() for one in records])
    elif records:
        print_table(HEADINGS, [_row(one) for one in records])
    else:
        print("no record", file=sys.stderr)


async def _newest(
    settings: Settings, account_id: str | None, job_id: str | None, limit: int, *, is_test: bool | None
) -> Sequence[GuardRecord]:
    from rushes.app.administration import opened_guardrail_records

    async with opened_guardrail_records(settings) as store:
        return await store.list(most=limit, account_id=account_id, job_id=job_id, is_test=is_test)


def _row(one: GuardRecord) -> tuple[str, ...]:
    from rushes.views.times import rfc3339

    return (
        rfc3339(one.created_at),
        one.action,
        one.account,
        one.model,
        one.user or "",
        one.job_id or "",
        one.reason or "",
    )
