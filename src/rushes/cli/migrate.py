"""`rushes migrate`: bring the database's schema up to date as a step of its own."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Annotated

import typer

from rushes.cli.exits import Exit
from rushes.cli.options import DataDir

if TYPE_CHECKING:
    from rushes.settings import Settings


def migrate(
    check: Annotated[
        bool, typer.Option("--check", help="Change nothing; end with 1 and say what is due, if anything is.")
    ] = False,
    data_dir: DataDir = None,
) -> None:
    """Bring the database's schema up to date, and say from which version to which.

    On Postgres beside running services, on SQLite while none runs.
    """
    from rushes.settings import load_settings

    settings = load_settings(data_dir=data_dir)
    asyncio.run(_check(settings) if check else _migrate(settings))


async def _migrate(settings: Settings) -> None:
    from rushes.app.databases import migrated
    from rushes.data_directory import DataDirectory

    done = await migrated(settings, DataDirectory(settings.data_dir))
    if done.before == done.after:
        typer.echo(f"the schema is {done.after}, and nothing was due")
    elif done.before is None:
        typer.echo(f"the schema was created: {done.after}")
    else:
        typer.echo(f"the schema was brought from {done.before} to {done.after}")


async def _check(settings: Settings) -> None:
    from rushes.app.databases import schema_found
    from rushes.data_directory import DataDirectory

    schema = await schema_found(settings, DataDirectory(settings.data_dir))
    if not schema.due:
        typer.echo(f"the schema is {schema.version}, and nothing is due")
        return
    typer.echo(f"the schema is {schema.version or 'not there yet'}; due: {', '.join(schema.due)}")
    raise typer.Exit(Exit.FAILED)
