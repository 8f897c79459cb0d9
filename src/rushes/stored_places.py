"""What accounts keep in the database and the storage. Each has a share for the whole service, not for one process.

`STORED` is the one list of them. There is no bound for all but the number of accounts, which the operator makes, and
the disk: input files leave a part of it free (`media/free_space.py`).
"""

from __future__ import annotations

from dataclasses import dataclass

from rushes.errors import InputQuotaReached, KeyLimitReached, RushesError, WebhookLimitReached

GIB = 1024**3


@dataclass(frozen=True, slots=True)
class Stored:
    """What one account, or one key, may keep.

    A request for more raises `beyond`; where that is None, the oldest of what is kept ends. `setting` replaces the
    share.
    """

    name: str
    meaning: str
    unit: str
    share: int
    whose: str = "account"
    beyond: type[RushesError] | None = None
    setting: str | None = None


KEYS = Stored("keys", "API keys, revoked and expired ones included", "keys", 1_000, beyond=KeyLimitReached)
WEBHOOKS = Stored("webhooks", "Webhooks, in each mode", "webhooks", 10, beyond=WebhookLimitReached)
SESSIONS = Stored("sessions", "Sessions of the console", "sessions", 20, whose="key")
INPUT_FILES = Stored(
    "input_files", "Bytes of input files", "bytes", 2 * GIB, beyond=InputQuotaReached, setting="input_quota_bytes"
)

STORED = (KEYS, WEBHOOKS, SESSIONS, INPUT_FILES)
"""All of it, in the order of the documentation."""
