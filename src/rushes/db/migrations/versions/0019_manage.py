"""The scope `manage`: keys that could manage keys and webhooks by `generate` keep that."""

from alembic import op

revision = "0019"
down_revision = "0018"


def upgrade() -> None:
    op.execute("UPDATE api_keys SET scopes = scopes || ' manage' WHERE scopes LIKE '%generate%'")
