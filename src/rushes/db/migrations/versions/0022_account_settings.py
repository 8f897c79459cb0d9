"""What accounts and keys may run, what accounts get by default, and how long a job's videos are kept."""

import sqlalchemy as sa
from alembic import op

revision = "0022"
down_revision = "0021"


def upgrade() -> None:
    op.create_table(
        "account_settings",
        sa.Column("account_id", sa.Text, primary_key=True),
        # Empty for the account itself.
        sa.Column("key_id", sa.Text, primary_key=True),
        sa.Column("name", sa.Text, primary_key=True),
        sa.Column("value", sa.Text, nullable=False),
    )
    # Null: as the service keeps them.
    op.add_column("jobs", sa.Column("retention_ms", sa.BigInteger))
