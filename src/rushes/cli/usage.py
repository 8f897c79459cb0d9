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
    from rushes.money.usage import CredentialUsage, DayUsage, UserDayUsage
    from rushes.settings import Settings

SUMS = ("jobs", "completed", "failed", "open", "unpriced", "cost_usd")
HEADINGS_BY = {
    "model": ("account", "day", "provider", "model", *SUMS),
    "user": ("account", "day", "user", *SUMS),
    "credential": ("day", "provider", "credential", *SUMS),
}
EPOCH = date(1970, 1, 1)


def usage(
    account: Annotated[str | None, typer.Option(help="Only this account.")] = None,
    since: Annotated[
        str | None,
        typer.Option(metavar="DAY", help="The first day (UTC), such as 2026-11-01; else that of this month."),
    ] = None,
    until: Annotated[str | None, typer.Option(metavar="DAY", help="The last day (UTC); else today.")] = None,
    by: Annotated[
        str,
        typer.Option(
            metavar="WHAT",
            help="model, user: the caller's own tag; jobs without one are left out, or credential: your key at the"
            " provider, for all accounts together; only jobs that have ended.",
        ),
    ] = "model",
    test: Annotated[bool, typer.Option("--test", help="The jobs of test keys; else those of live keys.")] = False,
    as_csv: Annotated[bool, typer.Option("--csv", help="As CSV, for spreadsheets and scripts.")] = False,
    data_dir: DataDir = None,
) -> None:
    """Show jobs and costs of live keys per account and day, by model, user tag or credential.

    They count on the day the job was accepted. Works on the data directory, also while the service runs.
    """
    from rushes.settings import load_settings

    today = datetime.now(UTC).date()
    first = today.replace(day=1) if since is None else _day(since, "--since")
    last = today if until is None else _day(until, "--until")
    if first > last:
        raise typer.BadParameter(f"the first day, {first}, is after the last, {last}", param_hint="--since")
    if by not in HEADINGS_BY:
        raise typer.BadParameter(f"'{by}' is not one of {', '.join(HEADINGS_BY)}", param_hint="--by")
    if by == "credential" and (test or account is not None):
        message = "credentials are counted for all accounts together; leave out --account and --test"
        raise typer.BadParameter(message, param_hint="--by")
    found = asyncio.run(_read(load_settings(data_dir=data_dir), account, first, last, by=by, of_test_keys=test))
    headings = HEADINGS_BY[by]
    rows = [_row(one) for one in found]
    if as_csv:
        csv.writer(sys.stdout, lineterminator="\n").writerows([headings, *rows])
    elif rows:
        total = sum((one.usage for one in found[1:]), found[0].usage)
        print_table(headings, rows)
        print(f"{total.jobs} jobs, {total.cost_usd:f} USD from {first} to {last}", file=sys.stderr)
    else:
        print(f"no jobs from {first} to {last}", file=sys.stderr)


async def _read(
    settings: Settings, account: str | None, first: date, last: date, *, by: str, of_test_keys: bool
) -> Sequence[DayUsage | UserDayUsage | CredentialUsage]:
    from rushes.app.administration import opened_usage

    async with opened_usage(settings) as store:
        if store is None:
            return ()
        if by == "credential":
            return await store.read_credentials(since_day=(first - EPOCH).days, until_day=(last - EPOCH).days)
        return await (store.read_user_days if by == "user" else store.read_days)(
            since_day=(first - EPOCH).days,
            until_day=(last - EPOCH).days,
            account=account,
            of_test_keys=of_test_keys,
        )


def _row(one: DayUsage | UserDayUsage | CredentialUsage) -> tuple[str, ...]:
    from rushes.money.usage import CredentialUsage, UserDayUsage

    used = one.usage
    counts = (used.jobs, used.completed, used.failed, used.open, used.unpriced)
    day = date.fromordinal(EPOCH.toordinal() + one.day).isoformat()
    if isinstance(one, CredentialUsage):
        return (day, one.provider, one.credential, *map(str, counts), f"{used.cost_usd:f}")
    group = (one.user,) if isinstance(one, UserDayUsage) else (one.provider, one.model)
    return (one.account, day, *group, *map(str, counts), f"{used.cost_usd:f}")


def _day(text: str, option: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise typer.BadParameter(f"'{text}' is not a day such as 2026-11-22", param_hint=option) from None
