"""The caller's own tag and pairs of a job, and usage by that tag."""

import sqlalchemy as sa
from alembic import op

revision = "0017"
down_revision = "0016"


def upgrade() -> None:
    # `user` is a word of SQL.
    op.add_column("jobs", sa.Column("user_tag", sa.Text))
    op.add_column("jobs", sa.Column("metadata", sa.Text))
    op.create_index(
        "jobs_by_account_user",
        "jobs",
        ["account_id", "user_tag", "seq"],
        sqlite_where=sa.text("user_tag IS NOT NULL"),
        postgresql_where=sa.text("user_tag IS NOT NULL"),
    )
    op.create_table(
        "user_usage_rollups",
        sa.Column("account_id", sa.Text, primary_key=True),
        sa.Column("day", sa.BigInteger, primary_key=True),
        sa.Column("user_tag", sa.Text, primary_key=True),
        sa.Column("jobs", sa.BigInteger, nullable=False),
        sa.Column("completed", sa.BigInteger, nullable=False),
        sa.Column("failed", sa.BigInteger, nullable=False),
        sa.Column("unpriced", sa.BigInteger, nullable=False),
        sa.Column("cost_microusd", sa.BigInteger, nullable=False),
    )
