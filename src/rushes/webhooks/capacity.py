"""How many attempts may begin, of which account and to which receiver. Pure: all numbers are passed in."""

from __future__ import annotations

from collections import Counter, OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

TOLERATED: Final = 3
"""How many failures in a row cost an account or a receiver nothing: services restart."""
MOST_REMEMBERED: Final = 10_000


@dataclass(frozen=True, slots=True)
class CapacityLimits:
    """How many attempts one process has under way, in all, of one account and of one lane.

    Accounts that have one already leave `kept` free for those that have none.
    """

    most: int = 64
    of_account: int = 32
    of_lane: int = 4
    kept: int = 16
    least_of_account: int = 2
    """What an account keeps whose receivers only fail; its next success gives it back its share."""


class Failures:
    """How often accounts and lanes have failed since their last success, as far as this process has seen."""

    def __init__(self) -> None:
        self._in_a_row: OrderedDict[str, int] = OrderedDict()

    def note(self, name: str, *, has_failed: bool) -> None:
        """Remember the result of an attempt."""
        if not has_failed:
            self._in_a_row.pop(name, None)
            return
        self._in_a_row[name] = self._in_a_row.pop(name, 0) + 1
        if len(self._in_a_row) > MOST_REMEMBERED:
            self._in_a_row.popitem(last=False)

    def share_of(self, name: str, usual: int, least: int) -> int:
        """The share that is left: halved by each failure in a row beyond three, but not less than `least`."""
        return max(least, usual >> max(0, self._in_a_row.get(name, 0) - TOLERATED))


class Capacity:
    """What may begin beside what is under way, given as pairs of lane and account."""

    def __init__(
        self, limits: CapacityLimits, under_way: Iterable[tuple[str, str]] = (), failures: Failures | None = None
    ) -> None:
        self._limits = limits
        self._failures = failures or Failures()
        self._lanes: Counter[str] = Counter()
        self._accounts: Counter[str] = Counter()
        for lane, account_id in under_way:
            self.take(lane, account_id, 1)

    def copy(self) -> Capacity:
        """Another one that counts for itself."""
        other = Capacity(self._limits, failures=self._failures)
        other._lanes, other._accounts = self._lanes.copy(), self._accounts.copy()
        return other

    @property
    def free(self) -> int:
        """How many may begin if they are of accounts that have none."""
        return self._limits.most - self._accounts.total()

    @property
    def full_lanes(self) -> list[str]:
        """The lanes that have all they may."""
        return [lane for lane in self._lanes if self._left_of_lane(lane) <= 0]

    @property
    def full_accounts(self) -> list[str]:
        """The accounts that have all they may."""
        return [account_id for account_id in self._accounts if self._left_of_account(account_id) <= 0]

    def left(self, lane: str, account_id: str) -> int:
        """How many more may begin in this lane of this account."""
        return max(0, min(self._left_of_lane(lane), self._left_of_account(account_id)))

    def take(self, lane: str, account_id: str, number: int) -> None:
        """Count what begins."""
        self._lanes[lane] += number
        self._accounts[account_id] += number

    def _left_of_lane(self, lane: str) -> int:
        return self._failures.share_of(lane, self._limits.of_lane, 1) - self._lanes[lane]

    def _left_of_account(self, account_id: str) -> int:
        limits = self._limits
        share = self._failures.share_of(account_id, limits.of_account, min(limits.least_of_account, limits.of_account))
        # The first one may take what is kept.
        free = max(self.free - limits.kept, min(self.free, 1 - self._accounts[account_id]))
        return min(share - self._accounts[account_id], free)
