"""Accounts, keys, jobs with their attempts and events, and the counters that spare us counting.

Times are milliseconds since 1970 UTC. JSON is text that carries its own version.
"""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None

SEQUENCE = sa.BigInteger().with_variant(sa.Integer, "sqlite")


def upgrade() -> None:
    op.create_table(
        "accounts",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("name", sa.Text, nullable=False, unique=True),
        sa.Column("created_at", sa.BigInteger, nullable=False),
    )
    op.create_table(
        "api_keys",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("account_id", sa.Text, sa.ForeignKey("accounts.id"), nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("mode", sa.Text, nullable=False),  # live | test
        sa.Column("hint", sa.Text, nullable=False),  # the last four characters, to tell keys apart
        sa.Column("hash", sa.Text, nullable=False, unique=True),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("expires_at", sa.BigInteger),
        sa.Column("revoked_at", sa.BigInteger),
    )
    op.create_index("api_keys_by_account", "api_keys", ["account_id"])
    op.create_table(
        "jobs",
        sa.Column("seq", SEQUENCE, primary_key=True, autoincrement=True),
        sa.Column("id", sa.Text, nullable=False, unique=True),
        sa.Column("account_id", sa.Text, nullable=False),
        sa.Column("key_id", sa.Text, nullable=False),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("status", sa.Text, nullable=False),  # the state as callers see it, kept for listing
        # What was asked for, and what really runs: pinned when the job is accepted.
        sa.Column("provider", sa.Text, nullable=False),
        sa.Column("model", sa.Text, nullable=False),
        sa.Column("served_provider", sa.Text, nullable=False),
        sa.Column("served_model", sa.Text, nullable=False),
        sa.Column("request", sa.Text, nullable=False),
        sa.Column("response_format", sa.Text, nullable=False),
        sa.Column("cost_usd", sa.Text),  # a decimal; null means unknown
        sa.Column("usual_s", sa.Float, nullable=False),
        sa.Column("warnings", sa.Text, nullable=False),
        # The queue.
        sa.Column("lane", sa.Text, nullable=False),
        sa.Column("in_slot", sa.Integer, nullable=False, server_default="0"),
        sa.Column("available_at", sa.BigInteger, nullable=False),
        sa.Column("deadline_at", sa.BigInteger, nullable=False),
        sa.Column("lease", sa.Text),
        sa.Column("worker_id", sa.Text),
        # How it goes.
        sa.Column("progress", sa.Integer),  # as last reported by the provider; null where none reports
        sa.Column("provider_video_id", sa.Text),
        sa.Column("error_code", sa.Text),
        sa.Column("error", sa.Text),
        sa.Column("provider_error", sa.Text),
        sa.Column("outputs", sa.Text),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("started_at", sa.BigInteger),
        sa.Column("completed_at", sa.BigInteger),
        sa.Column("cancelled_at", sa.BigInteger),
    )
    # One index a listing: a page by any one filter reads just its rows, however many are stored.
    op.create_index("jobs_by_account", "jobs", ["account_id", "seq"])
    op.create_index("jobs_by_account_status", "jobs", ["account_id", "status", "seq"])
    op.create_index("jobs_by_account_model", "jobs", ["account_id", "model", "seq"])
    op.create_index("jobs_by_account_provider", "jobs", ["account_id", "provider", "seq"])
    op.create_index("jobs_by_account_time", "jobs", ["account_id", "created_at"])
    queued = sa.text("state = 'queued' AND lease IS NULL")
    # By time, so that neither a claim nor a look at when the next is due walks over jobs that are held back.
    op.create_index(
        "jobs_queued", "jobs", ["lane", "available_at", "seq"], sqlite_where=queued, postgresql_where=queued
    )
    op.create_index("jobs_overdue", "jobs", ["deadline_at"], sqlite_where=queued, postgresql_where=queued)
    unowned = "lease IS NULL AND state IN ('submitting', 'running', 'storing')"
    op.create_index("jobs_unowned", "jobs", ["seq"], sqlite_where=sa.text(unowned), postgresql_where=sa.text(unowned))
    op.create_index("jobs_leased", "jobs", ["worker_id"], sqlite_where=sa.text("worker_id IS NOT NULL"),
                    postgresql_where=sa.text("worker_id IS NOT NULL"))  # fmt: skip
    op.create_table(
        "attempts",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("job_id", sa.Text, sa.ForeignKey("jobs.id"), nullable=False),
        sa.Column("part", sa.Integer, nullable=False),  # which provider call of the job: 0, 1, ...
        sa.Column("n", sa.Integer, nullable=False),  # videos asked for in this call
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("handle", sa.Text),
        sa.Column("outputs", sa.Text),
        sa.Column("error_code", sa.Text),
        sa.Column("error", sa.Text),
        sa.Column("provider_error", sa.Text),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.UniqueConstraint("job_id", "part"),
    )
    op.create_table(
        "job_events",
        sa.Column("seq", SEQUENCE, primary_key=True, autoincrement=True),
        sa.Column("job_id", sa.Text, nullable=False),
        sa.Column("at", sa.BigInteger, nullable=False),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("cause", sa.Text, nullable=False),
    )
    op.create_index("job_events_by_job", "job_events", ["job_id", "seq"])
    op.create_table(
        "job_counts",
        sa.Column("account_id", sa.Text, primary_key=True),
        sa.Column("status", sa.Text, primary_key=True),
        sa.Column("jobs", sa.BigInteger, nullable=False),
    )
    op.create_table(
        "lanes",
        sa.Column("lane", sa.Text, primary_key=True),
        sa.Column("capacity", sa.Integer),  # null: no limit
        sa.Column("ready", sa.BigInteger, nullable=False),  # queued and not claimed
        sa.Column("in_use", sa.BigInteger, nullable=False),
    )
    op.create_table(
        "workers",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("alive_until", sa.BigInteger, nullable=False),
    )
