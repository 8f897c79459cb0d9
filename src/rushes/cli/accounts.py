"""`rushes accounts`: create, list, rename and disable the owners of jobs and keys, also while the service runs."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer

from rushes.cli.limits import value_text
from rushes.cli.options import DataDir
from rushes.cli.tables import print_table

if TYPE_CHECKING:
    from rushes.accounts.account_store import Account
    from rushes.app.administration import Administration

T = TypeVar("T")

app = typer.Typer(help="Create, list, rename and disable accounts.", no_args_is_help=True)

Named = Annotated[str, typer.Argument(metavar="ACCOUNT", help="Its name or id.")]
HEADINGS = ("id", "name", "created", "state")
PAGE = 1000


@app.command()
def create(
    name: Annotated[str, typer.Argument(help="Its name, which no other account may have.")],
    data_dir: DataDir = None,
) -> None:
    """Create an account. `rushes keys create --account NAME` creates its keys, and the account if it is new."""
    account = administer(data_dir, lambda administration: administration.accounts.create(checked_name(name)))
    print(account.id)


@app.command("list")
def list_accounts(data_dir: DataDir = None) -> None:
    """Show every account, oldest first."""

    async def all_of(administration: Administration) -> list[Account]:
        found: list[Account] = []
        after = (0, "")
        while page := await administration.accounts.list(after=after, most=PAGE):
            found.extend(page)
            after = page[-1].created_at, page[-1].id
        return found

    accounts = administer(data_dir, all_of)
    print_table(HEADINGS, [(one.id, one.name, _time(one.created_at), _state(one)) for one in accounts])


@app.command()
def show(account: Named, data_dir: DataDir = None) -> None:
    """Show an account, its limits and how many keys it has."""

    async def look(administration: Administration) -> list[tuple[str, str]]:
        found = await administration.accounts.get_named(account)
        limits = await administration.limits.read(found.id)
        keys = [key for key in await administration.keys.list_keys() if key.account_id == found.id]
        valid = sum(key.state(int(datetime.now(UTC).timestamp() * 1000)) == "valid" for key in keys)
        return [
            ("id", found.id),
            ("name", found.name),
            ("created", _time(found.created_at)),
            ("state", _state(found)),
            ("keys", f"{len(keys)}, of which {valid} valid"),
            *((name.value, value_text(name, value)) for name, value in limits.named()),
        ]

    for name, value in administer(data_dir, look):
        print(f"{name:20}  {value}")


@app.command()
def rename(
    account: Named, name: Annotated[str, typer.Argument(help="The new name.")], data_dir: DataDir = None
) -> None:
    """Rename an account; its id, keys and jobs stay."""

    async def act(administration: Administration) -> Account:
        found = await administration.accounts.get_named(account)
        return await administration.accounts.rename(found.id, checked_name(name))

    changed = administer(data_dir, act)
    print(f"'{changed.name}' ({changed.id})")


@app.command()
def disable(account: Named, data_dir: DataDir = None) -> None:
    """Refuse all keys of an account at once; its running jobs continue."""

    async def act(administration: Administration) -> Account:
        return await administration.accounts.disable((await administration.accounts.get_named(account)).id)

    changed = administer(data_dir, act)
    print(f"disabled '{changed.name}' ({changed.id})")


@app.command()
def enable(account: Named, data_dir: DataDir = None) -> None:
    """Accept the keys of a disabled account again."""

    async def act(administration: Administration) -> Account:
        return await administration.accounts.enable((await administration.accounts.get_named(account)).id)

    changed = administer(data_dir, act)
    print(f"enabled '{changed.name}' ({changed.id})")


def administer(data_dir: Path | None, act: Callable[[Administration], Awaitable[T]]) -> T:
    """Run `act` on the accounts of a data directory, also while a service runs."""
    from rushes.app.administration import opened_administration
    from rushes.settings import load_settings

    async def run() -> T:
        async with opened_administration(load_settings(data_dir=data_dir)) as administration:
            return await act(administration)

    return asyncio.run(run())


def checked_name(name: str) -> str:
    """The name, if it is valid."""
    if not name or len(name) > 200 or not name.isprintable():
        raise typer.BadParameter("a name is 1 to 200 printable characters", param_hint="NAME")
    return name


def _state(account: Account) -> str:
    return "enabled" if account.disabled_at is None else f"disabled {_time(account.disabled_at)}"


def _time(milliseconds: int) -> str:
    return datetime.fromtimestamp(milliseconds / 1000, UTC).strftime("%Y-%m-%d %H:%M UTC")
