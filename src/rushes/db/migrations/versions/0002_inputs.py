"""Input files: what callers gave us to work from, which jobs need them, and how much room each account takes."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    op.create_table(
        "inputs",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("account_id", sa.Text, nullable=False),
        sa.Column("key", sa.Text, nullable=False, unique=True),
        sa.Column("sha256", sa.Text),  # null: the file is arriving or leaving, and may not be used
        sa.Column("size_bytes", sa.BigInteger, nullable=False, server_default="0"),
        sa.Column("content_type", sa.Text),
        sa.Column("width", sa.Integer),
        sa.Column("height", sa.Integer),
        sa.Column("duration_s", sa.Float),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("keep_until", sa.BigInteger, nullable=False),  # also without a job that needs it
        sa.UniqueConstraint("account_id", "sha256"),
    )
    op.create_index("inputs_by_keep_until", "inputs", ["keep_until"])
    op.create_table(
        "job_inputs",
        sa.Column("job_id", sa.Text, primary_key=True),
        sa.Column("key", sa.Text, primary_key=True),
    )
    op.create_index("job_inputs_by_key", "job_inputs", ["key"])
    op.create_table(
        "input_totals",
        sa.Column("account_id", sa.Text, primary_key=True),
        sa.Column("size_bytes", sa.BigInteger, nullable=False),
    )
