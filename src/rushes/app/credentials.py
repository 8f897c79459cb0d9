"""Whose key a job runs on: one of the operator's pool, or the caller's own, as sealed with the job."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from rushes.catalogue.model import Model
from rushes.domain.job import Job
from rushes.engine.breaker import Breaker, Breakers, BreakerState, Circuit, CircuitHealth
from rushes.engine.credential_pool import CredentialHealth, CredentialPool, CredentialState, JobKeys, PoolKey
from rushes.engine.without_credential import WithoutCredential
from rushes.errors import NoCredentials, SecretKeyMissing
from rushes.jobs.store import JobStore
from rushes.providers.base import NO_CREDENTIAL, Credential, Provider
from rushes.providers.credentials import Keyring, Pinned
from rushes.providers.registry import ProviderApi
from rushes.sealing import Sealer, Unsealable

ForJob = Callable[[Pinned | None, Provider], Provider]
"""What stands around an adapter for one job, on one of the operator's keys or on none."""


@dataclass(frozen=True, slots=True)
class JobAccess:
    """How a job's provider is reached: with which key now, and with which others before it was accepted."""

    provider: Provider
    credential: Credential
    breaker: Breaker
    keys: JobKeys | None = None
    has_any_key: bool = True
    """Whether a key of its provider is configured here at all."""

    @property
    def is_lost(self) -> bool:
        """Whether the key that it was submitted with is not configured here."""
        return isinstance(self.provider, WithoutCredential)


class JobCredentials:
    """Finds the credentials of jobs; one a process. It keeps how the operator's keys stand here."""

    def __init__(
        self, jobs: JobStore, keyring: Keyring, sealer: Sealer, adapters: Mapping[ProviderApi, Provider]
    ) -> None:
        self._jobs = jobs
        self._keyring = keyring
        self._sealer = sealer
        self._adapters = adapters
        self._breakers = Breakers()
        self._pools: dict[str, CredentialPool] = {}

    def breakers(self, now_ms: int) -> Mapping[Circuit, CircuitHealth]:
        """The circuits that have seen trouble."""
        return self._breakers.snapshot(now_ms)

    def health(self, now_ms: int) -> Sequence[CredentialHealth]:
        """How each of the operator's credentials is."""
        troubled = self._breakers.snapshot(now_ms)
        found = []
        for provider in self._keyring.providers:
            for one in self._keyring.all_of(provider):
                circuit = troubled.get(Circuit(provider, one.api, one.name))
                rest_s = self._pool(provider).standing(one.name).rest_s(now_ms)
                if not one.terms.enabled:
                    state, wait_s = CredentialState.DISABLED, 0.0
                elif circuit is not None and circuit.state is not BreakerState.CLOSED:
                    state, wait_s = CredentialState.BROKEN, circuit.wait_s
                else:
                    state, wait_s = (CredentialState.LIMITED if rest_s else CredentialState.UP), rest_s
                found.append(CredentialHealth(provider, one.name, one.api, state, wait_s))
        return found

    async def of(self, job: Job, model: Model, for_job: ForJob) -> JobAccess:
        """How this job's provider is reached.

        Raises NoCredentials if nothing is configured that could serve it, SecretKeyMissing for an own key of the
        caller's that this process cannot open.
        """
        if job.byok:
            return self._access(job, await self._callers_own(job), for_job)
        if job.credential is None:
            return self._access(job, replace(NO_CREDENTIAL, account_id=job.account_id), for_job)
        return self._of_pool(job, model, for_job)

    def _access(self, job: Job, credential: Credential, for_job: ForJob) -> JobAccess:
        adapter = self._adapters.get((job.served_provider, job.api))
        if adapter is None:
            raise _not_served(job)
        circuit = Circuit(job.served_provider, job.api, job.credential, job.byok)
        return JobAccess(for_job(None, adapter), credential, self._breakers.of(circuit))

    def _of_pool(self, job: Job, model: Model, for_job: ForJob) -> JobAccess:
        provider = job.served_provider
        keys = self._pool_keys(provider, self._for_new_jobs(provider, model), for_job)
        if job.state.waits_in_lane:
            if not keys:
                raise _not_served(job)
            return _access_by(keys[0], keys, self._pool(provider))
        pinned = self._pinned(job)
        current = next((key for key in keys if pinned is not None and key.pinned.name == pinned.name), None)
        if current is None and pinned is not None:
            current = next(iter(self._pool_keys(provider, (pinned,), for_job)), None)
        if current is None:
            current = self._removed(job)
        access = _access_by(current, keys, self._pool(provider))
        return replace(access, has_any_key=bool(self._keyring.all_of(provider)))

    def _for_new_jobs(self, provider: str, model: Model) -> Sequence[Pinned]:
        return [
            pinned
            for pinned in self._keyring.of(provider)
            if pinned.is_for(model) and (not model.apis or pinned.api in model.apis)
        ]

    def _pool_keys(self, provider: str, pinned: Sequence[Pinned], for_job: ForJob) -> list[PoolKey]:
        return [
            PoolKey(
                one,
                for_job(one, self._adapters[provider, one.api]),
                self._breakers.of(Circuit(provider, one.api, one.name)),
                self._pool(provider).standing(one.name),
            )
            for one in pinned
            if (provider, one.api) in self._adapters
        ]

    def _pinned(self, job: Job) -> Pinned | None:
        if job.credential_name is None:
            return self._keyring.made_with(job.served_provider, job.credential, job.api)
        named = self._keyring.named(job.served_provider, job.credential_name)
        # A key of another kind under the same name opens another API, which does not know the generation.
        return named if named is not None and named.api == job.api else None

    @staticmethod
    def _removed(job: Job) -> PoolKey:
        name = job.credential_name or "default"
        pinned = Pinned(NO_CREDENTIAL, job.api, name)
        return PoolKey(pinned, WithoutCredential(job.served_provider, name), Breaker())

    def _pool(self, provider: str) -> CredentialPool:
        return self._pools.setdefault(provider, CredentialPool())

    async def _callers_own(self, job: Job) -> Credential:
        sealed = await self._jobs.sealed_secret(job.id)
        if sealed is None:
            raise _not_served(job)
        try:
            return self._keyring.callers(job.served_provider, self._sealer.open(sealed, job.id))
        except Unsealable as exc:
            raise SecretKeyMissing(
                "The key sent as byok_api_key was encrypted with a secret key that this process does not have"
            ) from exc


def _access_by(current: PoolKey, keys: Sequence[PoolKey], pool: CredentialPool) -> JobAccess:
    return JobAccess(current.provider, current.pinned.credential, current.breaker, JobKeys(pool, keys, current))


def _not_served(job: Job) -> NoCredentials:
    return NoCredentials(f"Model '{job.served_provider}/{job.served_model}' can no longer be served")
