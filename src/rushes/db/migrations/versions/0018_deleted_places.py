"""Where deleted jobs stood in lists, so that a list by id goes on from there."""

import sqlalchemy as sa
from alembic import op

revision = "0018"
down_revision = "0017"


def upgrade() -> None:
    op.create_table(
        "deleted_jobs",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("account_id", sa.Text, nullable=False),
        sa.Column("seq", sa.BigInteger, nullable=False),
        sa.Column("deleted_at", sa.BigInteger, nullable=False),
    )
    # They are kept for a month.
    op.create_index("deleted_jobs_by_time", "deleted_jobs", ["deleted_at"])
