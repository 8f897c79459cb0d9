"""`rushes limits`: limits of accounts and keys. A running service applies a change at once."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer

from rushes.cli.money import dollars
from rushes.cli.options import DataDir
from rushes.cli.tables import print_table

if TYPE_CHECKING:
    from rushes.accounts.limits import LimitName, LimitStore
    from rushes.money.spend_limits import SpendingStore, SpendLimit

T = TypeVar("T")

app = typer.Typer(help="Set, list and clear limits of accounts and keys.", no_args_is_help=True)

HEADINGS = ("account", "key", "limit", "most", "spent", "reserved", "left", "resets")
LARGEST = 1_000_000_000  # rushes.accounts.limits.LARGEST, which is imported only when a command runs

Account = Annotated[str, typer.Option(help="The account, by its name or id.")]
KeyId = Annotated[
    str | None, typer.Option("--key", metavar="ID", help="One key of the account; else all of its keys together.")
]


@app.command("set")
def set_limits(
    account: Account,
    key: KeyId = None,
    spend_day: Annotated[str | None, typer.Option(metavar="USD", help="The most per day (UTC).")] = None,
    spend_month: Annotated[str | None, typer.Option(metavar="USD", help="The most per calendar month (UTC).")] = None,
    spend_ever: Annotated[str | None, typer.Option(metavar="USD", help="The most in total.")] = None,
    requests_per_minute: Annotated[
        int | None, typer.Option(metavar="N", min=1, max=LARGEST, help="API requests per minute.")
    ] = None,
    jobs_in_flight: Annotated[
        int | None,
        typer.Option(metavar="N", min=1, max=LARGEST, help="Jobs at a provider at once; more jobs wait."),
    ] = None,
    queued_jobs: Annotated[
        int | None,
        typer.Option(
            "--queued-jobs",
            "--jobs-queued",
            metavar="N",
            min=1,
            max=LARGEST,
            help="Pending jobs; more are refused.",
        ),
    ] = None,
    user_requests_per_minute: Annotated[
        int | None,
        typer.Option(metavar="N", min=1, max=LARGEST, help="Requests per minute for a job, of one user tag."),
    ] = None,
    user_spend_day: Annotated[
        str | None, typer.Option(metavar="USD", help="The most per day (UTC) for jobs of one user tag.")
    ] = None,
    data_dir: DataDir = None,
) -> None:
    """Set limits, also in a running service. Limits that are not named stay as they are.

    Money that is reserved for unfinished jobs counts as spent. A job beyond a limit is refused before it costs money.
    """
    from rushes.accounts.limits import WHOLE_ACCOUNT, LimitName
    from rushes.catalogue.price import to_microusd

    amounts = {
        LimitName.SPEND_DAY: spend_day,
        LimitName.SPEND_MONTH: spend_month,
        LimitName.SPEND_EVER: spend_ever,
        LimitName.USER_SPEND_DAY: user_spend_day,
    }
    counts = {
        LimitName.REQUESTS_PER_MINUTE: requests_per_minute,
        LimitName.JOBS_IN_FLIGHT: jobs_in_flight,
        LimitName.QUEUED_JOBS: queued_jobs,
        LimitName.USER_REQUESTS_PER_MINUTE: user_requests_per_minute,
    }
    values = {
        name: to_microusd(dollars(text, f"--{_option(name)}", most=LARGEST))
        for name, text in amounts.items()
        if text is not None
    } | {name: count for name, count in counts.items() if count is not None}
    if not values:
        raise typer.BadParameter("name at least one limit, such as --spend-day 5")
    key_id = WHOLE_ACCOUNT if key is None else key
    _with_limits(data_dir, lambda limits, _: limits.set(account, key_id, values))
    print(f"set for {_whose(account, key)}: {', '.join(_option(name) for name in values)}")


@app.command("list")
def list_limits(
    account: Annotated[str | None, typer.Option(help="Only this account's, by its name or id.")] = None,
    data_dir: DataDir = None,
) -> None:
    """Show every limit, and for limits of spending what is spent, reserved and left in USD."""
    rows = _with_limits(data_dir, lambda limits, spending: _read(limits, spending, account))
    if rows:
        print_table(HEADINGS, rows)
    else:
        print("no limits are set", file=sys.stderr)


@app.command()
def clear(
    account: Account,
    names: Annotated[
        list[str] | None, typer.Argument(metavar="[LIMIT]...", help="Such as spend-day; without any, all.")
    ] = None,
    key: KeyId = None,
    data_dir: DataDir = None,
) -> None:
    """Clear limits of an account, or of one of its keys."""
    from rushes.accounts.limits import WHOLE_ACCOUNT

    chosen = _names(names or [])
    cleared = _with_limits(
        data_dir, lambda limits, _: limits.clear(account, WHOLE_ACCOUNT if key is None else key, chosen)
    )
    print(f"cleared for {_whose(account, key)}: {', '.join(_option(name) for name in cleared) or 'nothing was set'}")


def value_text(name: LimitName, value: int) -> str:
    """The value of a limit for display."""
    from rushes.catalogue.price import to_usd

    return f"{to_usd(value):.2f} USD" if name.is_money else str(value)


async def _read(limits: LimitStore, spending: SpendingStore, account: str | None) -> list[tuple[str, ...]]:
    from rushes.clock import SystemClock

    rows: list[tuple[str, ...]] = []
    for limit in await limits.list():
        if account not in (None, limit.account, limit.account_id):
            continue
        standing: Sequence[SpendLimit] = ()
        if limit.name.is_money:
            standing = await spending.limits_of(limit.account_id, limit.key_id, SystemClock().now_ms())
        stands = [_standing(one) for one in standing if (one.name, one.key_id or "") == limit.place]
        most = value_text(limit.name, limit.value)
        columns = stands[0] if stands else ("", "", "", "")
        rows.append((limit.account, limit.key_id or "all", _option(limit.name), most, *columns))
    return rows


def _standing(limit: SpendLimit) -> tuple[str, str, str, str]:
    from rushes.views.times import rfc3339

    resets = "never" if limit.resets_at is None else rfc3339(limit.resets_at)
    return f"{limit.spent_usd:.2f}", f"{limit.reserved_usd:.2f}", f"{limit.left_usd:.2f}", resets


def _names(given: list[str]) -> list[LimitName]:
    from rushes.accounts.limits import LimitName

    known = {_option(name): name for name in LimitName} | {"jobs-queued": LimitName.QUEUED_JOBS}
    for name in given:
        if name.replace("_", "-") not in known:
            offered = ", ".join(_option(one) for one in LimitName)
            raise typer.BadParameter(f"there is no limit '{name}'; there are {offered}")
    return [known[name.replace("_", "-")] for name in given] or list(LimitName)


def _option(name: LimitName) -> str:
    return name.value.replace("_", "-")


def _whose(account: str, key_id: str | None) -> str:
    return f"account '{account}'" if key_id is None else f"key '{key_id}' of account '{account}'"


def _with_limits(data_dir: Path | None, act: Callable[[LimitStore, SpendingStore], Awaitable[T]]) -> T:
    from rushes.app.administration import opened_limits
    from rushes.settings import load_settings

    async def run() -> T:
        async with opened_limits(load_settings(data_dir=data_dir)) as (limits, spending):
            return await act(limits, spending)

    return asyncio.run(run())
