"""Limits of accounts and keys. Nothing is limited by default.

A limit of an account replaces the default for all accounts. A key can have limits in addition to those of its account.
The table stores each limit by its name.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from rushes.accounts.account_store import ACCOUNT_BY_ID_OR_NAME, no_such_account
from rushes.audit.actor import Actor, actor
from rushes.audit.log import record
from rushes.catalogue.price import to_usd
from rushes.db.database import Database, Row, Transaction, fetch_one
from rushes.errors import KeyNotFound

LARGEST = 1_000_000_000
"""The largest value of a limit: of a count, and of spending in dollars."""

WHOLE_ACCOUNT = ""
"""Stands for a key's id where a limit holds for all keys of the account together."""

LIMITS_OF = "SELECT name, value FROM limits WHERE account_id = :account_id AND key_id = :key_id"

LIMITS_OF_BOTH = """
SELECT key_id, name, value FROM limits WHERE account_id = :account_id AND key_id IN ('', :key_id)
ORDER BY key_id, name
"""

SET_LIMIT = """
INSERT INTO limits (account_id, key_id, name, value) VALUES (:account_id, :key_id, :name, :value)
ON CONFLICT (account_id, key_id, name) DO UPDATE SET value = excluded.value
"""

CLEAR_LIMIT = "DELETE FROM limits WHERE account_id = :account_id AND key_id = :key_id AND name = :name"

LIST_LIMITS = """
SELECT accounts.name AS account, limits.* FROM limits JOIN accounts ON accounts.id = limits.account_id
ORDER BY accounts.name, limits.key_id, limits.name
"""

LOCK_ACCOUNT = "SELECT id FROM accounts WHERE id = :account_id FOR UPDATE"

KEY_OF_ACCOUNT = "SELECT id FROM api_keys WHERE id = :id AND account_id = :account_id"


Fetch = Callable[..., Awaitable[Sequence[Row]]]
"""`Transaction.fetch` or `Database.read`."""


class LimitName(StrEnum):
    """The kinds of limits. Values of spending are in millionths of a dollar, all others are counts."""

    SPEND_DAY = "spend_day"
    """In a UTC day. Money that is reserved for unfinished jobs counts as spent."""
    SPEND_MONTH = "spend_month"
    """In a UTC calendar month."""
    SPEND_EVER = "spend_ever"
    REQUESTS_PER_MINUTE = "requests_per_minute"
    JOBS_IN_FLIGHT = "jobs_in_flight"
    """Jobs at a provider at one time, on the operator's credentials; more jobs wait in the queue."""
    QUEUED_JOBS = "queued_jobs"
    """Pending jobs at one time; more jobs are refused."""
    USER_REQUESTS_PER_MINUTE = "user_requests_per_minute"
    """Requests for a job that name the same user."""
    USER_SPEND_DAY = "user_spend_day"
    """What jobs of the same user may cost in a UTC day."""

    @property
    def is_money(self) -> bool:
        """Whether its values are millionths of a dollar."""
        return self in (LimitName.SPEND_DAY, LimitName.SPEND_MONTH, LimitName.SPEND_EVER, LimitName.USER_SPEND_DAY)


@dataclass(frozen=True, slots=True)
class Limits:
    """The limits of one account, of one key, or the defaults for all accounts; None: no limit.

    Its fields are the limits' names; those of spending are in millionths of a dollar.
    """

    spend_day: int | None = None
    spend_month: int | None = None
    spend_ever: int | None = None
    requests_per_minute: int | None = None
    jobs_in_flight: int | None = None
    queued_jobs: int | None = None
    user_requests_per_minute: int | None = None
    user_spend_day: int | None = None

    def of(self, name: LimitName) -> int | None:
        """The limit of this name."""
        value: int | None = getattr(self, name.value)
        return value

    def over(self, defaults: Limits) -> Limits:
        """These limits, with the defaults for those that are not set."""
        return _limits(
            {name.value: defaults.of(name) if self.of(name) is None else self.of(name) for name in LimitName}
        )

    def named(self) -> list[tuple[LimitName, int]]:
        """The limits that are set, by name."""
        return [(name, value) for name in LimitName if (value := self.of(name)) is not None]

    @property
    def are_set(self) -> bool:
        """Whether any limit is set."""
        return bool(self.named())


NO_LIMITS = Limits()


@dataclass(frozen=True, slots=True)
class Limit:
    """One limit of an account, or of one of its keys where `key_id` is not WHOLE_ACCOUNT."""

    account_id: str
    account: str
    key_id: str
    name: LimitName
    value: int

    @property
    def place(self) -> tuple[LimitName, str]:
        """The name and the key, which are unique in the account."""
        return self.name, self.key_id


