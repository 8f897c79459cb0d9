"""`rushes migrate`: upgrade the schema of the database as a separate step."""

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
        bool, typer.Option("--check", help="Change nothing; exit with 1 and list the migrations that are due, if any.")
    ] = False,
    data_dir: DataDir = None,
) -> None:
    """Upgrade the schema of the database, and print the old and the new version.

    On Postgres services may run meanwhile, on SQLite no service may run.
    """
    from rushes.settings import load_settings

    settings = load_settings(data_dir=data_dir)
    asyncio.run(_check(settings) if check else _migrate(settings))


async def _migrate(settings: Settings) -> None:
    from rushes.app.databases import migrated
    from rushes.data_directory import DataDirectory

    done = await migrated(settings, DataDirectory(settings.data_dir))
    if done.before == done.after:
        print(f"the schema is {done.after}; no migration was due")
    elif done.before is None:
        print(f"the schema was created: {done.after}")
    else:
        print(f"the schema was upgraded from {done.before} to {done.after}")


async def _check(settings: Settings) -> None:
    from rushes.app.databases import schema_found
    from rushes.data_directory import DataDirectory

    schema = await schema_found(settings, DataDirectory(settings.data_dir))
    if not schema.due:
        print(f"the schema is {schema.version}; no migration is due")
        return
    print(f"the schema is {schema.version or 'not created yet'}; due: {', '.join(schema.due)}")
    raise typer.Exit(Exit.FAILED)
