"""What owners do with webhooks: register receivers, rotate secrets, test them, send a message again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from rushes.accounts.keys import Caller
from rushes.clock import Clock
from rushes.domain.job_webhook import JobWebhook
from rushes.errors import RefusedAddress, RefusedInput
from rushes.ids import new_id
from rushes.net.client import HttpClient, Sink
from rushes.webhooks.delivery import Heard, Sender
from rushes.webhooks.endpoint import Delivery, Endpoint, SealedSecret, shown_url
from rushes.webhooks.message import PING, message
from rushes.webhooks.signing_secrets import SigningSecrets
from rushes.webhooks.store import Change, DeliveryListing, WebhookStore


@dataclass(frozen=True, slots=True)
class Wish:
    """What an owner wants changed of an endpoint; `events_given` and `description_given` tell None from not given."""

    url: str | None = None
    events: tuple[str, ...] | None = None
    events_given: bool = False
    description: str | None = None
    description_given: bool = False
    enabled: bool | None = None


class WebhookService:
    """The owner's side of webhooks. Another account's are WebhookNotFound."""

    def __init__(
        self,
        store: WebhookStore,
        signing_secrets: SigningSecrets,
        sender: Sender,
        client: HttpClient,
        clock: Clock,
        *,
        https_only: bool,
    ) -> None:
        self._store = store
        self._secrets = signing_secrets
        self._sender = sender
        self._client = client
        self._clock = clock
        self._https_only = https_only

    def job_webhook(self, caller: Caller, url: str, events: Sequence[str] | None) -> JobWebhook:
        """Whom a job's caller wants told, as the job keeps it. Raises RefusedInput."""
        self._check(url, "webhook_url")
        sealed_url = self._secrets.seal(url, caller.account_id)
        return JobWebhook(sealed_url, shown_url(url), None if events is None else tuple(events))

    async def create(
        self, caller: Caller, url: str, events: tuple[str, ...] | None, description: str | None
    ) -> tuple[Endpoint, str]:
        """A new endpoint, and the secret that is shown this once. Raises RefusedInput or WebhookLimitReached."""
        self._check(url, "url")
        endpoint_id = new_id("whe")
        secret, sealed = self._secrets.make(endpoint_id)
        change = Change(url, events, description, enabled=True)
        return await self._store.create(endpoint_id, caller.account_id, change, sealed), secret

    async def list(self, caller: Caller) -> Sequence[Endpoint]:
        """The account's endpoints, oldest first."""
        return await self._store.list(caller.account_id)

    async def get(self, caller: Caller, endpoint_id: str) -> Endpoint:
        """One of them. Raises WebhookNotFound."""
        return await self._store.get(caller.account_id, endpoint_id)

    async def change(self, caller: Caller, endpoint_id: str, wish: Wish) -> Endpoint:
        """Change what is given. Raises WebhookNotFound or RefusedInput."""
        endpoint = await self.get(caller, endpoint_id)
        change = Change(endpoint.url, endpoint.events, endpoint.description, endpoint.enabled)
        if wish.url is not None:
            self._check(wish.url, "url")
            change = replace(change, url=wish.url)
        if wish.events_given:
            change = replace(change, events=wish.events)
        if wish.description_given:
            change = replace(change, description=wish.description)
        if wish.enabled is not None:
            change = replace(change, enabled=wish.enabled)
        return await self._store.change(caller.account_id, endpoint_id, change)

    async def rotate(self, caller: Caller, endpoint_id: str) -> tuple[Endpoint, str]:
        """A new secret, shown this once; the old one signs too for a day. Raises WebhookNotFound."""
        secret, sealed = self._secrets.make(endpoint_id)
        return await self._store.rotate(caller.account_id, endpoint_id, sealed), secret

    async def delete(self, caller: Caller, endpoint_id: str) -> None:
        """Forget an endpoint. Raises WebhookNotFound."""
        await self._store.delete(caller.account_id, endpoint_id)

    async def test(self, caller: Caller, endpoint_id: str) -> Heard:
        """Send a message that means nothing, once, and say what was heard. Raises WebhookNotFound."""
        endpoint = await self.get(caller, endpoint_id)
        body = message(PING, self._clock.now_ms(), {"webhook_id": endpoint.id})
        return await self._sender.send(endpoint.url, new_id("msg"), body, self._secrets.of_endpoint(endpoint))

    async def signing_secret(self, caller: Caller) -> tuple[str, SealedSecret]:
        """What signs messages to the URLs that come with jobs; made when it is first asked for."""
        secret = await self._secrets.of_account(caller.account_id)
        return self._secrets.open(secret.sealed, caller.account_id), secret

    async def rotate_signing_secret(self, caller: Caller) -> tuple[str, SealedSecret]:
        """A new one; the old one signs too for a day."""
        secret, sealed = self._secrets.make(caller.account_id)
        return secret, await self._store.rotate_secret(caller.account_id, sealed)

    async def list_deliveries(self, caller: Caller, listing: DeliveryListing) -> Sequence[Delivery]:
        """The account's matching deliveries, newest first. Raises WebhookNotFound for an endpoint that is not there."""
        if listing.endpoint_id is not None:
            await self.get(caller, listing.endpoint_id)
        return await self._store.list_deliveries(caller.account_id, listing)

    async def redeliver(self, caller: Caller, delivery_id: str) -> Delivery:
        """Send a message again. Raises DeliveryNotFound or NotRedeliverable."""
        return await self._store.redeliver(caller.account_id, delivery_id)

    def _check(self, url: str, field: str) -> None:
        """As far as its text tells; where its name leads is checked at each call."""
        try:
            checked = self._client.check_url(url, Sink.WEBHOOKS)
        except RefusedAddress as exc:
            raise RefusedInput(f"{field}: {exc.message}", field) from exc
        if self._https_only and checked.scheme != "https":
            raise RefusedInput(f"{field}: the URL's scheme '{checked.scheme}' is refused; give an https URL", field)
