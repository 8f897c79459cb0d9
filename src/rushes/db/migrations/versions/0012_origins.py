"""Where a job comes from: the request that made it, and the trace (W3C Trace Context) that it belongs to."""

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"


def upgrade() -> None:
    op.add_column("jobs", sa.Column("request_id", sa.Text))
    op.add_column("jobs", sa.Column("traceparent", sa.Text))
