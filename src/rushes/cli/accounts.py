"""`rushes accounts`: create, list, rename and disable the owners of jobs and keys, also while the service runs."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer

from rushes.cli.limits import value_text
from rushes.cli.options import DataDir
from rushes.cli.tables import print_table

if TYPE_CHECKING:
    from rushes.accounts.account_settings import AccountSettings, SettingName
    from rushes.accounts.account_store import Account
    from rushes.app.administration import Administration

T = TypeVar("T")

app = typer.Typer(help="Create, list, change and disable accounts.", no_args_is_help=True)

Named = Annotated[str, typer.Argument(metavar="ACCOUNT", help="Its name or id.")]
AllowedModels = Annotated[
    list[str] | None,
    typer.Option("--models", metavar="PATTERN", help="Only these, such as 'google/*' or 'seedance-*'; repeatable."),
]
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
    """Show an account, its limits, its settings and how many keys it has."""
    from rushes.accounts.account_settings import SettingName

    async def look(administration: Administration) -> list[tuple[str, str]]:
        found = await administration.accounts.get_named(account)
        limits = await administration.limits.read(found.id)
        settings = await administration.settings.read(found.id)
        keys = [key for key in await administration.keys.list_keys() if key.account_id == found.id]
        valid = sum(key.state(int(datetime.now(UTC).timestamp() * 1000)) == "valid" for key in keys)
        return [
            ("id", found.id),
            ("name", found.name),
            ("created", _time(found.created_at)),
            ("state", _state(found)),
            ("keys", f"{len(keys)}, of which {valid} valid"),
            *((name.value, value_text(name, value)) for name, value in limits.named()),
            *((name.value, text) for name in SettingName if (text := _setting_text(settings, name)) is not None),
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


@app.command("set")
def set_settings(
    account: Named,
    models: AllowedModels = None,
    default_model: Annotated[
        str | None, typer.Option(metavar="MODEL", help="For requests that name neither a model nor a provider.")
    ] = None,
    fallback_models: Annotated[
        list[str] | None,
        typer.Option("--fallback-model", metavar="MODEL", help="For requests that name none; repeatable, in order."),
    ] = None,
    on_retired: Annotated[
        str | None, typer.Option(metavar="WORD", help="What happens to retired models: successor or refuse.")
    ] = None,
    retention: Annotated[
        str | None, typer.Option(metavar="TIME", help="How long finished videos are kept, such as 12h, 30d or 8w.")
    ] = None,
    data_dir: DataDir = None,
) -> None:
    """Set what an account may use and what its requests get by default. What is not named stays as it is.

    A request may say otherwise: another model or fallback, a shorter retention, or refuse where a successor may serve.
    """
    from rushes.accounts.account_settings import SettingName

    if on_retired not in (None, "successor", "refuse"):
        raise typer.BadParameter(f"'{on_retired}' is not 'successor' or 'refuse'", param_hint="--on-retired")
    given = {
        SettingName.MODELS: checked_patterns(models),
        SettingName.DEFAULT_MODEL: default_model,
        SettingName.FALLBACK_MODELS: fallback_models or None,
        SettingName.ON_RETIRED: on_retired,
        SettingName.RETENTION_S: None if retention is None else length_s(retention, "--retention"),
    }
    changes = {name: value for name, value in given.items() if value is not None}
    if not changes:
        raise typer.BadParameter("name at least one setting, such as --models 'google/*'")

    async def act(administration: Administration) -> Account:
        _check_models(administration, default_model, fallback_models or [])
        warn_of_unmatched(administration, models or [])
        found = await administration.accounts.get_named(account)
        await administration.settings.change(found.id, changes)
        return found

    changed = administer(data_dir, act)
    print(f"set for account '{changed.name}': {', '.join(option_of(name) for name in changes)}")


@app.command()
def unset(
    account: Named,
    names: Annotated[
        list[str] | None, typer.Argument(metavar="[SETTING]...", help="Such as models; without any, all.")
    ] = None,
    data_dir: DataDir = None,
) -> None:
    """Clear settings of an account: all models are allowed again, and the service's own defaults hold."""
    from rushes.accounts.account_settings import SettingName

    known = {option_of(name): name for name in SettingName}
    for name in names or ():
        if name not in known:
            raise typer.BadParameter(f"there is no setting '{name}'; there are {', '.join(known)}")
    chosen = [known[name] for name in names or known]

    async def act(administration: Administration) -> Account:
        found = await administration.accounts.get_named(account)
        await administration.settings.change(found.id, dict.fromkeys(chosen))
        return found

    changed = administer(data_dir, act)
    print(f"cleared for account '{changed.name}': {', '.join(map(option_of, chosen))}")


def checked_patterns(patterns: list[str] | None) -> list[str] | None:
    """The patterns, if they are valid; None without any."""
    from rushes.accounts.model_access import MOST_PATTERNS, trouble_of

    for pattern in patterns or ():
        trouble = trouble_of(pattern)
        if trouble is not None:
            raise typer.BadParameter(f"'{pattern}' {trouble}", param_hint="--models")
    if len(patterns or ()) > MOST_PATTERNS:
        raise typer.BadParameter(f"at most {MOST_PATTERNS} patterns", param_hint="--models")
    return patterns or None


def warn_of_unmatched(administration: Administration, patterns: list[str]) -> None:
    """Say which of these patterns match no model of the catalogue."""
    from rushes.accounts.model_access import without_model

    if not patterns:
        return
    for pattern in without_model(patterns, administration.models().models()):
        print(f"warning: '{pattern}' matches no model of the catalogue", file=sys.stderr)


def option_of(name: SettingName) -> str:
    """A setting as options are written."""
    return name.value.replace("_", "-")


def length_s(text: str, option: str) -> float:
    """A length of time such as 12h, in seconds."""
    from rushes.intake import lengths

    span_s = lengths.length_s(text)
    if span_s is None:
        raise typer.BadParameter(f"'{text}' is not a length of time such as {lengths.EXAMPLES}", param_hint=option)
    return span_s


def _check_models(administration: Administration, default_model: str | None, fallback_models: list[str]) -> None:
    from rushes.catalogue.choose import choose
    from rushes.domain.fallbacks import MOST_FALLBACKS
    from rushes.errors import CallerError

    if len(fallback_models) > MOST_FALLBACKS:
        raise typer.BadParameter(f"at most {MOST_FALLBACKS} fallback models", param_hint="--fallback-model")
    named = [("--default-model", default_model), *(("--fallback-model", name) for name in fallback_models)]
    catalogue = administration.models() if default_model is not None or fallback_models else None
    for option, name in named:
        if name is None or catalogue is None:
            continue
        try:
            choose(catalogue, name, None)
        except CallerError as error:
            raise typer.BadParameter(error.message, param_hint=option) from error


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


def _setting_text(settings: AccountSettings, name: SettingName) -> str | None:
    value = getattr(settings, name.value)
    if isinstance(value, tuple):
        return ", ".join(value) or "none"
    return None if value is None else f"{value:g} s" if isinstance(value, float | int) else str(value)


def _state(account: Account) -> str:
    return "enabled" if account.disabled_at is None else f"disabled {_time(account.disabled_at)}"


def _time(milliseconds: int) -> str:
    return datetime.fromtimestamp(milliseconds / 1000, UTC).strftime("%Y-%m-%d %H:%M UTC")
