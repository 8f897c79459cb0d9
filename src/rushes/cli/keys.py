"""`rushes keys`: create, list, disable, revoke and delete API keys, also while the service runs."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer

from rushes.cli.accounts import AllowedModels, administer, checked_patterns, length_s, warn_of_unmatched
from rushes.cli.options import DataDir
from rushes.cli.tables import print_table
from rushes.cli.wording import printable

if TYPE_CHECKING:
    from rushes.accounts.key_store import KeyStore
    from rushes.accounts.keys import KeyRecord, Scope
    from rushes.app.administration import Administration

T = TypeVar("T")

app = typer.Typer(help="Create, list, disable, revoke and delete API keys.", no_args_is_help=True)

KeyId = Annotated[str, typer.Argument(metavar="ID", help="The id that `rushes keys list` shows.")]

HEADINGS = ("id", "account", "name", "mode", "scopes", "models", "ends in", "created", "state")


@app.command()
def create(
    name: Annotated[str, typer.Option(help="What the key is for; shown in lists.")] = "default",
    test: Annotated[
        bool, typer.Option("--test", help="A test key: every model is drawn as an animatic, at no cost.")
    ] = False,
    account: Annotated[str, typer.Option(help="The account of the key; created if it is new.")] = "default",
    expires: Annotated[
        str | None, typer.Option(help="How long the key works, such as 12h, 30d or 8w; by default it does not expire.")
    ] = None,
    scope: Annotated[
        list[str] | None,
        typer.Option(help="A scope: read, generate, manage or admin; repeatable. Without it: all but admin."),
    ] = None,
    models: AllowedModels = None,
    data_dir: DataDir = None,
) -> None:
    """Create an API key. It is printed once, alone on the last line of standard output; only its hash is stored."""
    from rushes.accounts.keys import Mode

    lifetime_s = None if expires is None else length_s(expires, "--expires")
    scopes = _scopes(scope)
    mode = Mode.TEST if test else Mode.LIVE
    patterns = checked_patterns(models)

    async def make(administration: Administration) -> tuple[KeyRecord, str]:
        warn_of_unmatched(administration, patterns or [])
        return await administration.keys.create_key(
            account=account,
            name=name,
            mode=mode,
            lifetime_s=lifetime_s,
            scopes=scopes,
            models=None if patterns is None else tuple(patterns),
        )

    record, key = administer(data_dir, make)
    until = "" if record.expires_at is None else f", works until {_time(record.expires_at)}"
    print(
        f"{record.mode} key '{printable(record.name)}' ({record.id}) of account '{printable(record.account)}'{until}",
        file=sys.stderr,
    )
    print(key)


@app.command("list")
def list_keys(data_dir: DataDir = None) -> None:
    """Show every key with its last four characters, never the key itself."""
    from rushes.accounts.keys import scopes_to_text

    records = _with_keys(data_dir, lambda keys: keys.list_keys())
    rows = [
        (
            record.id,
            record.account,
            record.name,
            record.mode,
            scopes_to_text(record.scopes),
            "all" if record.models is None else ", ".join(record.models),
            record.hint,
            _time(record.created_at),
            _state(record),
        )
        for record in records
    ]
    print_table(HEADINGS, rows)


@app.command()
def revoke(key_id: KeyId, data_dir: DataDir = None) -> None:
    """Refuse a key at once and permanently, also in a running service."""
    record = _with_keys(data_dir, lambda keys: keys.revoke_key(key_id))
    print(f"revoked '{printable(record.name)}' ({record.id})")


@app.command()
def disable(key_id: KeyId, data_dir: DataDir = None) -> None:
    """Refuse a key at once, until it is enabled."""
    record = _with_keys(data_dir, lambda keys: keys.disable_key(key_id))
    print(f"disabled '{printable(record.name)}' ({record.id})")


@app.command()
def enable(key_id: KeyId, data_dir: DataDir = None) -> None:
    """Accept a disabled key again; a revoked or expired key stays refused."""
    record = _with_keys(data_dir, lambda keys: keys.enable_key(key_id))
    print(f"'{printable(record.name)}' ({record.id}) is {_state(record)}")


@app.command()
def delete(key_id: KeyId, data_dir: DataDir = None) -> None:
    """Delete a key and its limits. It is refused at once; its jobs stay."""
    record = _with_keys(data_dir, lambda keys: keys.delete_key(key_id))
    print(f"deleted '{printable(record.name)}' ({record.id})")


@app.command("set")
def set_models(key_id: KeyId, models: AllowedModels = None, data_dir: DataDir = None) -> None:
    """Limit a key to some of the models that its account may use; in force at once."""
    patterns = checked_patterns(models)
    if patterns is None:
        raise typer.BadParameter("name at least one pattern, such as --models 'google/*'", param_hint="--models")
    record = administer(data_dir, lambda administration: _change_models(administration, key_id, patterns))
    print(f"'{printable(record.name)}' ({record.id}) may use {', '.join(patterns)}")


@app.command()
def unset(key_id: KeyId, data_dir: DataDir = None) -> None:
    """Let a key use every model that its account may; in force at once."""
    record = administer(data_dir, lambda administration: _change_models(administration, key_id, None))
    print(f"'{printable(record.name)}' ({record.id}) may use every model of its account")


async def _change_models(administration: Administration, key_id: str, patterns: list[str] | None) -> KeyRecord:
    from rushes.accounts.account_settings import SettingName

    warn_of_unmatched(administration, patterns or [])
    record = await administration.keys.get_key(key_id)
    await administration.settings.change(record.account_id, {SettingName.MODELS: patterns}, key_id)
    return record


def _with_keys(data_dir: Path | None, act: Callable[[KeyStore], Awaitable[T]]) -> T:
    from rushes.app.administration import opened_keys
    from rushes.settings import load_settings

    async def run() -> T:
        async with opened_keys(load_settings(data_dir=data_dir)) as keys:
            return await act(keys)

    return asyncio.run(run())


def _scopes(words: list[str] | None) -> frozenset[Scope]:
    from rushes.accounts.keys import USUAL_SCOPES, Scope

    if not words:
        return USUAL_SCOPES
    for word in words:
        if word not in list(Scope):
            raise typer.BadParameter(f"'{word}' is not one of {', '.join(Scope)}", param_hint="--scope")
    return frozenset(map(Scope, words))


def _state(record: KeyRecord) -> str:
    state = record.state(int(datetime.now(UTC).timestamp() * 1000))
    since = {"revoked": record.revoked_at, "expired": record.expires_at, "disabled": record.disabled_at}.get(state)
    if since is not None:
        return f"{state} {_time(since)}"
    return state if record.expires_at is None else f"valid until {_time(record.expires_at)}"


def _time(milliseconds: int) -> str:
    return datetime.fromtimestamp(milliseconds / 1000, UTC).strftime("%Y-%m-%d %H:%M UTC")
