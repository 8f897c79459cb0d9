"""Console sessions and one-time sign-in links."""

import sqlalchemy as sa
from alembic import op

revision = "0016"
down_revision = "0015"


def upgrade() -> None:
    op.create_table(
        "console_sessions",
        sa.Column("hash", sa.Text, primary_key=True),
        # Null is for sessions that are opened without a key.
        sa.Column("key_id", sa.Text),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("expires_at", sa.BigInteger, nullable=False),
    )
    op.create_index("console_sessions_by_expiry", "console_sessions", ["expires_at"])
    op.create_table(
        "sign_in_links",
        sa.Column("hash", sa.Text, primary_key=True),
        sa.Column("key_id", sa.Text, nullable=False),
        sa.Column("expires_at", sa.BigInteger, nullable=False),
    )
    op.create_index("sign_in_links_by_expiry", "sign_in_links", ["expires_at"])
