"""`rushes audit`: who has changed accounts, keys, limits, webhooks and money, and whether the log still holds."""

from __future__ import annotations

import asyncio
import csv
import re
import sys
from contextlib import ExitStack
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TextIO

import typer

from rushes.cli.exits import Exit
from rushes.cli.options import AsJson, DataDir
from rushes.cli.tables import print_table

if TYPE_CHECKING:
    from rushes.audit.entry import Entry, Query
    from rushes.audit.verify import Verified
    from rushes.settings import Settings

app = typer.Typer(help="Show, export and verify the audit log.", no_args_is_help=True)

HEADINGS = ("seq", "when", "who", "action", "subject", "account", "change")
_PLACE = re.compile(r"([0-9]{1,18}):([0-9a-f]{64})")


class Format(StrEnum):
    """How entries are exported."""

    CSV = "csv"
    JSON = "json"


Account = Annotated[str | None, typer.Option(metavar="ID", help="Only of things of this account, by its id.")]
ActorOption = Annotated[
    str | None, typer.Option("--actor", metavar="ID", help="Only by this key, or this user of the machine.")
]
Subject = Annotated[str | None, typer.Option(metavar="ID", help="Only on this thing.")]
Action = Annotated[str | None, typer.Option(help="Only this action; `key.` means all that begin so.")]
Since = Annotated[str | None, typer.Option(metavar="DAY", help="From this day (UTC) on, such as 2026-11-01.")]
Until = Annotated[str | None, typer.Option(metavar="DAY", help="Up to the end of this day (UTC).")]


@app.command("list")
def list_entries(
    account: Account = None,
    actor: ActorOption = None,
    subject: Subject = None,
    action: Action = None,
    since: Since = None,
    until: Until = None,
    limit: Annotated[int, typer.Option(min=1, max=10_000, help="At most so many, the newest first.")] = 50,
    as_json: AsJson = False,
    data_dir: DataDir = None,
) -> None:
    """Show the newest entries. Works on the data directory, also while the service runs."""
    query = _query(account, actor, subject, action, since, until)
    entries = asyncio.run(_newest(_settings(data_dir), query, limit))
    if as_json:
        _write_json(sys.stdout, entries)
    elif entries:
        print_table(HEADINGS, [_row(entry) for entry in entries])
    else:
        print("no entry", file=sys.stderr)


@app.command()
def export(
    form: Annotated[Format, typer.Option("--format", help="As CSV, or as one JSON object a line.")] = Format.CSV,
    output: Annotated[Path | None, typer.Option("--output", "-o", help="A new file; else standard output.")] = None,
    account: Account = None,
    actor: ActorOption = None,
    subject: Subject = None,
    action: Action = None,
    since: Since = None,
    until: Until = None,
    data_dir: DataDir = None,
) -> None:
    """Write every entry that matches, the newest first."""
    query = _query(account, actor, subject, action, since, until)
    with ExitStack() as closing:
        stream: TextIO = sys.stdout
        if output is not None:
            try:
                stream = closing.enter_context(output.open("x", encoding="utf-8", newline=""))
            except OSError as exc:
                raise typer.BadParameter(
                    f"'{output}' cannot be written: {exc.strerror}", param_hint="--output"
                ) from exc
        count = asyncio.run(_export(_settings(data_dir), query, form, stream))
    print(f"{count} entries", file=sys.stderr)


@app.command()
def verify(
    expect: Annotated[
        str | None,
        typer.Option(metavar="SEQ:HASH", help="What an earlier run has printed; the log must still go through it."),
    ] = None,
    data_dir: DataDir = None,
) -> None:
    """Check that no entry was changed, removed or added by hand. Ends with 1 if one was.

    It prints the newest entry's number and hash. Keep them elsewhere: with --expect the next run finds also a log whose
    newest entries were all replaced.
    """
    place = None if expect is None else _place(expect)
    found = asyncio.run(_verify(_settings(data_dir), place))
    for fault in found.faults:
        print(fault)
    if found.faults:
        print(f"the audit log does not hold: {len(found.faults)} faults in {found.entries} entries", file=sys.stderr)
        raise typer.Exit(Exit.FAILED)
    print(f"{found.head.seq}:{found.head.hash}")
    cut = f"; retention has cut the first {found.checkpoint.seq}" if found.checkpoint.seq else ""
    print(f"{found.entries} entries hold{cut}", file=sys.stderr)


def _settings(data_dir: Path | None) -> Settings:
    from rushes.settings import load_settings

    return load_settings(data_dir=data_dir)


def _query(
    account: str | None,
    actor: str | None,
    subject: str | None,
    action: str | None,
    since: str | None,
    until: str | None,
) -> Query:
    from rushes.audit.entry import Query

    return Query(
        limit=1000,
        account_id=account,
        actor_id=actor,
        subject_id=subject,
        action=action,
        after_ms=None if since is None else _day_ms(since, "--since"),
        before_ms=None if until is None else _day_ms(until, "--until") + 86_400_000,
    )


async def _newest(settings: Settings, query: Query, limit: int) -> list[Entry]:
    from rushes.app.administration import opened_audit

    found: list[Entry] = []
    async with opened_audit(settings) as store:
        async for entry in store.all(query):
            found.append(entry)
            if len(found) == limit:
                break
    return found


async def _export(settings: Settings, query: Query, form: Format, stream: TextIO) -> int:
    from rushes.app.administration import opened_audit
    from rushes.views.audit import CSV_HEADINGS, audit_line

    count = 0
    writer = csv.writer(stream, lineterminator="\n")
    if form is Format.CSV:
        writer.writerow(CSV_HEADINGS)
    async with opened_audit(settings) as store:
        async for entry in store.all(query):
            count += 1
            if form is Format.CSV:
                writer.writerow(audit_line(entry))
            else:
                _write_json(stream, [entry])
    return count


async def _verify(settings: Settings, place: tuple[int, str] | None) -> Verified:
    from rushes.app.administration import opened_audit
    from rushes.audit.store import Place
    from rushes.audit.verify import verify

    async with opened_audit(settings) as store:
        return await verify(store, None if place is None else Place(*place))


def _write_json(stream: TextIO, entries: list[Entry]) -> None:
    from rushes.views.audit import audit_entry

    for entry in entries:
        stream.write(audit_entry(entry).model_dump_json() + "\n")


def _row(entry: Entry) -> tuple[str, ...]:
    from rushes.views.audit import change_text

    when = datetime.fromtimestamp(entry.at / 1000, UTC).strftime("%Y-%m-%d %H:%M:%S")
    who = f"{entry.actor_kind.value} {entry.actor_name or entry.actor_id}"
    return (str(entry.seq), when, who, entry.action, entry.subject_id, entry.account_id or "", change_text(entry))


def _day_ms(text: str, option: str) -> int:
    try:
        return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp() * 1000)
    except ValueError:
        raise typer.BadParameter(f"'{text}' is not a day such as 2026-11-22", param_hint=option) from None


def _place(text: str) -> tuple[int, str]:
    found = _PLACE.fullmatch(text.strip())
    if found is None:
        raise typer.BadParameter("it is a number, a colon and 64 hex digits, as `verify` prints", param_hint="--expect")
    return int(found[1]), found[2]
