"""Which one-time upload links were used, until they expire."""

import sqlalchemy as sa
from alembic import op

revision = "0021"
down_revision = "0020"


def upgrade() -> None:
    op.create_table(
        "used_upload_links",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("expires_at", sa.BigInteger, nullable=False),
    )
    op.create_index("used_upload_links_by_time", "used_upload_links", ["expires_at"])
