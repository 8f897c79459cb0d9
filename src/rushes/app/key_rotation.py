"""Tells operators when processes of one service have different secret keys, as a careless rotation leaves them.

Each process notes in the database which keys it has, and which one it signs with. Keys have short names there that say
nothing of them (`SecretKeys.ids`).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import structlog

from rushes.clock import Clock
from rushes.db.database import Database
from rushes.db.marks import touch_marks, touched_marks
from rushes.errors import RushesError

log = structlog.get_logger(__name__)

LOOK_S: Final = 15.0
TOUCH_S: Final = 600.0
HELD: Final = "secret_key_held:"
SIGNS: Final = "secret_key_signs:"
DAY_S: Final = 86_400.0
MISSING: Final = (
    "a secret key was in use in the last day that this process does not have: links and tokens signed with it are "
    "refused here, and jobs on callers' own keys wait for it. Give every process this key too, behind the first one "
    "(docs/operating/secrets.md)"
)
TOO_EARLY: Final = (
    "the first secret key is new to this service, so its other processes may not have it yet. Put it behind the old "
    "one, restart them all, and only then put it first (docs/operating/secrets.md)"
)


class KeyRotation:
    """The secret keys of this process beside those of the others. `ids` are its own, the one that signs first.

    A key counts as used for `valid_s` after a process has last signed with it: as long as what it signed is valid.
    """

    def __init__(self, database: Database, ids: Sequence[str], clock: Clock, *, shared: bool, valid_s: float) -> None:
        self._database = database
        self._ids = tuple(ids)
        self._clock = clock
        self._shared = shared
        self._valid_s = max(valid_s, DAY_S)
        self._told: set[str] = set()
        self._touched_s = 0.0
        self.missing: frozenset[str] = frozenset()
        """The ids of the keys in use that this process does not have."""

    async def start(self) -> None:
        """Compare, and say what is wrong. An unreachable database is left to `run`."""
        try:
            in_use = await self._in_use()
            held = await touched_marks(self._database, HELD)
            if self._shared and in_use and self._ids[0] not in held:
                log.warning("secret_key_first_too_early", key_id=self._ids[0], detail=TOO_EARLY)
            self._compare(in_use)
            await self._touch()
        except RushesError as error:
            log.warning("secret_keys_not_compared", error_code=error.code)

    async def run(self) -> None:
        """Compare again and again. Never returns; cancel it to stop."""
        while True:
            await self._clock.sleep(LOOK_S)
            try:
                self._compare(await self._in_use())
                self._touched_s += LOOK_S
                if self._touched_s >= TOUCH_S:
                    await self._touch()
            except RushesError as error:
                log.warning("secret_keys_not_compared", error_code=error.code)

    async def _in_use(self) -> frozenset[str]:
        signs = await touched_marks(self._database, SIGNS)
        return frozenset(key_id for key_id, age_s in signs.items() if age_s < self._valid_s)

    async def _touch(self) -> None:
        await touch_marks(self._database, [f"{SIGNS}{self._ids[0]}", *(f"{HELD}{key_id}" for key_id in self._ids)])
        self._touched_s = 0.0

    def _compare(self, in_use: frozenset[str]) -> None:
        self.missing = in_use - set(self._ids)
        for key_id in sorted(self.missing - self._told):
            log.error("secret_key_unknown", key_id=key_id, detail=MISSING)
        self._told = set(self.missing)
