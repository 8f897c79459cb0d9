"""What the rows of input files promise while jobs begin to need them and the cleaner retires them."""

from __future__ import annotations

from rushes.db.database import Transaction
from rushes.domain.request import InputMedia, Role, VideoRequest
from rushes.media.input_store import InputStore
from tests.contract.database_harness import Desk, together
from tests.fixtures.new_jobs import ACCOUNT, new_job

ROUNDS = 15

STORE = """
INSERT INTO inputs (id, account_id, key, sha256, size_bytes, content_type, created_at, keep_until)
VALUES (:id, :account_id, :id, :id, 10, 'image/png', :now, :now)
"""


async def test_no_job_begins_with_a_file_that_is_being_removed(desk: Desk) -> None:
    store = InputStore(desk.harness.database)
    for number in range(ROUNDS):
        key = f"in_{number}"

        async def keep(transaction: Transaction, key: str = key) -> None:
            await transaction.execute(STORE, id=key, account_id=ACCOUNT)

        await desk.harness.database.write(keep)
        request = VideoRequest(prompt="A dog", media=(InputMedia(Role.INPUT_IMAGE, key, "image/png", 10, key),))
        await together(
            *(desk.jobs.create(new_job(f"{number}_{again}", request=request)) for again in range(3)),
            store.retire_due(10, keep_s=0),
            store.retire_due(10, keep_s=0),
        )
    lost = "SELECT job_inputs.job_id FROM job_inputs JOIN inputs ON inputs.key = job_inputs.key WHERE sha256 IS NULL"
    assert await desk.rows(lost) == []
    (kept,) = await desk.rows("SELECT SUM(size_bytes) AS size FROM inputs")
    # Files that came without an upload were never added to the account's total; those that left were taken off it.
    (total,) = await desk.rows("SELECT size_bytes AS size FROM input_totals")
    assert total["size"] == int(str(kept["size"])) - ROUNDS * 10
