"""No step takes anything away that a process of the release before still uses, unless it says so by its floor."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from sqlalchemy import create_engine
from sqlalchemy.pool import NullPool

Column = tuple[str, bool, bool]
"""Its type, whether it must hold something, whether the database fills in what is not given."""


class Shape:
    """What statements written for a schema rely on."""

    def __init__(self, path: Path) -> None:
        self.columns: dict[str, dict[str, Column]] = {}
        self.unique: dict[str, set[tuple[object, ...]]] = {}
        self.checks: dict[str, tuple[int, int]] = {}
        with closing(sqlite3.connect(path)) as database:
            tables = "SELECT name, sql FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%'"
            for table, sql in database.execute(tables).fetchall():
                rows = database.execute(f"PRAGMA table_info({table})").fetchall()
                self.columns[table] = {row[1]: (row[2], bool(row[3]), row[4] is not None) for row in rows}
                key = tuple(sorted((row[5], row[1]) for row in rows if row[5]))
                self.unique[table] = {key, *self._unique_indexes(database, table)}
                references = database.execute(f"PRAGMA foreign_key_list({table})").fetchall()
                self.checks[table] = (sql.upper().count("CHECK"), len(references))

    def _unique_indexes(self, database: sqlite3.Connection, table: str) -> set[tuple[object, ...]]:
        found: set[tuple[object, ...]] = set()
        for _, name, is_unique, *_ in database.execute(f"PRAGMA index_list({table})").fetchall():
            if is_unique:
                columns = tuple(row[2] for row in database.execute(f"PRAGMA index_info({name})"))
                [sql] = database.execute("SELECT sql FROM sqlite_master WHERE name = ?", (name,)).fetchone()
                found.add((columns, (sql or "").partition(" WHERE ")[2]))
        return found


def contractions(before: Shape, after: Shape) -> list[str]:
    """What statements that were right before may fail at afterwards."""
    found = [f"table {table} is gone" for table in before.columns.keys() - after.columns.keys()]
    for table, columns in before.columns.items():
        now = after.columns.get(table)
        if now is None:
            continue
        found += [f"column {table}.{name} is gone" for name in columns.keys() - now.keys()]
        for name, (kind, is_needed, is_filled_in) in now.items():
            if name not in columns:
                if is_needed and not is_filled_in:
                    found.append(f"new column {table}.{name} must be given")
                continue
            old_kind, was_needed, was_filled_in = columns[name]
            if kind != old_kind:
                found.append(f"column {table}.{name} has another type")
            if (is_needed and not was_needed) or (is_needed and was_filled_in and not is_filled_in):
                found.append(f"column {table}.{name} must be given now")
        if before.unique[table] != after.unique[table]:
            found.append(f"{table} is unique by something else: inserts are refused, or ON CONFLICT finds nothing")
        if any(new > old for new, old in zip(after.checks[table], before.checks[table], strict=True)):
            found.append(f"{table} has a new check or reference")
    return found


def scripts() -> ScriptDirectory:
    return ScriptDirectory.from_config(config())


def config() -> Config:
    made = Config()
    made.set_main_option("script_location", "rushes.db:migrations")
    return made


def upgrade(path: Path, version: str) -> None:
    engine = create_engine(f"sqlite:///{path}", poolclass=NullPool)
    with engine.begin() as connection:
        given = config()
        given.attributes["connection"] = connection
        command.upgrade(given, version)
    engine.dispose()


def test_a_step_that_takes_something_away_says_who_may_still_run(tmp_path: Path) -> None:
    path = tmp_path / "rushes.db"
    steps = sorted(scripts().walk_revisions(), key=lambda step: step.revision)
    floor = None
    known: list[str] = []
    for step in steps:
        before = Shape(path) if path.exists() else None
        upgrade(path, step.revision)
        known.append(step.revision)
        declared = getattr(step.module, "floor", None)
        if declared is not None:
            assert declared in known, f"{step.revision}: floor {declared} is no version up to this one"
            assert floor is None or declared > floor, f"{step.revision}: floor {declared} is below {floor}"
        # From the first floor on: before it, no release could run beside the next.
        elif floor is not None and before is not None:
            lost = contractions(before, Shape(path))
            assert lost == [], f"{step.revision} declares no floor, but {'; '.join(lost)}"
        floor = declared or floor
    assert floor is not None


BEFORE = """
CREATE TABLE films (id TEXT PRIMARY KEY, title TEXT, seconds INTEGER NOT NULL DEFAULT 0, code TEXT NOT NULL);
CREATE TABLE reels (id TEXT PRIMARY KEY, number INTEGER);
CREATE UNIQUE INDEX films_by_code ON films (code) WHERE seconds > 0;
CREATE INDEX films_by_seconds ON films (seconds);
"""


def found_by(tmp_path: Path, change: str) -> list[str]:
    shapes: list[Shape] = []
    path = tmp_path / "films.db"
    with closing(sqlite3.connect(path)) as database:
        for script in (BEFORE, change):
            database.executescript(script)
            shapes.append(Shape(path))
    return contractions(*shapes)


@pytest.mark.parametrize(
    "change",
    [
        "ALTER TABLE films ADD COLUMN maker TEXT",
        "ALTER TABLE films ADD COLUMN rank INTEGER NOT NULL DEFAULT 1",
        "CREATE TABLE makers (id TEXT PRIMARY KEY, name TEXT NOT NULL UNIQUE)",
        "CREATE INDEX films_by_title ON films (title)",
        "DROP INDEX films_by_seconds",
    ],
)
def test_what_only_adds_takes_nothing_away(tmp_path: Path, change: str) -> None:
    assert found_by(tmp_path, change) == []


REMADE = "DROP TABLE reels; CREATE TABLE reels {};"


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ("DROP TABLE reels", "table reels is gone"),
        ("ALTER TABLE reels RENAME TO rolls", "table reels is gone"),
        ("ALTER TABLE films DROP COLUMN title", "column films.title is gone"),
        ("ALTER TABLE films RENAME COLUMN title TO name", "column films.title is gone"),
        ("DROP INDEX films_by_code", "films is unique by something else"),
        ("CREATE UNIQUE INDEX films_by_name ON films (title)", "films is unique by something else"),
        (REMADE.format("(id TEXT, number INTEGER, PRIMARY KEY (id, number))"), "reels is unique by something else"),
        (REMADE.format("(id TEXT PRIMARY KEY, number INTEGER NOT NULL)"), "column reels.number must be given now"),
        (REMADE.format("(id TEXT PRIMARY KEY, number TEXT)"), "column reels.number has another type"),
        (REMADE.format("(id TEXT PRIMARY KEY, number INTEGER, film TEXT NOT NULL)"), "new column reels.film must be"),
        (REMADE.format("(id TEXT PRIMARY KEY, number INTEGER CHECK (number > 0))"), "new check or reference"),
        (REMADE.format("(id TEXT PRIMARY KEY, number INTEGER REFERENCES films)"), "new check or reference"),
    ],
)
def test_what_takes_something_away_is_found(tmp_path: Path, change: str, said: str) -> None:
    assert said in "; ".join(found_by(tmp_path, change))
