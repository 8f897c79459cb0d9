"""What keeps a job from being paid twice or by the wrong key: idempotency records, pinned and sealed credentials."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    op.create_table(
        "idempotency",
        sa.Column("account_id", sa.Text, primary_key=True),
        sa.Column("route", sa.Text, primary_key=True),
        sa.Column("key", sa.Text, primary_key=True),
        sa.Column("body_hash", sa.Text, nullable=False),
        sa.Column("answer", sa.Text, nullable=False),
        sa.Column("created_at", sa.BigInteger, nullable=False),
    )
    op.create_index("idempotency_by_time", "idempotency", ["created_at"])
    # Which of the provider's APIs runs the job, and on whose key: pinned when it is accepted.
    # Jobs that an operator has taken up again are claimed like those that a dead worker left.
    unowned = "lease IS NULL AND state IN ('submitting', 'running', 'storing', 'recovering')"
    op.drop_index("jobs_unowned", "jobs")
    op.create_index("jobs_unowned", "jobs", ["seq"], sqlite_where=sa.text(unowned), postgresql_where=sa.text(unowned))
    op.add_column("jobs", sa.Column("surface", sa.Text))
    op.add_column("jobs", sa.Column("credential", sa.Text))
    op.add_column("jobs", sa.Column("byok", sa.Integer, nullable=False, server_default="0"))
    # A caller's own provider key, sealed with a key that is not in the database; its row goes when the job ends.
    op.create_table(
        "byok_secrets",
        sa.Column("job_id", sa.Text, primary_key=True),
        sa.Column("sealed", sa.Text, nullable=False),
    )
