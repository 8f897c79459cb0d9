"""Money: limits, the ledger of what was reserved and spent, its balances, and ended jobs whose cost is still open.

What jobs have cost until now becomes lines of the ledger too, so that all of it adds up from the first day.
"""

import json
from datetime import UTC, datetime
from decimal import ROUND_HALF_EVEN, Decimal

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"

# SQLite counts rows up only in a column of exactly this type.
SEQUENCE = sa.BigInteger().with_variant(sa.Integer, "sqlite")

PRICED = """
SELECT jobs.id, jobs.account_id, jobs.key_id, jobs.provider, jobs.model, jobs.status, jobs.error_code, jobs.started_at,
       jobs.created_at, jobs.cost_usd, jobs.fallbacks
FROM jobs WHERE cost_usd IS NOT NULL OR fallbacks IS NOT NULL ORDER BY seq
"""

MAYBE_CHARGED = ("submission_unknown", "expired", "output_lost", "output_invalid")
"""Failures that were shown with their estimate, because the provider may charge."""


def upgrade() -> None:
    # One row a limit; the key '' is the whole account. Values are whole numbers: of spending, millionths of a dollar.
    op.create_table(
        "limits",
        sa.Column("account_id", sa.Text, primary_key=True),
        sa.Column("key_id", sa.Text, primary_key=True),
        sa.Column("name", sa.Text, primary_key=True),
        sa.Column("value", sa.BigInteger, nullable=False),
    )
    # Only ever added to. The deltas of all lines are what is reserved and spent; the last two are the account's sums.
    op.create_table(
        "ledger",
        sa.Column("seq", SEQUENCE, primary_key=True, autoincrement=True),
        sa.Column("id", sa.Text, nullable=False, unique=True),
        sa.Column("account_id", sa.Text, nullable=False),
        sa.Column("key_id", sa.Text, nullable=False),
        sa.Column("job_id", sa.Text, nullable=False),
        sa.Column("provider", sa.Text, nullable=False),
        sa.Column("model", sa.Text, nullable=False),
        sa.Column("accepted_at", sa.BigInteger, nullable=False),  # the job's day and month count, not the line's
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("reserved_microusd", sa.BigInteger, nullable=False),
        sa.Column("spent_microusd", sa.BigInteger, nullable=False),
        sa.Column("at", sa.BigInteger, nullable=False),
        sa.Column("cause", sa.Text, nullable=False),
        sa.Column("total_reserved_microusd", sa.BigInteger, nullable=False),
        sa.Column("total_spent_microusd", sa.BigInteger, nullable=False),
    )
    op.create_index("ledger_by_account", "ledger", ["account_id", "seq"])
    op.create_index("ledger_by_account_kind", "ledger", ["account_id", "kind", "seq"])
    op.create_index("ledger_by_account_time", "ledger", ["account_id", "at"])
    op.create_index("ledger_by_account_job", "ledger", ["account_id", "job_id", "seq"])
    op.create_table(
        "balances",
        sa.Column("account_id", sa.Text, primary_key=True),
        sa.Column("key_id", sa.Text, primary_key=True),  # '' is the whole account
        sa.Column("period", sa.Text, primary_key=True),  # 2026-11-22, 2026-11, ever: UTC, of the job's acceptance
        sa.Column("reserved_microusd", sa.BigInteger, nullable=False),
        sa.Column("spent_microusd", sa.BigInteger, nullable=False),
    )
    # Ended, and still reserved: they wait for an operator. Kept when the job is deleted.
    op.create_table(
        "unsettled_jobs",
        sa.Column("job_id", sa.Text, primary_key=True),
        sa.Column("account_id", sa.Text, nullable=False),
        sa.Column("key_id", sa.Text, nullable=False),
        sa.Column("provider", sa.Text, nullable=False),
        sa.Column("model", sa.Text, nullable=False),
        sa.Column("accepted_at", sa.BigInteger, nullable=False),
        sa.Column("reserved_microusd", sa.BigInteger, nullable=False),
        sa.Column("spent_microusd", sa.BigInteger, nullable=False),
        sa.Column("since", sa.BigInteger, nullable=False),
        sa.Column("cause", sa.Text, nullable=False),
    )
    op.add_column("jobs", sa.Column("reserved_microusd", sa.BigInteger, nullable=False, server_default="0"))
    op.add_column("jobs", sa.Column("spent_microusd", sa.BigInteger))  # null until it is known
    _book_what_there_is()


def _book_what_there_is() -> None:
    connection = op.get_bind()
    totals: dict[str, list[int]] = {}
    balances: dict[tuple[str, str, str], list[int]] = {}
    for job in connection.execute(sa.text(PRICED)).mappings().all():
        reserved, spent = _books_of(job)
        connection.execute(
            sa.text("UPDATE jobs SET reserved_microusd = :reserved, spent_microusd = :spent WHERE id = :id"),
            {"id": job["id"], "reserved": reserved, "spent": spent},
        )
        if not reserved and not spent:
            continue
        accepted = datetime.fromtimestamp(job["created_at"] / 1000, UTC)
        for key_id in ("", job["key_id"]):
            for period in (accepted.strftime("%Y-%m-%d"), accepted.strftime("%Y-%m"), "ever"):
                balance = balances.setdefault((job["account_id"], key_id, period), [0, 0])
                balance[0] += reserved
                balance[1] += spent or 0
        total = totals.setdefault(job["account_id"], [0, 0])
        total[0] += reserved
        total[1] += spent or 0
        owner = {name: job[name] for name in ("account_id", "key_id", "provider", "model")}
        owner |= {"job_id": job["id"], "accepted_at": job["created_at"]}
        owner |= {"reserved_microusd": reserved, "spent_microusd": spent or 0}
        line = {
            **owner,
            "id": f"txn_{job['id'].removeprefix('job_')}",
            "kind": "reserve" if reserved else "settle",
            "at": job["created_at"],
            "cause": "accepted before there was a ledger",
            "total_reserved_microusd": total[0],
            "total_spent_microusd": total[1],
        }
        _insert("ledger", line)
        if reserved and job["status"] == "failed":
            _insert("unsettled_jobs", {**owner, "since": job["created_at"], "cause": job["error_code"]})
    for (account_id, key_id, period), (reserved, spent) in balances.items():
        where = {"account_id": account_id, "key_id": key_id, "period": period}
        _insert("balances", {**where, "reserved_microusd": reserved, "spent_microusd": spent})


def _books_of(job: sa.RowMapping) -> tuple[int, int | None]:
    """What is reserved for a job and what it has cost, as answers have said until now."""
    cost = None if job["cost_usd"] is None else _microusd(job["cost_usd"])
    if job["status"] == "completed":
        return 0, cost
    if job["status"] == "failed":
        open_cost = job["error_code"] in MAYBE_CHARGED and job["started_at"] is not None
        return (cost or 0, None if cost is None else 0) if open_cost else (0, 0)
    fallbacks = [] if job["fallbacks"] is None else json.loads(job["fallbacks"])["models"]
    possible = [cost, *(None if one["cost_usd"] is None else _microusd(one["cost_usd"]) for one in fallbacks)]
    return max((one for one in possible if one is not None), default=0), None


def _microusd(usd: str) -> int:
    return int((Decimal(usd) * 1_000_000).to_integral_value(ROUND_HALF_EVEN))


def _insert(table: str, values: dict[str, object]) -> None:
    columns = ", ".join(values)
    places = ", ".join(f":{name}" for name in values)
    op.get_bind().execute(sa.text(f"INSERT INTO {table} ({columns}) VALUES ({places})"), values)  # noqa: S608 - fixed texts
