"""`rushes move`: take a service's data to another database or storage."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from rushes.cli.exits import Exit
from rushes.cli.options import AsJson, DataDir

if TYPE_CHECKING:
    from rushes.app.transfer import Plan

ROWS_A_SECOND = 5_000
BYTES_A_SECOND = 25_000_000
"""Cautious, for the estimate: what a small machine does with a database and a bucket near to it."""

AGAIN = "run the same command again, and the move goes on"


def move(
    to: Annotated[
        Path,
        typer.Option(
            "--to",
            metavar="FILE",
            help="The settings after the move, as in rushes.toml: database_url, storage_url, secret_keys.",
        ),
    ],
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only say what would be moved and about how long it takes.")
    ] = False,
    start_over: Annotated[
        bool, typer.Option("--start-over", help="Empty the target of a move that was cut off, and begin anew.")
    ] = False,
    as_json: AsJson = False,
    data_dir: DataDir = None,
) -> None:
    """Copy a stopped service's data to another database, another storage or both, and compare every row and file.

    A move that was cut off goes on when you run it again. Nothing is removed or changed where the data was.
    """
    from rushes import logs
    from rushes.app.transfer import Side, move, plan_move
    from rushes.cli.screen import note
    from rushes.clock import SystemClock
    from rushes.data_directory import DataDirectory
    from rushes.errors import DatabaseUnavailable, StartupError, StorageUnavailable
    from rushes.settings import load_settings, load_settings_file

    source = load_settings(data_dir=data_dir)
    target = load_settings_file(to, data_dir=source.data_dir)
    # Warnings go to standard error, where no script reads its JSON.
    logs.configure("warning", source.log_format)
    old, new = Side(source, DataDirectory(source.data_dir)), Side(target, DataDirectory(target.data_dir))
    clock = SystemClock()
    if dry_run:
        _print_plan(asyncio.run(plan_move(old, new, clock)), as_json)
        return
    progress = _Progress(note)
    try:
        plan = asyncio.run(move(old, new, clock, progress.count, start_over=start_over))
    except (DatabaseUnavailable, StorageUnavailable) as exc:
        raise StartupError(f"{exc.message}. What was copied stays: {AGAIN}") from exc
    except KeyboardInterrupt:
        note(f"Interrupted. What was copied stays: {AGAIN}")
        raise typer.Exit(Exit.INTERRUPTED) from None
    _print_done(plan, to, as_json)


class _Progress:
    """Notes how far the move is, a line for each tenth of a million rows or tenth of a gigabyte."""

    def __init__(self, note: Callable[[str], None]) -> None:
        self._note = note
        self._counts: dict[str, int] = {}

    def count(self, name: str, amount: int) -> None:
        before = self._counts.get(name, 0)
        self._counts[name] = after = before + amount
        step = 100_000_000 if name == "files" else 100_000
        if after // step > before // step:
            self._note(f"{name}: {after:,}{' bytes' if name == 'files' else ' rows'}")


def _print_plan(plan: Plan, as_json: bool) -> None:
    rows = sum(plan.rows.values())
    seconds = rows / ROWS_A_SECOND + plan.size_bytes / BYTES_A_SECOND
    _note_foreign(plan)
    if as_json:
        _print_json(plan, {"estimated_s": round(seconds)})
        return
    if plan.database is not None:
        print(f"The database: {plan.database}")
        for name, count in plan.rows.items():
            if count:
                print(f"  {name}: {count:,} rows")
    if plan.files is not None:
        print(f"The files: {plan.files}\n  {plan.count:,} files, {plan.size_bytes:,} bytes")
    print(f"About {_spelled(seconds)}. Nothing was changed.")


def _print_done(plan: Plan, to: Path, as_json: bool) -> None:
    from rushes.cli.screen import note

    _note_foreign(plan)
    for key in plan.missing:
        note(f"the database names '{key}', which was not in the old storage")
    for key in plan.differing:
        note(f"'{key}' was already different from what the database says; it was copied as it is")
    if as_json:
        _print_json(plan, {})
        return
    if plan.database is not None:
        print(
            f"Moved the database: {plan.database}\n"
            f"  {sum(plan.rows.values()):,} rows in {len(plan.rows)} tables, compared"
        )
        sums = {name: total for name, total in plan.microusd.items() if total}
        for name, total in sums.items():
            print(f"  {name}: {total / 1_000_000:,.6f} USD on both sides")
        if not sums:
            print("  no money on either side")
    if plan.files is not None:
        print(f"Moved the files: {plan.files}\n  {plan.count:,} files, {plan.size_bytes:,} bytes, compared by SHA-256")
    print(f"The data that was moved is still where it was. Start the service with RUSHES_CONFIG={to}.")


def _note_foreign(plan: Plan) -> None:
    from rushes.cli.screen import note

    for name in plan.foreign:
        note(f"'{name}' is no file of a service, by its name; it stays where it is")


def _print_json(plan: Plan, more: dict[str, object]) -> None:
    from dataclasses import asdict

    from rushes.cli.screen import print_json

    print_json(asdict(plan) | more)


def _spelled(seconds: float) -> str:
    return f"{max(1, round(seconds))} s" if seconds < 120 else f"{round(seconds / 60)} minutes"
