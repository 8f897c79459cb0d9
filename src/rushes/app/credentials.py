"""Whose key a job runs on: the operator's, as configured, or the caller's own, as sealed with the job."""

from __future__ import annotations

from dataclasses import replace

from rushes.domain.job import Job
from rushes.errors import SecretKeyMissing
from rushes.jobs.store import JobStore
from rushes.providers.base import NO_CREDENTIAL, Credential
from rushes.providers.credentials import Keyring
from rushes.sealing import Sealer, Unsealable


async def credential_of(job: Job, jobs: JobStore, keyring: Keyring, sealer: Sealer) -> Credential | None:
    """The credential that the job was accepted with; None if it is gone.

    Raises SecretKeyMissing for an own key of the caller's that this process cannot open.
    """
    if job.byok:
        sealed = await jobs.sealed_secret(job.id)
        try:
            return None if sealed is None else keyring.callers(job.served_provider, sealer.open(sealed, job.id))
        except Unsealable as exc:
            raise SecretKeyMissing(
                "The key sent as byok_api_key was encrypted with a secret key that this process does not have"
            ) from exc
    if job.credential is None:
        return replace(NO_CREDENTIAL, account_id=job.account_id)
    pinned = keyring.find(job.served_provider, job.api)
    return None if pinned is None else pinned.credential
