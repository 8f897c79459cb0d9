"""What OpenAI's callers are shown of a job: the model as they named it, and the video that theirs was made from."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    op.add_column("jobs", sa.Column("asked_model", sa.Text))
    op.add_column("jobs", sa.Column("source_job_id", sa.Text))
