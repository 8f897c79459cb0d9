"""What one credential may take in all processes together: submissions in a minute, and jobs at the provider.

The row of a limited credential is locked by the transaction that records an intent, after the job's row.
"""

from __future__ import annotations

from rushes.db.database import Row, Transaction, fetch_row
from rushes.providers.credentials import Pinned

FULL_S = 1.0
"""How long a credential that has as many jobs as it may counts as full without a look into the database."""

LOCK_CREDENTIAL = """
INSERT INTO credential_limits (provider, credential, next_at) VALUES (:provider, :credential, 0)
ON CONFLICT (provider, credential) DO UPDATE SET next_at = credential_limits.next_at
RETURNING next_at, :now AS now
"""

NEXT_SUBMISSION = """
UPDATE credential_limits SET next_at = :next_at WHERE provider = :provider AND credential = :credential
"""

# As many as the limit at most are counted, whatever the history.
IN_FLIGHT = """
SELECT COUNT(*) AS jobs FROM (
    SELECT id FROM jobs WHERE served_provider = :provider AND credential_name = :credential AND in_slot = 1
      AND state IN ('submitting', 'running') AND id <> :job_id LIMIT :most
) AS found
"""


class CredentialBusy(Exception):
    """A limit of the credential is reached; it is worth asking again in `wait_s` seconds. Nothing was recorded."""

    def __init__(self, wait_s: float) -> None:
        super().__init__(f"the credential can take no job for {wait_s} s")
        self.wait_s = wait_s


async def take_place(transaction: Transaction, job: Row, pinned: Pinned) -> None:
    """Count one submission of this job with this credential. Raises CredentialBusy, which undoes the transaction."""
    terms = pinned.terms
    if not terms.has_limits:
        return
    of_credential = {"provider": job["served_provider"], "credential": pinned.name}
    row = await fetch_row(transaction, LOCK_CREDENTIAL, **of_credential)
    now_ms: int = row["now"]
    if terms.in_flight is not None:
        found = await fetch_row(transaction, IN_FLIGHT, **of_credential, job_id=job["id"], most=terms.in_flight)
        if found["jobs"] >= terms.in_flight:
            raise CredentialBusy(FULL_S)
    if terms.requests_per_minute is not None:
        if row["next_at"] > now_ms:
            raise CredentialBusy((row["next_at"] - now_ms) / 1000)
        # Rounded up: never one more in a minute.
        next_at = now_ms - (-60_000 // terms.requests_per_minute)
        await transaction.execute(NEXT_SUBMISSION, **of_credential, next_at=next_at)
