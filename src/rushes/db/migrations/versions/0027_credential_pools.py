"""The name of the credential that a job was submitted with; limits of credentials, and usage by them."""

import sqlalchemy as sa
from alembic import op

revision = "0027"
down_revision = "0026"


def upgrade() -> None:
    op.add_column("jobs", sa.Column("credential_name", sa.Text))
    in_flight = sa.text("in_slot = 1 AND credential_name IS NOT NULL")
    op.create_index(
        "jobs_by_credential",
        "jobs",
        ["served_provider", "credential_name", "state", "id"],
        sqlite_where=in_flight,
        postgresql_where=in_flight,
    )
    op.create_table(
        "credential_limits",
        sa.Column("provider", sa.Text, primary_key=True),
        sa.Column("credential", sa.Text, primary_key=True),
        sa.Column("next_at", sa.BigInteger, nullable=False),
    )
    op.create_table(
        "credential_usage_rollups",
        sa.Column("day", sa.BigInteger, primary_key=True),
        sa.Column("provider", sa.Text, primary_key=True),
        sa.Column("credential", sa.Text, primary_key=True),
        sa.Column("completed", sa.BigInteger, nullable=False),
        sa.Column("failed", sa.BigInteger, nullable=False),
        sa.Column("unpriced", sa.BigInteger, nullable=False),
        sa.Column("cost_microusd", sa.BigInteger, nullable=False),
    )
