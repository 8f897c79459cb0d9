"""Moves a service's data to another database, another storage or both: what `rushes move` does.

The source is only read. What is moved is what the settings of the two sides name differently.
"""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Callable, Mapping
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from dataclasses import dataclass, field

from rushes import secret_keys
from rushes.app.databases import check_as_target, opened_as_source, opened_as_target, place_of_database
from rushes.app.storage import opened_for_move
from rushes.clock import Clock
from rushes.data_directory import DataDirectory
from rushes.db import transfer as rows
from rushes.db.database import Database
from rushes.errors import StartupError
from rushes.jobs.stored_files import expected_digests
from rushes.media.transfer import Carried, Listed, ListedStorage, carry_files
from rushes.settings import Settings


@dataclass(frozen=True, slots=True)
class Side:
    """One service's settings, and its data directory."""

    settings: Settings
    directory: DataDirectory

    @property
    def place_of_files(self) -> str:
        """Where the files are, for people."""
        if self.settings.storage_url is None:
            return f"'{self.directory.storage}'"
        endpoint = self.settings.storage_endpoint_url
        return self.settings.storage_url + ("" if endpoint is None else f" at {endpoint}")


@dataclass(slots=True)
class Plan:
    """What a move would do, or has done."""

    database: str | None = None
    """From where to where, or None if both sides have the same one."""
    files: str | None = None
    rows: Mapping[str, int] = field(default_factory=dict)
    microusd: dict[str, int] = field(default_factory=dict)
    """The sums of the columns of money that were compared, as `table.column`."""
    count: int = 0
    """How many files."""
    size_bytes: int = 0
    missing: list[str] = field(default_factory=list)
    """Keys of videos and inputs that the database names and the source does not have."""
    differing: list[str] = field(default_factory=list)
    """Keys of files whose SHA-256 was already another than the database says."""
    foreign: list[str] = field(default_factory=list)
    """Names in the source's storage that no file of a service has; those files are left where they are."""


Note = Callable[[str, int], None]
"""Called as it goes on: with a table's name and rows, or with "files" and bytes."""


async def plan_move(source: Side, target: Side, clock: Clock) -> Plan:
    """What `move` would do. Nothing is changed. Raises StartupError, also if the target cannot be reached."""
    plan = _begun(source, target)
    async with opened_as_source(source.settings, source.directory, clock) as database:
        if plan.database is not None:
            plan.rows = await rows.count_rows(database)
        if plan.files is not None:
            listed = Listed()
            async with _opened_files(source, "source") as files:
                async for _, size_bytes in listed.files(files):
                    plan.count += 1
                    plan.size_bytes += size_bytes
            plan.foreign = sorted(listed.foreign)
    if plan.database is not None:
        await check_as_target(target.settings, target.directory)
    if plan.files is not None:
        async with _opened_files(target, "target"):
            pass
    return plan


async def move(source: Side, target: Side, clock: Clock, note: Note, *, start_over: bool = False) -> Plan:
    """Copy what differs, compare it all, and leave the target ready to be served.

    A move that was cut off goes on when it is called again; `start_over` empties its target first. Raises StartupError,
    DatabaseUnavailable and StorageUnavailable.
    """
    plan = _begun(source, target)
    async with AsyncExitStack() as stack:
        old = await stack.enter_async_context(opened_as_source(source.settings, source.directory, clock))
        if plan.files is not None:
            await _move_files(source, target, old, plan, note)
        if plan.database is not None:
            # The files first: a database that is whole names only files that are there.
            new = await stack.enter_async_context(opened_as_target(target.settings, target.directory, clock))
            await _move_rows(old, new, plan, place_of_database(source.settings, source.directory), note, start_over)
            if target.settings.database_url is not None:
                await rows.continue_sequences(new)
            await rows.finish(new)
    return plan


def _begun(source: Side, target: Side) -> Plan:
    """The plan, with what is to be moved. Raises StartupError if that is nothing, or the secrets could not be read."""
    plan = Plan()
    old, new = (place_of_database(side.settings, side.directory) for side in (source, target))
    if _url(source) != _url(target) or (_url(source) is None and old != new):
        plan.database = f"{old} to {new}"
    if source.place_of_files != target.place_of_files:
        plan.files = f"{source.place_of_files} to {target.place_of_files}"
    if plan.database is None and plan.files is None:
        raise StartupError("both settings name the same database and the same storage, so there is nothing to move")
    _hand_on_secret_keys(source, target)
    return plan


