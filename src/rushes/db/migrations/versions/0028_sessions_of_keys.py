"""Finding the sessions of one key, of which the oldest ends when there are too many."""

from alembic import op

revision = "0028"
down_revision = "0027"


def upgrade() -> None:
    op.create_index("console_sessions_by_key", "console_sessions", ["key_id", "created_at"])
