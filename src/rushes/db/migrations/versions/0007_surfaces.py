"""What other surfaces than our own show of a job: the model as it was named there, and the video it was made from."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    op.add_column("jobs", sa.Column("asked_model", sa.Text))
    op.add_column("jobs", sa.Column("source_job_id", sa.Text))
