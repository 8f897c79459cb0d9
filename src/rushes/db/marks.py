"""Values that the first process of a service sets and all others must find: by them processes see that they belong
together.
"""

from __future__ import annotations

from rushes.db.database import Database, Transaction

SET_MARK = "INSERT INTO marks (name, value) VALUES (:name, :value) ON CONFLICT (name) DO NOTHING"

GET_MARK = "SELECT value FROM marks WHERE name = :name"


async def agreed_mark(database: Database, name: str, mine: str) -> str:
    """The service's mark of this name, which is `mine` if no process had set it. Raises DatabaseUnavailable."""

    async def body(transaction: Transaction) -> str:
        await transaction.execute(SET_MARK, name=name, value=mine)
        # In a statement of its own, which sees what another process has just committed.
        return str((await transaction.fetch(GET_MARK, name=name))[0]["value"])

    return await database.write(body)
