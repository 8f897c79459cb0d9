"""Limits on what requests with one user tag may ask for and spend, and a bound on the tags that are kept apart."""

import sqlalchemy as sa
from alembic import op

revision = "0026"
down_revision = "0025"


def upgrade() -> None:
    op.create_table(
        "user_windows",
        sa.Column("account_id", sa.Text, primary_key=True),
        sa.Column("key_id", sa.Text, primary_key=True),
        sa.Column("minute", sa.BigInteger, primary_key=True),
        # Empty for the number of tags.
        sa.Column("user_hash", sa.Text, primary_key=True),
        sa.Column("taken", sa.BigInteger, nullable=False),
    )
    op.create_table(
        "user_balances",
        sa.Column("account_id", sa.Text, primary_key=True),
        sa.Column("key_id", sa.Text, primary_key=True),
        sa.Column("day", sa.BigInteger, primary_key=True),
        sa.Column("user_tag", sa.Text, primary_key=True),
        sa.Column("reserved_microusd", sa.BigInteger, nullable=False),
        sa.Column("spent_microusd", sa.BigInteger, nullable=False),
    )
    op.create_index("user_balances_by_day", "user_balances", ["day"])
    op.create_table(
        "user_tag_counts",
        sa.Column("account_id", sa.Text, primary_key=True),
        sa.Column("day", sa.BigInteger, primary_key=True),
        sa.Column("tags", sa.BigInteger, nullable=False),
    )
