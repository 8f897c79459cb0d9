"""In which order a lane's jobs are begun: accounts take turns."""

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"

WAITING = "state IN ('queued', 'rerouted') AND lease IS NULL"


def upgrade() -> None:
    # How far a lane has come, and when a job's turn in it is. Jobs from before begin first, in their order.
    op.add_column("jobs", sa.Column("turn", sa.BigInteger, nullable=False, server_default="0"))
    # 1: it may not begin before `available_at`. A claim looks for those whose time has come, and for no others.
    op.add_column("jobs", sa.Column("held", sa.Integer, nullable=False, server_default="0"))
    # After the jobs, as transactions of the release before lock them.
    op.add_column("lanes", sa.Column("turn", sa.BigInteger, nullable=False, server_default="0"))
    op.execute(f"UPDATE jobs SET held = 1 WHERE {WAITING}")  # noqa: S608 - fixed texts only
    op.drop_index("jobs_queued", "jobs")
    # With whose job it is, so that a claim passes over those without room without looking at the jobs themselves; and
    # with what the index is for, since SQLite else reads the row for what the index has said already.
    _create_index(
        "jobs_ready",
        ["lane", "turn", "seq", "account_id", "key_id", "byok", "state", "lease", "held"],
        f"{WAITING} AND held = 0",
    )
    _create_index("jobs_held", ["available_at"], f"{WAITING} AND held = 1")
    # Where an account's next job in a lane comes in; and since when the lane's oldest waits, for metrics.
    _create_index("jobs_by_turn", ["lane", "account_id", "turn", "available_at", "state", "lease"], WAITING)


def _create_index(name: str, columns: list[str], condition: str) -> None:
    where = sa.text(condition)
    op.create_index(name, "jobs", columns, sqlite_where=where, postgresql_where=where)
