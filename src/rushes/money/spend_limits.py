"""Spend limits: how much an account or a key may spend a day, a month or ever, in UTC, and how much of it is left.

What is reserved counts as spent, so that jobs which run at the same time cannot pass a limit together.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from rushes.accounts.limits import LIMITS_OF_BOTH, WHOLE_ACCOUNT, LimitName
from rushes.catalogue.price import to_usd
from rushes.db.database import Database, Row
from rushes.errors import PriceUnknown, SpendLimitReached
from rushes.money.costs import Reservation

EVER = "ever"

BALANCES = """
SELECT key_id, period, reserved_microusd, spent_microusd FROM balances
WHERE account_id = :account_id AND key_id IN ('', :key_id) AND period IN (:day, :month, 'ever')
"""

# By the primary key for each of the keys, however many days the account's balances go back.
BALANCES_OF_KEYS = """
SELECT key_id, period, reserved_microusd, spent_microusd FROM balances
WHERE account_id = :account_id AND period = :period AND key_id IN ({})
"""

LONGEST_FIRST = (LimitName.SPEND_EVER, LimitName.SPEND_MONTH, LimitName.SPEND_DAY, LimitName.USER_SPEND_DAY)
"""Of several limits that are reached, the one that will hold longest is the one to tell of."""

PERIOD = {
    LimitName.SPEND_DAY: "day",
    LimitName.SPEND_MONTH: "month",
    LimitName.SPEND_EVER: EVER,
    LimitName.USER_SPEND_DAY: "day and user",
}

DAY_MS = 86_400_000
USER_SPEND_DAY = LimitName.USER_SPEND_DAY.value

USER_BALANCES = """
SELECT key_id, day, reserved_microusd, spent_microusd FROM user_balances
WHERE account_id = :account_id AND key_id IN ('', :key_id) AND day = :day AND user_tag = :user_tag
"""


@dataclass(frozen=True, slots=True)
class Balance:
    """What is reserved and spent in one period; of one key, or of the whole account."""

    key_id: str
    period: str
    reserved_microusd: int
    spent_microusd: int

    @classmethod
    def of(cls, row: Row) -> Balance:
        """The balance in a row of `balances`."""
        return cls(row["key_id"], row["period"], row["reserved_microusd"], row["spent_microusd"])

    @classmethod
    def of_user(cls, row: Row) -> Balance:
        """The balance in a row of `user_balances`."""
        period = user_period(row["day"] * DAY_MS)
        return cls(row["key_id"], period, row["reserved_microusd"], row["spent_microusd"])


@dataclass(frozen=True, slots=True)
class SpendLimit:
    """One limit and how it stands, in dollars. `key_id` None is the whole account; `resets_at` is in milliseconds."""

    name: LimitName
    key_id: str | None
    limit_usd: Decimal
    spent_usd: Decimal
    reserved_usd: Decimal
    resets_at: int | None

    @property
    def left_usd(self) -> Decimal:
        """What another job may cost; below 0 where the limit was lowered, or a real bill was higher."""
        return self.limit_usd - self.spent_usd - self.reserved_usd


class SpendingStore:
    """Reads how limits stand; a few rows, however much was spent."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def limits_of(
        self, account_id: str, key_id: str, now_ms: int, *, is_test: bool = False, user: str | None = None
    ) -> Sequence[SpendLimit]:
        """The limits that hold for this key, the account's first; for a test key, as if nothing had been spent.

        Those of each user are among them where a `user` is named.

        Test jobs cost nothing, and what live keys have spent is not for test keys to know.
        """
        rows = await self._database.read(LIMITS_OF_BOTH, account_id=account_id, key_id=key_id)
        limits = spend_limits_among(rows, user)
        if not limits:
            return ()
        if is_test:
            return standing(limits, (), now_ms)
        balances = await self._database.read(
            BALANCES, account_id=account_id, key_id=key_id, day=day_of(now_ms), month=month_of(now_ms)
        )
        found = [Balance.of(row) for row in balances]
        if any(row["name"] == LimitName.USER_SPEND_DAY for row in limits):
            of_user = await self._database.read(
                USER_BALANCES, account_id=account_id, key_id=key_id, day=now_ms // DAY_MS, user_tag=user
            )
            found += [Balance.of_user(row) for row in of_user]
        return standing(limits, found, now_ms)

    async def of_keys(self, account_id: str, key_ids: Sequence[str], now_ms: int) -> Mapping[str, Balance]:
        """What each of these keys has spent and reserved in this calendar month (UTC); one without a job is left out.

        The whole account is WHOLE_ACCOUNT among them.
        """
        if not key_ids:
            return {}
        # Rounded up by asking for the last one again: few different texts, so that each is prepared once.
        names = [f"key_{index}" for index in range(1 << (len(key_ids) - 1).bit_length())]
        parameters = {name: key_ids[min(index, len(key_ids) - 1)] for index, name in enumerate(names)}
        sql = BALANCES_OF_KEYS.format(", ".join(f":{name}" for name in names))
        rows = await self._database.read(sql, account_id=account_id, period=month_of(now_ms), **parameters)
        return {row["key_id"]: Balance.of(row) for row in rows}

    async def check(
        self,
        account_id: str,
        key_id: str,
        reservation: Reservation,
        now_ms: int,
        *,
        unpriced_allowed: bool,
        user: str | None = None,
    ) -> None:
        """Raise what accepting such a job would raise now; nothing is held by it."""
        if reservation.microusd or reservation.unpriced is not None:
            limits = await self.limits_of(account_id, key_id, now_ms, user=user)
            refuse_beyond(limits, reservation, now_ms, unpriced_allowed=unpriced_allowed)


