"""An operator's request that a job is to end, which its worker finds."""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"


def upgrade() -> None:
    op.add_column("jobs", sa.Column("abort_requested_at", sa.BigInteger))
    aborting = sa.text("abort_requested_at IS NOT NULL AND lease IS NOT NULL")
    op.create_index("jobs_aborting", "jobs", ["worker_id"], sqlite_where=aborting, postgresql_where=aborting)
