"""What owners do with webhooks: register endpoints, rotate secrets, test them, send a message again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from rushes.accounts.keys import Caller
from rushes.clock import Clock
from rushes.domain.job_webhook import JobWebhook, WebhookFormat
from rushes.errors import RefusedAddress, RefusedInput
from rushes.ids import new_id
from rushes.net.client import HttpClient, Sink
from rushes.shared_places import WEBHOOK_TESTS, SharedPlace
from rushes.webhooks.delivery import Sender, SendResult
from rushes.webhooks.endpoint import Delivery, Endpoint, SealedSecret, shown_url
from rushes.webhooks.message import PING, message
from rushes.webhooks.signing_secrets import SigningSecrets
from rushes.webhooks.store import Change, DeliveryListing, WebhookStore


@dataclass(frozen=True, slots=True)
class EndpointChanges:
    """The changes to an endpoint. `events_given` and `description_given` distinguish None from not given."""

    url: str | None = None
    events: tuple[str, ...] | None = None
    events_given: bool = False
    description: str | None = None
    description_given: bool = False
    enabled: bool | None = None


class WebhookService:
    """The webhooks of a tenant. An endpoint of another tenant raises WebhookNotFound."""

    def __init__(
        self,
        store: WebhookStore,
        signing_secrets: SigningSecrets,
        sender: Sender,
        client: HttpClient,
        clock: Clock,
        *,
        https_only: bool,
        tests: SharedPlace | None = None,
    ) -> None:
        """`tests` is where accounts send their test messages."""
        self._store = store
        self._secrets = signing_secrets
        self._sender = sender
        self._client = client
        self._clock = clock
        self._https_only = https_only
        self._tests = tests or SharedPlace(WEBHOOK_TESTS)

    def job_webhook(
        self,
        caller: Caller,
        url: str,
        events: Sequence[str] | None,
        *,
        message_format: WebhookFormat = WebhookFormat.STANDARD,
    ) -> JobWebhook:
        """The webhook of one job, in the form that the job stores. Raises RefusedInput."""
        self._check(url, "webhook_url")
        sealed_url = self._secrets.seal(url, caller.account_id)
        return JobWebhook(sealed_url, shown_url(url), None if events is None else tuple(events), message_format)

    async def create(
        self, caller: Caller, url: str, events: tuple[str, ...] | None, description: str | None
    ) -> tuple[Endpoint, str]:
        """Create an endpoint. Returns it with its secret, which is shown only now.

        Raises RefusedInput or WebhookLimitReached.
        """
        self._check(url, "url")
        endpoint_id = new_id("whe")
        secret, sealed = self._secrets.make(endpoint_id)
        change = Change(url, events, description, enabled=True)
        return await self._store.create(endpoint_id, caller.tenant, change, sealed), secret

    async def list(self, caller: Caller) -> Sequence[Endpoint]:
        """The tenant's endpoints, oldest first."""
        return await self._store.list(caller.tenant)

    async def get(self, caller: Caller, endpoint_id: str) -> Endpoint:
        """One endpoint. Raises WebhookNotFound."""
        return await self._store.get(caller.tenant, endpoint_id)

    async def change(self, caller: Caller, endpoint_id: str, changes: EndpointChanges) -> Endpoint:
        """Apply the given changes. Raises WebhookNotFound or RefusedInput."""
        endpoint = await self.get(caller, endpoint_id)
        change = Change(endpoint.url, endpoint.events, endpoint.description, endpoint.enabled)
        if changes.url is not None:
            self._check(changes.url, "url")
            change = replace(change, url=changes.url)
        if changes.events_given:
            change = replace(change, events=changes.events)
        if changes.description_given:
            change = replace(change, description=changes.description)
        if changes.enabled is not None:
            change = replace(change, enabled=changes.enabled)
        return await self._store.change(caller.tenant, endpoint_id, change)

    async def rotate(self, caller: Caller, endpoint_id: str) -> tuple[Endpoint, str]:
        """Create a new secret, which is shown only now. The old one signs too for a day. Raises WebhookNotFound."""
        secret, sealed = self._secrets.make(endpoint_id)
        return await self._store.rotate(caller.tenant, endpoint_id, sealed), secret

    async def delete(self, caller: Caller, endpoint_id: str) -> None:
        """Delete an endpoint. Raises WebhookNotFound."""
        await self._store.delete(caller.tenant, endpoint_id)

    async def test(self, caller: Caller, endpoint_id: str) -> SendResult:
        """Send one test message, without retries.

        Raises WebhookNotFound, AccountBusy if the account sends too many at once, Overloaded if all accounts do.
        """
        endpoint = await self.get(caller, endpoint_id)
        body = message(PING, self._clock.now_ms(), {"webhook_id": endpoint.id})
        with self._tests.take(caller.account_id):
            return await self._sender.send(
                endpoint.url,
                new_id("msg"),
                body,
                self._secrets.of_endpoint(endpoint),
                account_id=caller.account_id,
            )

    async def signing_secret(self, caller: Caller) -> tuple[str, SealedSecret]:
        """The secret that signs messages to webhooks of jobs. It is created at its first use."""
        secret = await self._secrets.of_tenant(caller.tenant)
        return self._secrets.open(secret.sealed, caller.tenant), secret

    async def rotate_signing_secret(self, caller: Caller) -> tuple[str, SealedSecret]:
        """Create a new secret; the old one signs too for a day."""
        secret, sealed = self._secrets.make(caller.tenant)
        return secret, await self._store.rotate_secret(caller.tenant, sealed)

    async def list_deliveries(self, caller: Caller, listing: DeliveryListing) -> Sequence[Delivery]:
        """The matching deliveries of the tenant, newest first. Raises WebhookNotFound for an unknown endpoint."""
        if listing.endpoint_id is not None:
            await self.get(caller, listing.endpoint_id)
        return await self._store.list_deliveries(caller.tenant, listing)

    async def get_delivery(self, caller: Caller, delivery_id: str) -> Delivery:
        """One message. Raises DeliveryNotFound."""
        return await self._store.get_delivery(caller.tenant, delivery_id)

    async def redeliver(self, caller: Caller, delivery_id: str) -> Delivery:
        """Send a message again. Raises DeliveryNotFound or NotRedeliverable."""
        return await self._store.redeliver(caller.tenant, delivery_id)

    def _check(self, url: str, field: str) -> None:
        """Check the text of a URL. The address of its host is checked at each call."""
        try:
            checked = self._client.check_url(url, Sink.WEBHOOKS)
        except RefusedAddress as exc:
            raise RefusedInput(f"{field}: {exc.message}", field) from exc
        if self._https_only and checked.scheme != "https":
            raise RefusedInput(f"{field}: the URL's scheme '{checked.scheme}' is refused; give an https URL", field)
