"""The audit log, and the ends of its chain."""

import sqlalchemy as sa
from alembic import op

revision = "0023"
down_revision = "0022"


def upgrade() -> None:
    op.create_table(
        "audit_log",
        # Without gaps: the writer that holds the head gives the next number.
        sa.Column("seq", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("at", sa.BigInteger, nullable=False),
        sa.Column("action", sa.Text, nullable=False),
        sa.Column("actor_kind", sa.Text, nullable=False),
        sa.Column("actor_id", sa.Text, nullable=False),
        sa.Column("actor_name", sa.Text),
        sa.Column("actor_account_id", sa.Text),
        sa.Column("account_id", sa.Text),
        sa.Column("subject_id", sa.Text, nullable=False),
        sa.Column("before_json", sa.Text),
        sa.Column("after_json", sa.Text),
        sa.Column("request_id", sa.Text),
        sa.Column("address", sa.Text),
        sa.Column("is_test", sa.Integer, nullable=False),
        sa.Column("hash", sa.Text, nullable=False),
    )
    op.create_index("audit_log_by_account", "audit_log", ["account_id", "seq"])
    op.create_index("audit_log_by_actor", "audit_log", ["actor_id", "seq"])
    op.create_index("audit_log_by_subject", "audit_log", ["subject_id", "seq"])
    op.create_index("audit_log_by_time", "audit_log", ["at", "seq"])
    # `head`: the newest entry, which writers lock in turn. `checkpoint`: the newest that retention has cut.
    op.create_table(
        "audit_head",
        sa.Column("name", sa.Text, primary_key=True),
        sa.Column("seq", sa.BigInteger, nullable=False),
        sa.Column("at", sa.BigInteger, nullable=False),
        sa.Column("hash", sa.Text, nullable=False),
    )
