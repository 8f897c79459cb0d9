"""What keys may do, who is shut out for a while, and the counters of limits."""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"


def upgrade() -> None:
    op.add_column("accounts", sa.Column("disabled_at", sa.BigInteger))
    op.create_index("accounts_by_time", "accounts", ["created_at", "id"])
    # Words separated by spaces. Keys that were made before there were scopes go on doing what they did.
    op.add_column("api_keys", sa.Column("scopes", sa.Text, nullable=False, server_default="read generate"))
    op.add_column("api_keys", sa.Column("disabled_at", sa.BigInteger))
    # 1: this key came from the environment, and gives way to the next one that does.
    op.add_column("api_keys", sa.Column("bootstrap", sa.Integer, nullable=False, server_default="0"))
    op.drop_index("api_keys_by_account", "api_keys")
    op.create_index("api_keys_by_account", "api_keys", ["account_id", "created_at", "id"])
    op.create_index("limits_by_name", "limits", ["name"])
    # How much of the running window is taken, by requests made and by leases that processes hold.
    op.create_table(
        "rate_windows",
        sa.Column("account_id", sa.Text, primary_key=True),
        sa.Column("key_id", sa.Text, primary_key=True),
        sa.Column("ends_at", sa.BigInteger, nullable=False),
        sa.Column("taken", sa.BigInteger, nullable=False),
    )
    # It stays small: a job is in one of these only while it waits, or is at its provider.
    pending = sa.text("status = 'pending'")
    op.create_index("jobs_pending_by_key", "jobs", ["key_id"], sqlite_where=pending, postgresql_where=pending)
    in_flight = sa.text("in_slot = 1 AND byok = 0")
    op.create_index(
        "jobs_in_flight", "jobs", ["account_id", "key_id"], sqlite_where=in_flight, postgresql_where=in_flight
    )
    # With whose job it is, so that a claim passes over those without room without looking at the jobs themselves.
    waiting = sa.text("state IN ('queued', 'rerouted') AND lease IS NULL")
    op.drop_index("jobs_queued", "jobs")
    op.create_index(
        "jobs_queued",
        "jobs",
        ["lane", "available_at", "seq", "account_id", "key_id", "byok"],
        sqlite_where=waiting,
        postgresql_where=waiting,
    )
    # What waits for an operator, and not all that was ever submitted.
    unsettled = sa.text("state = 'failed' AND error_code IN ('submission_unknown', 'output_lost')")
    op.create_index("attempts_unsettled", "attempts", ["job_id"], sqlite_where=unsettled, postgresql_where=unsettled)
    # One row, to hold while jobs in flight are counted: claims of several workers would else count each other's twice.
    op.create_table("gates", sa.Column("name", sa.Text, primary_key=True))
