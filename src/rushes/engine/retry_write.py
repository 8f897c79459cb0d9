"""Repeating a write until the database takes it, because what it records has already happened."""

from __future__ import annotations

import random
from typing import TypeVar

import structlog

from rushes.clock import SteadyClock
from rushes.db.database import Database, Write
from rushes.engine.backoff import backoff_s
from rushes.errors import DatabaseUnavailable, Overloaded

T = TypeVar("T")

log = structlog.get_logger(__name__)


async def retry_write(database: Database, body: Write[T], clock: SteadyClock) -> T:
    """Run a transaction, and repeat it after a pause while the database is not available."""
    failures = 0
    while True:
        try:
            return await database.write(body)
        except (DatabaseUnavailable, Overloaded) as error:
            failures += 1
            log.warning("write_will_be_repeated", error_code=error.code, failures=failures)
            await clock.sleep(backoff_s(failures=failures, asked_s=None, chance=random.random()))