def spend_limits_among(rows: Iterable[Row], user: str | None = None) -> Sequence[Row]:
    """Those of these rows of `limits` that limit spending; of each user only where one is named."""
    return [row for row in rows if row["name"] in PERIOD and (user is not None or row["name"] != USER_SPEND_DAY)]


def standing(limits: Iterable[Row], balances: Iterable[Balance], now_ms: int) -> Sequence[SpendLimit]:
    """How these rows of `limits` stand under these balances."""
    by_place = {(one.key_id, one.period): one for one in balances}
    found = []
    for row in limits:
        name = LimitName(row["name"])
        period, resets_at = _period_of(name, now_ms)
        balance = by_place.get((row["key_id"], period), Balance(row["key_id"], period, 0, 0))
        found.append(
            SpendLimit(
                name=name,
                key_id=None if row["key_id"] == WHOLE_ACCOUNT else row["key_id"],
                limit_usd=to_usd(row["value"]),
                spent_usd=to_usd(balance.spent_microusd),
                reserved_usd=to_usd(balance.reserved_microusd),
                resets_at=resets_at,
            )
        )
    return found


def refuse_beyond(
    limits: Sequence[SpendLimit], reservation: Reservation, now_ms: int, *, unpriced_allowed: bool
) -> None:
    """Raise PriceUnknown or SpendLimitReached if a job that reserves so much may not be accepted."""
    if limits and reservation.unpriced is not None and not unpriced_allowed:
        raise PriceUnknown(
            f"The price of '{reservation.unpriced}' is not known, and a {_words(limits[0])} cannot be kept without it; "
            "use a model with a price, or ask the operator"
        )
    cost_usd = to_usd(reservation.microusd)
    beyond = [limit for limit in limits if cost_usd > limit.left_usd]
    if not beyond or not cost_usd:
        return
    limit = min(beyond, key=lambda one: LONGEST_FIRST.index(one.name))
    fits_later = limit.resets_at is not None and cost_usd <= limit.limit_usd
    resets = "it never resets" if limit.resets_at is None else f"it resets at {_utc(limit.resets_at)}"
    raise SpendLimitReached(
        f"The job would cost {_usd(cost_usd)} USD, and the {_words(limit)} of {_usd(limit.limit_usd)} USD has "
        f"{_usd(max(limit.left_usd, Decimal(0)))} left: {_usd(limit.spent_usd)} is spent and "
        f"{_usd(limit.reserved_usd)} reserved; {resets}",
        limit=limit.name,
        key_id=limit.key_id,
        limit_usd=limit.limit_usd,
        spent_usd=limit.spent_usd,
        reserved_usd=limit.reserved_usd,
        cost_usd=cost_usd,
        resets_at=limit.resets_at,
        retry_after_s=(limit.resets_at - now_ms) / 1000 if fits_later and limit.resets_at is not None else None,
    )


def day_of(moment_ms: int) -> str:
    """The UTC day, as balances name it: 2026-11-22."""
    return datetime.fromtimestamp(moment_ms / 1000, UTC).date().isoformat()


def month_of(moment_ms: int) -> str:
    """The UTC month, as balances name it: 2026-11."""
    return day_of(moment_ms)[:7]


def user_period(moment_ms: int) -> str:
    """The UTC day of a user, as balances are kept apart here."""
    return f"user {day_of(moment_ms)}"


def _period_of(name: LimitName, now_ms: int) -> tuple[str, int | None]:
    """The period that a limit is about now, and when the next one begins."""
    midnight = datetime.fromtimestamp(now_ms / 1000, UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    match name:
        case LimitName.SPEND_DAY:
            return day_of(now_ms), _ms(midnight + timedelta(days=1))
        case LimitName.USER_SPEND_DAY:
            return user_period(now_ms), _ms(midnight + timedelta(days=1))
        case LimitName.SPEND_MONTH:
            return month_of(now_ms), _ms((midnight.replace(day=1) + timedelta(days=32)).replace(day=1))
        case _:
            return EVER, None


def _ms(moment: datetime) -> int:
    return int(moment.timestamp() * 1000)


def _words(limit: SpendLimit) -> str:
    whose = "account's" if limit.key_id is None else f"key's ('{limit.key_id}')"
    return (
        f"spend limit per {PERIOD[limit.name]} ({limit.name}, {whose})"
        if limit.resets_at is not None
        else (f"spend limit without an end ({limit.name}, {whose})")
    )


def _usd(usd: Decimal) -> str:
    """At least two decimals, and as many as are needed."""
    exact = usd.quantize(Decimal("0.01"))
    return f"{exact if exact == usd else usd.normalize():f}"


def _utc(moment_ms: int) -> str:
    return f"{datetime.fromtimestamp(moment_ms / 1000, UTC):%Y-%m-%dT%H:%M:%SZ}"
