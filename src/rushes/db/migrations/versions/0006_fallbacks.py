"""What may run a job instead of its model, and jobs that wait for a fallback's lane beside those never begun."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    # JSON; null for the usual job that has none.
    op.add_column("jobs", sa.Column("fallbacks", sa.Text))
    waiting = sa.text("state IN ('queued', 'rerouted') AND lease IS NULL")
    op.drop_index("jobs_queued", "jobs")
    op.create_index(
        "jobs_queued", "jobs", ["lane", "available_at", "seq"], sqlite_where=waiting, postgresql_where=waiting
    )
    op.drop_index("jobs_overdue", "jobs")
    op.create_index("jobs_overdue", "jobs", ["deadline_at"], sqlite_where=waiting, postgresql_where=waiting)
