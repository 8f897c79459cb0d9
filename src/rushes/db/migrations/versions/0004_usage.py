"""What each account has used, summed per day and model; the jobs already there are summed once."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"

COUNT_EXISTING = """
INSERT INTO usage_rollups (account_id, day, provider, model, jobs, completed, failed, unpriced, cost_microusd)
SELECT account_id, created_at / 86400000, provider, model, COUNT(*),
       SUM(CASE WHEN status = 'completed' THEN 1 ELSE 0 END),
       SUM(CASE WHEN status = 'failed' THEN 1 ELSE 0 END),
       SUM(CASE WHEN status = 'completed' AND cost_usd IS NULL THEN 1 ELSE 0 END),
       SUM(CASE WHEN status = 'completed' AND cost_usd IS NOT NULL
                THEN CAST(ROUND(CAST(cost_usd AS NUMERIC) * 1000000) AS BIGINT) ELSE 0 END)
FROM jobs GROUP BY account_id, created_at / 86400000, provider, model
"""


def upgrade() -> None:
    op.create_table(
        "usage_rollups",
        sa.Column("account_id", sa.Text, primary_key=True),
        sa.Column("day", sa.Integer, primary_key=True),  # whole days since 1970 UTC, of the job's acceptance
        sa.Column("provider", sa.Text, primary_key=True),
        sa.Column("model", sa.Text, primary_key=True),
        sa.Column("jobs", sa.BigInteger, nullable=False),
        sa.Column("completed", sa.BigInteger, nullable=False),
        sa.Column("failed", sa.BigInteger, nullable=False),
        sa.Column("unpriced", sa.BigInteger, nullable=False),  # completed, at a price that is not known
        sa.Column("cost_microusd", sa.BigInteger, nullable=False),  # millionths of a dollar: sums stay exact
    )
    op.execute(COUNT_EXISTING)
