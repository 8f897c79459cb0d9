"""When a job's files go, and which files are still to be removed from storage."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    op.add_column("jobs", sa.Column("files_expire_at", sa.BigInteger))
    op.add_column("jobs", sa.Column("files_removed_at", sa.BigInteger))
    due = "files_expire_at IS NOT NULL AND files_removed_at IS NULL"
    op.create_index("jobs_files_due", "jobs", ["files_expire_at"], sqlite_where=sa.text(due),
                    postgresql_where=sa.text(due))  # fmt: skip
    # A row is written in the transaction that gives the file up, and goes when the file has gone, so a crash between
    # the two leaves no file behind.
    op.create_table("doomed_files", sa.Column("key", sa.Text, primary_key=True))
