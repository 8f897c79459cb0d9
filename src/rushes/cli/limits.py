"""`rushes limits`: what accounts and keys may spend, set, listed and lifted beside a running service."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer

from rushes.cli.money import dollars
from rushes.cli.options import DataDir
from rushes.cli.tables import print_table

if TYPE_CHECKING:
    from rushes.accounts.limits import LimitName, LimitStore
    from rushes.jobs.spending import SpendingStore, SpendLimit

T = TypeVar("T")

app = typer.Typer(help="Set, list and clear limits of accounts and keys.", no_args_is_help=True)

HEADINGS = ("account", "key", "limit", "USD", "spent", "reserved", "left", "resets")
MOST_USD = 1_000_000_000

Account = Annotated[str, typer.Option(help="The account, by its name.")]
KeyId = Annotated[
    str | None, typer.Option("--key", metavar="ID", help="One key of the account; else all of its keys together.")
]


@app.command("set")
def set_limits(
    account: Account,
    key: KeyId = None,
    spend_day: Annotated[str | None, typer.Option(metavar="USD", help="The most per day (UTC).")] = None,
    spend_month: Annotated[str | None, typer.Option(metavar="USD", help="The most per calendar month (UTC).")] = None,
    spend_ever: Annotated[str | None, typer.Option(metavar="USD", help="The most of all time.")] = None,
    data_dir: DataDir = None,
) -> None:
    """Set limits, at once, also in a running service; those not named stay as they are.

    What unfinished jobs have reserved counts as spent. A job that would go beyond is refused before anything is paid.
    """
    from rushes.accounts.limits import WHOLE_ACCOUNT, LimitName
    from rushes.catalogue.price import to_microusd

    given = {
        LimitName.SPEND_DAY: spend_day,
        LimitName.SPEND_MONTH: spend_month,
        LimitName.SPEND_EVER: spend_ever,
    }
    values = {
        name: to_microusd(dollars(text, f"--{_option(name)}", most=MOST_USD))
        for name, text in given.items()
        if text is not None
    }
    if not values:
        raise typer.BadParameter("name at least one limit, such as --spend-day 5")
    key_id = WHOLE_ACCOUNT if key is None else key
    _with_limits(data_dir, lambda limits, _: limits.set(account, key_id, values))
    typer.echo(f"set for {_whose(account, key)}: {', '.join(_option(name) for name in values)}")


@app.command("list")
def list_limits(
    account: Annotated[str | None, typer.Option(help="Only this account's.")] = None, data_dir: DataDir = None
) -> None:
    """Show every limit, and how it stands."""
    rows = [row for row in _with_limits(data_dir, _read) if account is None or row[0] == account]
    if rows:
        print_table(HEADINGS, rows)
    else:
        typer.echo("no limits are set", err=True)


@app.command()
def clear(
    account: Account,
    names: Annotated[
        list[str] | None, typer.Argument(metavar="[LIMIT]...", help="Such as spend-day; without any, all.")
    ] = None,
    key: KeyId = None,
    data_dir: DataDir = None,
) -> None:
    """Lift limits of an account, or of one of its keys."""
    from rushes.accounts.limits import WHOLE_ACCOUNT

    chosen = _names(names or [])
    cleared = _with_limits(
        data_dir, lambda limits, _: limits.clear(account, WHOLE_ACCOUNT if key is None else key, chosen)
    )
    typer.echo(
        f"lifted for {_whose(account, key)}: {', '.join(_option(name) for name in cleared) or 'nothing was set'}"
    )


async def _read(limits: LimitStore, spending: SpendingStore) -> list[tuple[str, ...]]:
    from rushes.clock import SystemClock

    rows = []
    for limit in await limits.list():
        standing = await spending.limits_of(limit.account_id, limit.key_id, SystemClock().now_ms())
        rows += [_row(limit.account, one) for one in standing if (one.name, one.key_id or "") == limit.place]
    return rows


def _row(account: str, limit: SpendLimit) -> tuple[str, ...]:
    from rushes.api.times import rfc3339

    resets = "never" if limit.resets_at is None else rfc3339(limit.resets_at)
    amounts = (limit.limit_usd, limit.spent_usd, limit.reserved_usd, limit.left_usd)
    return (account, limit.key_id or "all", _option(limit.name), *(f"{usd:.2f}" for usd in amounts), resets)


def _names(given: list[str]) -> list[LimitName]:
    from rushes.accounts.limits import LimitName

    for name in given:
        if name.replace("-", "_") not in set(LimitName):
            offered = ", ".join(_option(one) for one in LimitName)
            raise typer.BadParameter(f"there is no limit '{name}'; there are {offered}")
    return [LimitName(name.replace("-", "_")) for name in given] or list(LimitName)


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
