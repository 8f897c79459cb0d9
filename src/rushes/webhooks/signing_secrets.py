"""The signing secrets: sealed at rest, opened to sign, shown to their owner."""

from __future__ import annotations

from collections.abc import Sequence

from rushes.clock import Clock
from rushes.domain.tenant import Tenant
from rushes.sealing import Sealer
from rushes.webhooks.endpoint import Delivery, Endpoint, SealedSecret
from rushes.webhooks.signing import new_secret
from rushes.webhooks.store import WebhookStore


class SigningSecrets:
    """Seals and opens signing secrets. A secret is bound to its endpoint or tenant. Opening raises Unsealable."""

    def __init__(self, store: WebhookStore, sealer: Sealer, clock: Clock) -> None:
        self._store = store
        self._sealer = sealer
        self._clock = clock

    def make(self, owner_id: str) -> tuple[str, str]:
        """A new secret for an endpoint or tenant, and its sealed form."""
        secret = new_secret()
        return secret, self._sealer.seal(secret, owner_id)

    def of_endpoint(self, endpoint: Endpoint) -> Sequence[str]:
        """The secrets that sign messages to the endpoint now, newest first."""
        return self._opened(endpoint.secret, endpoint.id)

    async def of_tenant(self, tenant: Tenant) -> SealedSecret:
        """The secret for webhooks of jobs, created at its first use."""
        found = await self._store.find_secret(tenant)
        if found is None:
            found = await self._store.keep_secret(tenant, self.make(tenant)[1])
        return found

    async def of_job_url(self, delivery: Delivery) -> tuple[str, Sequence[str]]:
        """The webhook URL of the delivery's job, and the secrets that sign messages to it."""
        assert delivery.sealed_url is not None
        secret = await self.of_tenant(delivery.tenant)
        return self.open(delivery.sealed_url, delivery.account_id), self._opened(secret, delivery.tenant)

    def open(self, sealed: str, owner_id: str) -> str:
        """Open a text that was sealed for this owner."""
        return self._sealer.open(sealed, owner_id)

    def seal(self, text: str, owner_id: str) -> str:
        """Seal a text for this owner."""
        return self._sealer.seal(text, owner_id)

    def _opened(self, secret: SealedSecret, owner_id: str) -> Sequence[str]:
        opened = [self._sealer.open(secret.sealed, owner_id)]
        if secret.old_sealed is not None and (secret.old_until or 0) > self._clock.now_ms():
            opened.append(self._sealer.open(secret.old_sealed, owner_id))
        return opened
