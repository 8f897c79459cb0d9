"""`rushes jobs settle`: the real cost of a job, from the bill of its provider."""

from __future__ import annotations

import asyncio
import sys
from decimal import Decimal
from typing import TYPE_CHECKING, Annotated

import typer

from rushes.cli.money import dollars
from rushes.cli.options import DataDir
from rushes.cli.tables import print_table

if TYPE_CHECKING:
    from rushes.settings import Settings

HEADINGS = ("job", "model", "reserved USD", "accepted", "why")
MOST_USD = 1_000_000


def settle(
    job_id: Annotated[
        str | None, typer.Argument(metavar="[JOB]", help="The job; else the waiting jobs are listed.")
    ] = None,
    cost: Annotated[str | None, typer.Option(metavar="USD", help="The provider's charge, such as 1.20.")] = None,
    released: Annotated[bool, typer.Option("--released", help="Nothing was charged.")] = False,
    data_dir: DataDir = None,
) -> None:
    """Record the real cost of an ended job, and free the money that was reserved for it.

    Jobs wait for this if their provider may have charged although there is no video. A settled job is corrected.
    Works on the data directory, also while the service runs, and for jobs that their owner has deleted.
    """
    if job_id is not None and (cost is None) == (not released):
        raise typer.BadParameter("give either --cost or --released")
    if job_id is None and (cost is not None or released):
        raise typer.BadParameter("name the job that this cost belongs to")
    cost_usd = Decimal(0) if cost is None else dollars(cost, "--cost", most=MOST_USD)
    from rushes.settings import load_settings

    asyncio.run(_settle(load_settings(data_dir=data_dir), job_id, cost_usd))


async def _settle(settings: Settings, job_id: str | None, cost_usd: Decimal) -> None:
    from rushes.app.administration import opened_settlement
    from rushes.views.times import rfc3339

    async with opened_settlement(settings) as settlement:
        if job_id is not None:
            await settlement.settle(job_id, cost_usd)
            print(f"'{job_id}' is settled at {cost_usd:f} USD")
            return
        waiting = await settlement.unsettled()
    rows = [
        (
            one.owner.job_id,
            f"{one.owner.provider}/{one.owner.model}",
            f"{one.reserved_usd:f}",
            rfc3339(one.owner.accepted_at),
            one.cause,
        )
        for one in waiting
    ]
    if rows:
        print_table(HEADINGS, rows)
    else:
        print("no job waits to be settled", file=sys.stderr)
