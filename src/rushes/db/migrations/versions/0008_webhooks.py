"""Webhook endpoints, the changes for which messages are due, and how each message fares."""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"

SEQUENCE = sa.BigInteger().with_variant(sa.Integer, "sqlite")


def _partial_index(name: str, table: str, columns: list[str], condition: str) -> None:
    where = sa.text(condition)
    op.create_index(name, table, columns, sqlite_where=where, postgresql_where=where)


def upgrade() -> None:
    # The webhook of one job: JSON, its URL sealed; null for most jobs.
    op.add_column("jobs", sa.Column("listener", sa.Text))
    # 1 while the messages of a change are still to be written; set only where there is a webhook.
    op.add_column("job_events", sa.Column("unannounced", sa.Integer))
    _partial_index("job_events_unannounced", "job_events", ["seq"], "unannounced = 1")
    op.create_table(
        "webhook_endpoints",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("account_id", sa.Text, nullable=False),
        sa.Column("url", sa.Text, nullable=False),
        sa.Column("events", sa.Text),  # JSON list; null means all
        sa.Column("description", sa.Text),
        sa.Column("enabled", sa.Integer, nullable=False),
        sa.Column("disabled_reason", sa.Text),
        sa.Column("sealed", sa.Text, nullable=False),
        # The secret before the last rotation, which signs too until its time is over.
        sa.Column("old_sealed", sa.Text),
        sa.Column("old_until", sa.BigInteger),
        sa.Column("consecutive_failures", sa.Integer, nullable=False, server_default="0"),
        sa.Column("last_error", sa.Text),
        sa.Column("last_error_at", sa.BigInteger),
        sa.Column("created_at", sa.BigInteger, nullable=False),
    )
    op.create_index("webhook_endpoints_by_account", "webhook_endpoints", ["account_id", "created_at", "id"])
    _partial_index("webhook_endpoints_enabled", "webhook_endpoints", ["account_id"], "enabled = 1")
    # One an account, for URLs that are given with a job.
    op.create_table(
        "webhook_secrets",
        sa.Column("account_id", sa.Text, primary_key=True),
        sa.Column("sealed", sa.Text, nullable=False),
        sa.Column("old_sealed", sa.Text),
        sa.Column("old_until", sa.BigInteger),
        sa.Column("created_at", sa.BigInteger, nullable=False),
    )
    op.create_table(
        "webhook_deliveries",
        sa.Column("seq", SEQUENCE, primary_key=True, autoincrement=True),
        sa.Column("id", sa.Text, nullable=False, unique=True),
        sa.Column("account_id", sa.Text, nullable=False),
        sa.Column("endpoint_id", sa.Text),  # null: the URL that was given with the job
        sa.Column("sealed_url", sa.Text),
        sa.Column("shown_url", sa.Text, nullable=False),
        sa.Column("lane", sa.Text, nullable=False),
        sa.Column("job_id", sa.Text, nullable=False),
        sa.Column("type", sa.Text, nullable=False),
        sa.Column("event_at", sa.BigInteger, nullable=False),
        sa.Column("snapshot", sa.Text),  # the job's last row as JSON, if it was deleted before this was delivered
        sa.Column("state", sa.Text, nullable=False),  # pending | delivered | dead
        sa.Column("attempts", sa.Integer, nullable=False, server_default="0"),
        sa.Column("next_attempt_at", sa.BigInteger, nullable=False),  # while it is leased: when the lease runs out
        sa.Column("lease", sa.Text),
        sa.Column("last_attempt_at", sa.BigInteger),
        sa.Column("last_status", sa.Integer),
        sa.Column("last_error", sa.Text),
        sa.Column("last_duration_ms", sa.Integer),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("settled_at", sa.BigInteger),
    )
    _partial_index("webhook_deliveries_due", "webhook_deliveries", ["lane", "next_attempt_at", "seq"],
                   "state = 'pending'")  # fmt: skip
    _partial_index("webhook_deliveries_leased", "webhook_deliveries", ["lease"], "lease IS NOT NULL")
    _partial_index("webhook_deliveries_pending_job", "webhook_deliveries", ["job_id"], "state = 'pending'")
    _partial_index("webhook_deliveries_settled", "webhook_deliveries", ["settled_at"], "settled_at IS NOT NULL")
    # One index a listing, as for jobs.
    op.create_index("webhook_deliveries_by_account", "webhook_deliveries", ["account_id", "seq"])
    op.create_index("webhook_deliveries_by_state", "webhook_deliveries", ["account_id", "state", "seq"])
    op.create_index("webhook_deliveries_by_endpoint", "webhook_deliveries", ["endpoint_id", "seq"])
    op.create_index("webhook_deliveries_by_endpoint_state", "webhook_deliveries", ["endpoint_id", "state", "seq"])
    # One row for each account and receiver with messages to come, so that a hung receiver's are passed over as one.
    op.create_table(
        "webhook_lanes",
        sa.Column("lane", sa.Text, primary_key=True),
        sa.Column("account_id", sa.Text, nullable=False),
        sa.Column("next_at", sa.BigInteger, nullable=False),
    )
    op.create_index("webhook_lanes_due", "webhook_lanes", ["next_at"])
