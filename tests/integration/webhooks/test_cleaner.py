"""Settled messages go after their time, however many they are."""

from __future__ import annotations

import asyncio
from pathlib import Path

from rushes.webhooks.cleaner import BATCH, KEPT_S, DeliveryCleaner
from rushes.webhooks.outbox import Outbox
from tests.fixtures.clocks import ManualClock
from tests.fixtures.databases import WatchedDatabase, fresh_sqlite

INSERT = """
INSERT INTO webhook_deliveries (id, account_id, shown_url, lane, job_id, type, event_at, state, next_attempt_at,
                                created_at, settled_at)
VALUES (:id, 'acct_1', 'https://example.com', 'lane', 'job_1', 'video.failed', 0, :state, :now, :now, :settled_at)
"""


async def test_what_was_settled_a_month_ago_goes_and_what_is_pending_stays(tmp_path: Path) -> None:
    clock = ManualClock()
    database = WatchedDatabase(fresh_sqlite(tmp_path / "rushes.db", clock))
    clock.busy = lambda: database.busy

    async def insert(number: int, state: str) -> None:
        settled_at = None if state == "pending" else clock.now_ms()
        await database.write(
            lambda transaction: transaction.execute(INSERT, id=f"msg_{number}", state=state, settled_at=settled_at)
        )

    for number in range(BATCH + 1):
        await insert(number, "delivered")
    await insert(BATCH + 1, "pending")
    clock.advance(KEPT_S)
    await insert(BATCH + 2, "dead")
    running = asyncio.create_task(DeliveryCleaner(Outbox(database), clock).run())
    await clock.settle()
    left = await database.read("SELECT id FROM webhook_deliveries ORDER BY seq")
    assert [row["id"] for row in left] == [f"msg_{BATCH + 1}", f"msg_{BATCH + 2}"]
    running.cancel()
    await asyncio.wait([running])
    await database.close()