class LimitStore:
    """Reads, sets, lists and clears limits. A change holds from the next request on."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def read(self, account_id: str, key_id: str = WHOLE_ACCOUNT) -> Limits:
        """The limits that are set for an account or a key itself."""
        rows = await self._database.read(LIMITS_OF, account_id=account_id, key_id=key_id)
        return _limits({row["name"]: row["value"] for row in rows})

    async def change(
        self, account_id: str, changes: Mapping[LimitName, int | None], key_id: str = WHOLE_ACCOUNT
    ) -> None:
        """Set these limits, and clear those that are None. Limits without a name here stay.

        The caller checks that the account and the key exist.
        """
        who = actor()

        async def body(transaction: Transaction) -> None:
            await _apply(transaction, who, account_id, key_id, changes)

        await self._database.write(body)

    async def set(self, account: str, key_id: str, values: Mapping[LimitName, int]) -> None:
        """Set these limits of the account of this id or name. Raises AccountNotFound, or KeyNotFound."""
        who = actor()

        async def body(transaction: Transaction) -> None:
            account_id = await _find(transaction, account, key_id)
            await _apply(transaction, who, account_id, key_id, values)

        await self._database.write(body)

    async def clear(self, account: str, key_id: str, names: Iterable[LimitName]) -> Sequence[LimitName]:
        """Clear these limits. Returns those that were set. Raises AccountNotFound, or KeyNotFound."""
        who = actor()
        asked = tuple(names)

        async def body(transaction: Transaction) -> Sequence[LimitName]:
            account_id = await _find(transaction, account, key_id)
            before = await _apply(transaction, who, account_id, key_id, dict.fromkeys(asked))
            return [name for name in asked if before.of(name) is not None]

        return await self._database.write(body)

    async def list(self) -> Sequence[Limit]:
        """Every limit, by account, key and name."""
        rows = await self._database.read(LIST_LIMITS)
        return [
            Limit(row["account_id"], row["account"], row["key_id"], LimitName(row["name"]), row["value"])
            for row in rows
            if row["name"] in set(LimitName)
        ]


async def _apply(
    transaction: Transaction, who: Actor, account_id: str, key_id: str, changes: Mapping[LimitName, int | None]
) -> Limits:
    """Set these limits, clear those that are None, and record it. Returns what was set before."""
    place = {"account_id": account_id, "key_id": key_id}
    # Locked, so that of two changes at once the second begins where the first has ended.
    await transaction.fetch(LOCK_ACCOUNT, account_id=account_id)
    before = limits_among(await transaction.fetch(LIMITS_OF_BOTH, **place), key_id)
    for name, value in changes.items():
        if value is None:
            await transaction.execute(CLEAR_LIMIT, **place, name=name)
        else:
            await transaction.execute(SET_LIMIT, **place, name=name, value=value)
    after = limits_among(await transaction.fetch(LIMITS_OF_BOTH, **place), key_id)
    await record(
        transaction,
        who,
        "limits.set",
        key_id or account_id,
        account_id=account_id,
        before=_facts(before),
        after=_facts(after),
    )
    return before


def _facts(limits: Limits) -> dict[str, float]:
    """What the audit log says of limits: those that are set, of spending in USD."""
    return {name.value: float(to_usd(value)) if name.is_money else value for name, value in limits.named()}


async def read_limits(fetch: Fetch, account_id: str, key_id: str) -> tuple[Limits, Limits]:
    """The limits that are set for an account itself and for one of its keys."""
    rows = await fetch(LIMITS_OF_BOTH, account_id=account_id, key_id=key_id)
    return limits_among(rows, WHOLE_ACCOUNT), limits_among(rows, key_id)


def limits_among(rows: Sequence[Row], key_id: str) -> Limits:
    """The limits of this key, or of the whole account, from rows of `limits`."""
    return _limits({row["name"]: row["value"] for row in rows if row["key_id"] == key_id})


def _limits(values: Mapping[str, int | None]) -> Limits:
    return Limits(**{name.value: values.get(name) for name in LimitName})


async def _find(transaction: Transaction, account: str, key_id: str) -> str:
    row = await fetch_one(transaction, ACCOUNT_BY_ID_OR_NAME, name=account)
    if row is None:
        raise no_such_account(account)
    account_id = str(row["id"])
    if key_id == WHOLE_ACCOUNT:
        return account_id
    if await fetch_one(transaction, KEY_OF_ACCOUNT, id=key_id, account_id=account_id) is None:
        raise KeyNotFound(f"Account '{account}' has no API key '{key_id}'; `rushes keys list` shows all of them")
    return account_id
