"""Values that the first process of a service sets and all others must find: by them processes see that they belong
together.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

from rushes.db.database import Database, Transaction

SET_MARK = "INSERT INTO marks (name, value) VALUES (:name, :value) ON CONFLICT (name) DO NOTHING"

GET_MARK = "SELECT value FROM marks WHERE name = :name"

TOUCH_MARK = """
INSERT INTO marks (name, value) VALUES (:name, CAST(:now AS TEXT))
ON CONFLICT (name) DO UPDATE SET value = excluded.value
"""

TOUCHED_MARKS = "SELECT name, value, :now AS now FROM marks WHERE name LIKE :pattern"


async def agreed_mark(database: Database, name: str, mine: str) -> str:
    """The service's mark of this name, which is `mine` if no process had set it. Raises DatabaseUnavailable."""

    async def body(transaction: Transaction) -> str:
        await transaction.execute(SET_MARK, name=name, value=mine)
        # In a statement of its own, which sees what another process has just committed.
        return str((await transaction.fetch(GET_MARK, name=name))[0]["value"])

    return await database.write(body)


async def touch_marks(database: Database, names: Collection[str]) -> None:
    """Note the time in these marks. Raises DatabaseUnavailable."""

    async def body(transaction: Transaction) -> None:
        for name in names:
            await transaction.execute(TOUCH_MARK, name=name)

    await database.write(body)


async def touched_marks(database: Database, prefix: str) -> Mapping[str, float]:
    """The seconds since each mark was touched whose name begins so, without the prefix. Raises DatabaseUnavailable."""
    rows = await database.read(TOUCHED_MARKS, pattern=f"{prefix}%")
    return {row["name"].removeprefix(prefix): (row["now"] - int(row["value"])) / 1000 for row in rows}
