"""One list of all jobs that need an operator, and the last trouble that a job has met."""

import sqlalchemy as sa
from alembic import op

revision = "0015"
down_revision = "0014"


def upgrade() -> None:
    # What keeps a job from going on, while it is retried: an error's code, its message, and when it was last seen.
    op.add_column("jobs", sa.Column("trouble_code", sa.Text))
    op.add_column("jobs", sa.Column("trouble", sa.Text))
    op.add_column("jobs", sa.Column("trouble_at", sa.BigInteger))
    # The list is read oldest first, a page at a time.
    op.create_index("unsettled_jobs_by_time", "unsettled_jobs", ["accepted_at", "job_id"])
    # Jobs without a reservation that an operator can take up again: free ones, and ones whose price is not known.
    op.execute("""
        INSERT INTO unsettled_jobs (job_id, account_id, key_id, provider, model, accepted_at, reserved_microusd,
                                    spent_microusd, since, cause)
        SELECT id, account_id, key_id, provider, model, created_at, 0, 0, completed_at, COALESCE(error_code, state)
        FROM jobs
        WHERE state IN ('failed', 'expired') AND byok = 0 AND reserved_microusd = 0 AND spent_microusd IS NULL
          AND completed_at IS NOT NULL
          AND EXISTS (SELECT 1 FROM attempts WHERE attempts.job_id = jobs.id AND attempts.state = 'failed'
                      AND (error_code = 'submission_unknown'
                           OR (handle IS NOT NULL
                               AND error_code IN ('output_lost', 'output_invalid', 'expired', 'aborted'))))
        ON CONFLICT (job_id) DO NOTHING
    """)
