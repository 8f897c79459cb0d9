"""Copies all rows of one database into another of either kind, and compares the two.

The source is only read. The target notes in `marks` how far each table has come, in the transaction that writes the
rows, so a copy that was cut off goes on where it stopped.
"""

from __future__ import annotations

import hashlib
import json
import sqlite3
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field

from rushes.db.database import Database, Row, Transaction
from rushes.db.marks import GET_MARK, SET_MARK
from rushes.db.migrate import SNAPSHOT

PAGE_ROWS = 2_000
"""How many rows one transaction copies."""
STATEMENT_VALUES = 2_000
"""How many values one statement carries. Both kinds allow ten times as many, but SQLite looks up names by a scan."""

UNFINISHED = "transfer"
"""The mark of a database whose copy has begun and has not been verified."""
_CURSOR = "transfer:"

_OF_THE_SCHEMA = frozenset({"alembic_version", "schema_floor"})
_OF_THE_PROCESSES = frozenset({"marks"})
"""By these the processes on one database know each other. Those of the target begin their own."""

PUT_CURSOR = """
INSERT INTO marks (name, value) VALUES (:name, :value) ON CONFLICT (name) DO UPDATE SET value = excluded.value
"""
REMOVE_MARKS = "DELETE FROM marks WHERE name = :name OR name LIKE :pattern"

SERVICES_ON_POSTGRES = """
SELECT count(*) AS services FROM pg_stat_activity
WHERE datname = current_database() AND application_name LIKE 'rushes heartbeat%'
"""

CONTINUE_SEQUENCE = "SELECT setval(pg_get_serial_sequence(:name, 'seq'), CAST(:seq AS BIGINT))"


@dataclass(frozen=True, slots=True)
class Table:
    """A table of the schema. `key` is its primary key, by which it is read in pages."""

    name: str
    columns: tuple[str, ...]
    key: tuple[str, ...]

    @property
    def money(self) -> tuple[str, ...]:
        """The columns that hold millionths of a dollar."""
        return tuple(column for column in self.columns if column.endswith("_microusd"))

    def page(self, after: Sequence[object] | None) -> str:
        """Reads up to `:most` rows behind the row with this key, in the order of the key."""
        key = _listed(self.key)
        behind = ", ".join(f":after{number}" for number in range(len(self.key)))
        where = "" if after is None else f" WHERE ({key}) > ({behind})"
        return f"SELECT {_listed(self.columns)} FROM {self.name}{where} ORDER BY {key} LIMIT :most"  # noqa: S608

    def insert(self, rows: int) -> str:
        """Writes this many rows."""
        one = ["(" + ", ".join(f":v{row}_{column}" for column in range(len(self.columns))) + ")" for row in range(rows)]
        return f"INSERT INTO {self.name} ({_listed(self.columns)}) VALUES {', '.join(one)}"  # noqa: S608


@dataclass(slots=True)
class Content:
    """What a table holds: equal contents have equal rows, whatever their order."""

    rows: int = 0
    microusd: dict[str, int] = field(default_factory=dict)
    """The sum of each column of money."""
    digest: int = 0


def tables() -> Sequence[Table]:
    """Every table whose rows belong to the service, each behind those that it refers to."""
    with closing(sqlite3.connect(":memory:")) as schema:
        schema.executescript(SNAPSHOT.read_text())
        names = [
            name for (name,) in schema.execute("SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY rowid")
        ]
        found = []
        for name in names:
            if name in _OF_THE_SCHEMA | _OF_THE_PROCESSES:
                continue
            columns = schema.execute(f"PRAGMA table_info({name})").fetchall()
            key = sorted((place, column) for _, column, _, _, _, place in columns if place)
            found.append(Table(name, tuple(column[1] for column in columns), tuple(column for _, column in key)))
        return found


async def count_rows(database: Database) -> Mapping[str, int]:
    """How many rows each table has. Raises DatabaseUnavailable."""
    counts = {}
    for table in tables():
        (row,) = await database.read(f"SELECT count(*) AS found FROM {table.name}")  # noqa: S608
        counts[table.name] = int(row["found"])
    return counts


