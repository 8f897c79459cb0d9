"""What processes that run side by side must agree on: who may run on this schema, and which folder has the videos."""

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"
floor = revision


def upgrade() -> None:
    # One row: the oldest version that a process must know to run here, so that a release can run beside the next.
    table = op.create_table("schema_floor", sa.Column("version", sa.Text, primary_key=True))
    op.bulk_insert(table, [{"version": floor}])
    op.create_table("marks", sa.Column("name", sa.Text, primary_key=True), sa.Column("value", sa.Text, nullable=False))
