"""Test mode apart from live mode: jobs, webhooks and sums say which tenant they belong to.

A tenant's name is its account's id, with `/test` behind it in test mode. A job is of the mode of the key that made it,
and live if that key is gone. Webhooks, signing secrets and uploads from before were made by no key that is known, so
they are live.
"""

import json

import sqlalchemy as sa
from alembic import op

revision = "0020"
down_revision = "0019"
# An older process would write the jobs of test keys as live ones, and count the moves of test jobs as live.
floor = revision

DAY_MS = 86_400_000
SUMS = "jobs, completed, failed, unpriced, cost_microusd"

OF_TEST_KEYS = "EXISTS (SELECT 1 FROM api_keys WHERE api_keys.id = jobs.key_id AND api_keys.mode = 'test')"

IS_TEST = "jobs.tenant <> jobs.account_id"

DELIVERIES_OF_TEST_JOBS = f"""
UPDATE webhook_deliveries SET tenant = account_id || '/test'
WHERE endpoint_id IS NULL AND EXISTS (SELECT 1 FROM jobs WHERE jobs.id = webhook_deliveries.job_id AND {IS_TEST})
"""  # noqa: S608 - fixed texts only

COUNT_TEST_JOBS = f"""
INSERT INTO job_counts (account_id, status, jobs)
SELECT tenant, status, COUNT(*) FROM jobs WHERE {IS_TEST} GROUP BY tenant, status
"""  # noqa: S608 - fixed texts only

MOVE_ANSWER = f"""
UPDATE idempotency SET account_id = account_id || '/test'
WHERE account_id = :account_id AND route = :route AND key = :key
  AND EXISTS (SELECT 1 FROM jobs WHERE id = :job_id AND {IS_TEST})
"""  # noqa: S608 - fixed texts only

TEST_SUMS = f"""
SELECT tenant, account_id, created_at / {DAY_MS} AS day, {{columns}}, COUNT(*) AS jobs,
       SUM(CASE WHEN status = 'completed' THEN 1 ELSE 0 END) AS completed,
       SUM(CASE WHEN status = 'failed' THEN 1 ELSE 0 END) AS failed, 0 AS unpriced, 0 AS cost_microusd
FROM jobs WHERE {IS_TEST} AND {{condition}} GROUP BY tenant, account_id, created_at / {DAY_MS}, {{columns}}
"""  # noqa: S608 - fixed texts only


def upgrade() -> None:
    for table in ("jobs", "webhook_endpoints", "webhook_deliveries", "deleted_jobs"):
        op.add_column(table, sa.Column("tenant", sa.Text, nullable=False, server_default=""))
        op.execute(f"UPDATE {table} SET tenant = account_id")  # noqa: S608 - fixed texts only
    op.execute(f"UPDATE jobs SET tenant = account_id || '/test' WHERE {OF_TEST_KEYS}")  # noqa: S608 - likewise
    # A message to an endpoint is its endpoint's, and all endpoints from before are live.
    op.execute(DELIVERIES_OF_TEST_JOBS)
    _move_counts()
    _move_sums("usage_rollups", ("provider", "model"), "1 = 1")
    _move_sums("user_usage_rollups", ("user_tag",), "user_tag IS NOT NULL")
    _move_answers()
    _replace_indexes()


def _move_counts() -> None:
    op.execute(COUNT_TEST_JOBS)
    op.execute(
        "UPDATE job_counts SET jobs = jobs - COALESCE((SELECT test.jobs FROM job_counts AS test "
        "WHERE test.account_id = job_counts.account_id || '/test' AND test.status = job_counts.status), 0)"
    )


def _move_sums(table: str, columns: tuple[str, ...], condition: str) -> None:
    """Take the sums of the test jobs that are there from those of their accounts. Test jobs cost nothing."""
    connection = op.get_bind()
    names = ", ".join(columns)
    place = " AND ".join(f"{column} = :{column}" for column in ("day", *columns))
    for row in connection.execute(sa.text(TEST_SUMS.format(columns=names, condition=condition))).mappings().all():
        values = {**row, **{name: int(row[name]) for name in ("day", *SUMS.split(", "))}}
        connection.execute(
            sa.text(
                f"INSERT INTO {table} (account_id, day, {names}, {SUMS}) VALUES (:tenant, :day, "  # noqa: S608 - likewise
                f"{', '.join(f':{name}' for name in (*columns, *SUMS.split(', ')))})"
            ),
            {name: value for name, value in values.items() if name != "account_id"},
        )
        connection.execute(
            sa.text(
                f"UPDATE {table} SET jobs = jobs - :jobs, completed = completed - :completed, failed = failed - :failed "  # noqa: S608, E501 - likewise
                f"WHERE account_id = :account_id AND {place}"
            ),
            {name: values[name] for name in ("jobs", "completed", "failed", "account_id", "day", *columns)},
        )
    empty = "jobs = 0 AND completed = 0 AND failed = 0 AND cost_microusd = 0"
    op.execute(f"DELETE FROM {table} WHERE {empty}")  # noqa: S608 - fixed texts only


def _move_answers() -> None:
    """An answer kept for a repetition is of the tenant of the job that it names. They are those of one day."""
    connection = op.get_bind()
    for row in connection.execute(sa.text("SELECT account_id, route, key, answer FROM idempotency")).mappings().all():
        answer = json.loads(row["answer"])
        job_id = answer.get("job_id", answer.get("id")) if isinstance(answer, dict) else None
        connection.execute(
            sa.text(MOVE_ANSWER),
            {"account_id": row["account_id"], "route": row["route"], "key": row["key"], "job_id": job_id},
        )


def _replace_indexes() -> None:
    # `jobs_by_account` stays for an operator's lists.
    op.create_index("jobs_by_tenant", "jobs", ["tenant", "seq"])
    for column in ("status", "model", "provider"):
        op.create_index(f"jobs_by_tenant_{column}", "jobs", ["tenant", column, "seq"])
        op.drop_index(f"jobs_by_account_{column}", "jobs")
    op.create_index("jobs_by_tenant_time", "jobs", ["tenant", "created_at"])
    op.drop_index("jobs_by_account_time", "jobs")
    has_user = sa.text("user_tag IS NOT NULL")
    columns = ["tenant", "user_tag", "seq"]
    op.create_index("jobs_by_tenant_user", "jobs", columns, sqlite_where=has_user, postgresql_where=has_user)
    op.drop_index("jobs_by_account_user", "jobs")
    # An operator's list of test jobs reads no live ones.
    is_test = sa.text("tenant <> account_id")
    op.create_index("jobs_of_test_keys", "jobs", ["seq"], sqlite_where=is_test, postgresql_where=is_test)
    op.create_index("webhook_endpoints_by_tenant", "webhook_endpoints", ["tenant", "created_at", "id"])
    op.drop_index("webhook_endpoints_by_account", "webhook_endpoints")
    enabled = sa.text("enabled = 1")
    op.create_index(
        "webhook_endpoints_in_use", "webhook_endpoints", ["tenant"], sqlite_where=enabled, postgresql_where=enabled
    )
    op.drop_index("webhook_endpoints_enabled", "webhook_endpoints")
    op.create_index("webhook_deliveries_by_tenant", "webhook_deliveries", ["tenant", "seq"])
    op.drop_index("webhook_deliveries_by_account", "webhook_deliveries")
    op.create_index("webhook_deliveries_by_tenant_state", "webhook_deliveries", ["tenant", "state", "seq"])
    op.drop_index("webhook_deliveries_by_state", "webhook_deliveries")
