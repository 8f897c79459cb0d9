"""Webhooks: endpoints with their secrets and tests, and every message with a way to send it again."""

from __future__ import annotations

import json
from dataclasses import asdict
from http import HTTPStatus
from typing import Any

from starlette.responses import Response

from rushes.accounts.keys import Scope
from rushes.console.errors import field_errors, status_of
from rushes.console.routes import Page
from rushes.console.visit import Form, Visit, sentence_of
from rushes.domain.job_webhook import WebhookFormat
from rushes.errors import CallerError, JobNotFound
from rushes.jobs.rows import job_from
from rushes.views.job import view_of
from rushes.views.openrouter import openrouter_video
from rushes.webhooks.delivery import SendResult
from rushes.webhooks.endpoint import Delivery, DeliveryState
from rushes.webhooks.message import MessageType, message, openrouter_message
from rushes.webhooks.service import EndpointChanges
from rushes.webhooks.store import DeliveryListing

PAGE_SIZE = 50
LONGEST_DESCRIPTION = 500


async def list_webhooks(visit: Visit) -> Response:
    """The endpoints, and the account's newest messages."""
    return await _page(visit, Form())


async def make_webhook(visit: Visit) -> Response:
    """Register an endpoint, and show its secret this once."""
    form = visit.form
    known = {one.value: one for one in MessageType}
    events = tuple(known[name] for name in form.all("events") if name in known)
    try:
        endpoint, secret = await visit.services.webhooks.create(
            visit.signed_in, form.text("url"), events or None, form.text("description")[:LONGEST_DESCRIPTION] or None
        )
    except CallerError as error:
        return await _page(visit, form, error)
    return visit.page("webhook_made.html", endpoint=endpoint, secret=secret)


async def show_webhook(visit: Visit) -> Response:
    """One endpoint with its messages."""
    return await _endpoint_page(visit)


async def test_webhook(visit: Visit) -> Response:
    """Send a ping now, and show its result."""
    sent = await visit.services.webhooks.test(visit.signed_in, visit.request.path_params["webhook_id"])
    return await _endpoint_page(visit, sent)


async def switch_webhook(visit: Visit) -> Response:
    """Enable or disable an endpoint."""
    webhook_id = visit.request.path_params["webhook_id"]
    changes = EndpointChanges(enabled=visit.form.text("enabled") == "1")
    await visit.services.webhooks.change(visit.signed_in, webhook_id, changes)
    return visit.go(f"/webhooks/{webhook_id}")


async def delete_webhook(visit: Visit) -> Response:
    """Ask first, then forget the endpoint and its secret."""
    webhook_id = visit.request.path_params["webhook_id"]
    if not visit.form.has("confirmed"):
        endpoint = await visit.services.webhooks.get(visit.signed_in, webhook_id)
        return visit.page("delete_webhook.html", endpoint=endpoint)
    await visit.services.webhooks.delete(visit.signed_in, webhook_id)
    return visit.go("/webhooks")


async def show_delivery(visit: Visit) -> Response:
    """One message: its tries, and its body as it would be sent now."""
    delivery = await visit.services.webhooks.get_delivery(visit.signed_in, visit.request.path_params["delivery_id"])
    body = await _body(visit, delivery)
    text = None if body is None else json.dumps(json.loads(body), indent=2, ensure_ascii=False)
    return visit.page("delivery.html", delivery=delivery, body=text)


async def _body(visit: Visit, delivery: Delivery) -> bytes | None:
    """The message, unless its job was deleted and nothing is kept of it."""
    services = visit.services
    kept = delivery.snapshot is None
    try:
        if delivery.snapshot is None:
            job = await services.jobs.get(visit.signed_in, delivery.job_id)
        else:
            job = job_from(json.loads(delivery.snapshot))
    except JobNotFound:
        return None
    own = None if delivery.endpoint_id is not None or job.webhook is None else job.webhook.format
    if own is WebhookFormat.OPENROUTER:
        data = openrouter_video(job, services.links, None, visit.now_ms, deleted=not kept)
        return openrouter_message(delivery.event_at, data)
    view = asdict(view_of(job, services.links, None, visit.now_ms, deleted=not kept))
    return message(delivery.type, delivery.event_at, view)


async def redeliver(visit: Visit) -> Response:
    """Send a message again."""
    delivery = await visit.services.webhooks.redeliver(visit.signed_in, visit.request.path_params["delivery_id"])
    path = "/webhooks" if visit.form.text("back") == "all" or delivery.endpoint_id is None else None
    return visit.go(path or f"/webhooks/{delivery.endpoint_id}", notice="again")


async def _page(visit: Visit, form: Form, error: CallerError | None = None) -> Response:
    errors = {} if error is None else field_errors(error)
    return visit.page(
        "webhooks.html",
        status=HTTPStatus.OK if error is None else status_of(error),
        endpoints=await visit.services.webhooks.list(visit.signed_in),
        events=list(MessageType),
        form=form,
        errors=errors,
        error=None if error is None or errors else sentence_of(error),
        **await _deliveries(visit, None),
    )


async def _endpoint_page(visit: Visit, sent: SendResult | None = None) -> Response:
    webhook_id = visit.request.path_params["webhook_id"]
    endpoint = await visit.services.webhooks.get(visit.signed_in, webhook_id)
    return visit.page("webhook.html", endpoint=endpoint, sent=sent, **await _deliveries(visit, webhook_id))


async def _deliveries(visit: Visit, webhook_id: str | None) -> dict[str, Any]:
    query = visit.query
    state = query.text("state")
    before = query.text("before")
    listing = DeliveryListing(
        limit=PAGE_SIZE,
        endpoint_id=webhook_id,
        state=DeliveryState(state) if state in set(DeliveryState) else None,
        before_seq=int(before) if before.isdecimal() and len(before) <= 18 else None,
    )
    found = await visit.services.webhooks.list_deliveries(visit.signed_in, listing)
    base = "/webhooks" if webhook_id is None else f"/webhooks/{webhook_id}"
    is_more = len(found) == PAGE_SIZE
    return {
        "deliveries": found,
        "state": listing.state,
        "states": list(DeliveryState),
        "base": base,
        "older": visit.path(base, state=state or None, before=found[-1].seq) if is_more else None,
    }


PAGES = (
    Page("GET", "/webhooks", list_webhooks),
    Page("POST", "/webhooks", make_webhook, scope=Scope.MANAGE),
    Page("POST", "/webhooks/deliveries/{delivery_id}/again", redeliver, scope=Scope.MANAGE),
    Page("GET", "/webhooks/deliveries/{delivery_id}", show_delivery),
    Page("GET", "/webhooks/{webhook_id}", show_webhook),
    Page("POST", "/webhooks/{webhook_id}/test", test_webhook, scope=Scope.MANAGE),
    Page("POST", "/webhooks/{webhook_id}/switch", switch_webhook, scope=Scope.MANAGE),
    Page("POST", "/webhooks/{webhook_id}/delete", delete_webhook, scope=Scope.MANAGE),
)
