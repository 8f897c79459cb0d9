"""`rushes usage`: jobs and costs of every account by day."""

from __future__ import annotations

import asyncio
import csv
import sys
from collections.abc import Sequence
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING, Annotated

import typer

from rushes.cli.options import DataDir
from rushes.cli.tables import print_table

if TYPE_CHECKING:
    from rushes.money.usage import DayUsage
    from rushes.settings import Settings

HEADINGS = ("account", "day", "provider", "model", "jobs", "completed", "failed", "open", "unpriced", "cost_usd")
EPOCH = date(1970, 1, 1)


def usage(
    account: Annotated[str | None, typer.Option(help="Only this account.")] = None,
    since: Annotated[
        str | None,
        typer.Option(metavar="DAY", help="The first day (UTC), such as 2026-11-01; else that of this month."),
    ] = None,
    until: Annotated[str | None, typer.Option(metavar="DAY", help="The last day (UTC); else today.")] = None,
    test: Annotated[bool, typer.Option("--test", help="The jobs of test keys; else those of live keys.")] = False,
    as_csv: Annotated[bool, typer.Option("--csv", help="As CSV, for spreadsheets and scripts.")] = False,
    data_dir: DataDir = None,
) -> None:
    """Show jobs and costs of live keys per account, day and model. They count on the day the job was accepted.

    Works on the data directory, also while the service runs.
    """
    from rushes.settings import load_settings

    today = datetime.now(UTC).date()
    first = today.replace(day=1) if since is None else _day(since, "--since")
    last = today if until is None else _day(until, "--until")
    if first > last:
        raise typer.BadParameter(f"the first day, {first}, is after the last, {last}", param_hint="--since")
    found = asyncio.run(_read(load_settings(data_dir=data_dir), account, first, last, of_test_keys=test))
    rows = [_row(one) for one in found]
    if as_csv:
        csv.writer(sys.stdout, lineterminator="\n").writerows([HEADINGS, *rows])
    elif rows:
        total = sum((one.usage for one in found[1:]), found[0].usage)
        print_table(HEADINGS, rows)
        print(f"{total.jobs} jobs, {total.cost_usd:f} USD from {first} to {last}", file=sys.stderr)
    else:
        print(f"no jobs from {first} to {last}", file=sys.stderr)


async def _read(
    settings: Settings, account: str | None, first: date, last: date, *, of_test_keys: bool
) -> Sequence[DayUsage]:
    from rushes.app.administration import opened_usage

    async with opened_usage(settings) as store:
        if store is None:
            return ()
        return await store.read_days(
            since_day=(first - EPOCH).days,
            until_day=(last - EPOCH).days,
            account=account,
            of_test_keys=of_test_keys,
        )


def _row(one: DayUsage) -> tuple[str, ...]:
    used = one.usage
    counts = (used.jobs, used.completed, used.failed, used.open, used.unpriced)
    day = date.fromordinal(EPOCH.toordinal() + one.day).isoformat()
    return (one.account, day, one.provider, one.model, *map(str, counts), f"{used.cost_usd:f}")


def _day(text: str, option: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise typer.BadParameter(f"'{text}' is not a day such as 2026-11-22", param_hint=option) from None
