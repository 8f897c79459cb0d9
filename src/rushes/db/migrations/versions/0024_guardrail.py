"""What the guardrail has answered, blocked and rewritten."""

import sqlalchemy as sa
from alembic import op

revision = "0024"
down_revision = "0023"


def upgrade() -> None:
    op.create_table(
        "guardrail_answers",
        sa.Column("account_id", sa.Text, primary_key=True),
        sa.Column("route", sa.Text, primary_key=True),
        sa.Column("key", sa.Text, primary_key=True),
        sa.Column("body_hash", sa.Text, nullable=False),
        # Null while the question is asked.
        sa.Column("action", sa.Text),
        sa.Column("reason", sa.Text),
        sa.Column("prompt", sa.Text),
        sa.Column("created_at", sa.BigInteger, nullable=False),
    )
    op.create_index("guardrail_answers_by_time", "guardrail_answers", ["created_at"])
    op.create_table(
        "guardrail_records",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("account_id", sa.Text, nullable=False),
        sa.Column("tenant", sa.Text, nullable=False),
        sa.Column("key_id", sa.Text, nullable=False),
        sa.Column("request_id", sa.Text),
        sa.Column("job_id", sa.Text),
        sa.Column("action", sa.Text, nullable=False),
        sa.Column("reason", sa.Text),
        sa.Column("model", sa.Text, nullable=False),
        sa.Column("user_tag", sa.Text),
        sa.Column("prompt", sa.Text),
    )
    op.create_index("guardrail_records_by_time", "guardrail_records", ["created_at", "id"])
    op.create_index("guardrail_records_by_account", "guardrail_records", ["account_id", "created_at", "id"])
    op.create_index("guardrail_records_by_job", "guardrail_records", ["job_id"])
    op.create_table(
        "guardrail_counts",
        sa.Column("account_id", sa.Text, primary_key=True),
        sa.Column("day", sa.BigInteger, primary_key=True),
        sa.Column("blocked", sa.BigInteger, nullable=False),
        sa.Column("rewritten", sa.BigInteger, nullable=False),
    )
