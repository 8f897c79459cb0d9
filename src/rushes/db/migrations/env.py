"""Alembic's entry: runs the steps on the connection that `rushes.db.migrate` hands over."""

from typing import Any

import sqlalchemy as sa
from alembic import context

RAISE_FLOOR = sa.text("UPDATE schema_floor SET version = :floor WHERE version < :floor")


def raise_floor(ctx: Any, step: Any, heads: Any, run_args: Any) -> None:
    """Keep what a step declares: the oldest version that a process must know to run on the schema from then on."""
    floor = getattr(step.up_revision.module, "floor", None)
    if floor is not None:
        ctx.connection.execute(RAISE_FLOOR, {"floor": floor})


context.configure(
    connection=context.config.attributes["connection"],
    transaction_per_migration=False,
    on_version_apply=raise_floor,
)

with context.begin_transaction():
    context.run_migrations()