def _url(side: Side) -> str | None:
    url = side.settings.database_url
    return None if url is None else url.get_secret_value()


def _hand_on_secret_keys(source: Side, target: Side) -> None:
    """Raises StartupError if the target could not read what the source has sealed.

    A key file of the source is copied, if the target has none and needs one.
    """
    if target.settings.secret_keys is None:
        if target.settings.database_url is not None:
            raise StartupError(
                f"secret_keys is not set for the target, and on Postgres it must be; copy it from "
                f"{secret_keys.SETTING}, or from '{source.directory.secret_key}'"
            )
        if source.settings.secret_keys is not None:
            raise StartupError(f"secret_keys is not set for the target; copy it from {secret_keys.SETTING}")
        if not target.directory.secret_key.exists() and source.directory.secret_key.exists():
            target.directory.create()
            shutil.copy2(source.directory.secret_key, target.directory.secret_key)
    missing = set(_keys(source)) - set(_keys(target))
    if missing:
        raise StartupError(
            f"the target lacks secret keys of the source ({', '.join(sorted(missing))}), so it could not read sealed "
            "secrets; add them to its secret_keys"
        )


def _keys(side: Side) -> tuple[str, ...]:
    if side.settings.secret_keys is not None:
        return secret_keys.parse(side.settings.secret_keys.get_secret_value()).ids
    if not side.directory.secret_key.exists():
        return ()
    return secret_keys.load_or_create(side.directory.secret_key).ids


async def _move_rows(source: Database, target: Database, plan: Plan, place: str, note: Note, start_over: bool) -> None:
    begun = await rows.unfinished_from(target)
    if begun is None:
        filled = [name for name, count in (await rows.count_rows(target)).items() if count]
        if filled:
            raise StartupError(
                f"the target's database is in use already: there are rows in {', '.join(filled)}; name an empty one"
            )
        await rows.begin(target, place)
    elif begun != place:
        raise StartupError(
            f"the target holds an unfinished move of {begun}; finish that one, or name an empty database"
        )
    elif start_over:
        await rows.empty(target)
    for table in rows.tables():
        await rows.copy_table(source, target, table, lambda count, name=table.name: note(name, count))  # type: ignore[misc]
    counts: dict[str, int] = {}
    for table in rows.tables():
        ours, theirs = await asyncio.gather(rows.content_of(source, table), rows.content_of(target, table))
        if ours != theirs:
            raise StartupError(
                f"the table '{table.name}' differs after the move: the source has {_said(ours)}, "
                f"the target {_said(theirs)}. If the source was used since the move began, use --start-over"
            )
        counts[table.name] = ours.rows
        plan.microusd |= {f"{table.name}.{column}": total for column, total in ours.microusd.items()}
    plan.rows = counts


def _said(content: rows.Content) -> str:
    sums = "".join(f", {column} {total}" for column, total in content.microusd.items())
    return f"{content.rows} rows{sums}"


async def _move_files(source: Side, target: Side, database: Database, plan: Plan, note: Note) -> None:
    expected = await expected_digests(database)
    seen: set[str] = set()

    def carried(file: Carried) -> None:
        seen.add(file.key)
        plan.count += 1
        plan.size_bytes += file.size_bytes
        if expected.get(file.key, file.sha256) != file.sha256:
            plan.differing.append(file.key)
        note("files", file.size_bytes)

    target.directory.create()
    async with _opened_files(source, "source") as old, _opened_files(target, "target", written=True) as new:
        plan.foreign = sorted(await carry_files(old, new, carried))
    plan.missing = sorted(set(expected) - seen)


def _opened_files(side: Side, name: str, *, written: bool = False) -> AbstractAsyncContextManager[ListedStorage]:
    directory = side.directory
    return opened_for_move(side.settings, directory.storage, directory.scratch, side=name, written=written)