async def services_on(postgres: Database) -> int:
    """How many services use a Postgres database now. Raises DatabaseUnavailable."""
    (row,) = await postgres.read(SERVICES_ON_POSTGRES)
    return int(row["services"])


async def unfinished_from(database: Database) -> str | None:
    """From where a copy into this database has begun and was not finished; else None. Raises DatabaseUnavailable."""
    rows = await database.read(GET_MARK, name=UNFINISHED)
    return str(rows[0]["value"]) if rows else None


async def begin(target: Database, source: str) -> None:
    """Note in the target that a copy from `source` has begun. Raises DatabaseUnavailable."""

    async def body(transaction: Transaction) -> None:
        await transaction.execute(SET_MARK, name=UNFINISHED, value=source)

    await target.write(body)


async def finish(target: Database) -> None:
    """Note that the copy is whole, so that services may use it. Raises DatabaseUnavailable."""

    async def body(transaction: Transaction) -> None:
        await transaction.execute(REMOVE_MARKS, name=UNFINISHED, pattern=f"{_CURSOR}%")

    await target.write(body)


async def empty(target: Database) -> None:
    """Remove all rows of a copy that is to begin anew. Raises DatabaseUnavailable."""

    async def body(transaction: Transaction) -> None:
        for table in reversed(tables()):
            await transaction.execute(f"DELETE FROM {table.name}")  # noqa: S608
        await transaction.execute(REMOVE_MARKS, name="", pattern=f"{_CURSOR}%")

    await target.write(body)


async def copy_table(source: Database, target: Database, table: Table, copied: Callable[[int], None]) -> None:
    """Copy the rows that the target does not have yet, and call `copied` with the number of each page.

    Raises DatabaseUnavailable.
    """
    noted = await target.read(GET_MARK, name=f"{_CURSOR}{table.name}")
    after = json.loads(noted[0]["value"]) if noted else None
    while rows := await _page(source, table, after):
        after = [rows[-1][column] for column in table.key]
        await _write_page(target, table, rows, json.dumps(after))
        copied(len(rows))


async def continue_sequences(postgres: Database) -> None:
    """Let new rows of a Postgres database be numbered behind the copied ones. Raises DatabaseUnavailable."""
    for table in tables():
        if table.key != ("seq",):
            continue
        (row,) = await postgres.read(f"SELECT max(seq) AS last FROM {table.name}")  # noqa: S608
        if row["last"] is not None:

            async def body(transaction: Transaction, name: str = table.name, seq: int = row["last"]) -> None:
                await transaction.fetch(CONTINUE_SEQUENCE, name=name, seq=seq)

            await postgres.write(body)


async def content_of(database: Database, table: Table) -> Content:
    """Read a whole table, in pages. Raises DatabaseUnavailable."""
    content = Content(microusd=dict.fromkeys(table.money, 0))
    after: Sequence[object] | None = None
    while rows := await _page(database, table, after):
        after = [rows[-1][column] for column in table.key]
        content.rows += len(rows)
        for row in rows:
            line = json.dumps([row[column] for column in table.columns])
            # A sum of digests does not depend on the order, and the two kinds sort texts differently.
            content.digest += int.from_bytes(hashlib.blake2b(line.encode(), digest_size=16).digest())
            for column in table.money:
                content.microusd[column] += row[column] or 0
    return content


async def _page(database: Database, table: Table, after: Sequence[object] | None) -> Sequence[Row]:
    behind = {} if after is None else {f"after{number}": value for number, value in enumerate(after)}
    return await database.read(table.page(after), most=PAGE_ROWS, **behind)


async def _write_page(target: Database, table: Table, rows: Sequence[Row], cursor: str) -> None:
    at_once = max(1, STATEMENT_VALUES // len(table.columns))

    async def body(transaction: Transaction) -> None:
        for start in range(0, len(rows), at_once):
            part = rows[start : start + at_once]
            values = {
                f"v{number}_{place}": row[column]
                for number, row in enumerate(part)
                for place, column in enumerate(table.columns)
            }
            await transaction.execute(table.insert(len(part)), **values)
        await transaction.execute(PUT_CURSOR, name=f"{_CURSOR}{table.name}", value=cursor)

    await target.write(body)


def _listed(columns: Sequence[str]) -> str:
    return ", ".join(f'"{column}"' for column in columns)
