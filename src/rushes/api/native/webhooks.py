"""/webhooks: whom we tell of an account's jobs, what signs it, and how each message fared."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from pydantic import BaseModel, ConfigDict, Field, field_validator
from starlette.responses import Response

from rushes.accounts.keys import Caller
from rushes.api.answers import json_response
from rushes.api.authentication import Manager, Viewer
from rushes.api.cursors import cursor_of, seq_of
from rushes.api.document import leads_to
from rushes.api.native.answers import problems
from rushes.api.services import services_of
from rushes.intake.body import read_json_object, refuse_unknown, shaped
from rushes.intake.generation import MOST_EVENTS, known_events
from rushes.views.times import rfc3339, rfc3339_or_none
from rushes.webhooks.endpoint import Delivery, DeliveryState, Endpoint, SealedSecret
from rushes.webhooks.message import MessageType
from rushes.webhooks.service import EndpointChanges
from rushes.webhooks.store import DeliveryListing

router = APIRouter()

NOT_STORED = {"Cache-Control": "no-store"}

LIST_PARAMETERS = ("limit", "cursor", "status", "mode")

Limit = Annotated[int, Query(ge=1, le=1000, description="Most deliveries to answer.")]
Cursor = Annotated[str | None, Query(description="`next_cursor` of the page before.")]
StatusParameter = Annotated[DeliveryState | None, Query(description="Only deliveries in this status.")]

THE_WEBHOOK = {"webhook_id": "$response.body#/id"}
LINKS_OF_A_WEBHOOK = {
    "get_webhook": THE_WEBHOOK,
    "change_webhook": THE_WEBHOOK,
    "rotate_webhook": THE_WEBHOOK,
    "test_webhook": THE_WEBHOOK,
    "list_deliveries": THE_WEBHOOK,
    "delete_webhook": THE_WEBHOOK,
}
A_DELIVERY = {"delivery_id": "$response.body#/deliveries/0/id"}

Events = Annotated[
    list[MessageType] | None,
    Field(min_length=1, max_length=MOST_EVENTS, description="The events to receive; null means all."),
]


class _Body(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid")

    @field_validator("events", mode="before", check_fields=False)
    @classmethod
    def _known_events(cls, events: object) -> object:
        return known_events(events)


class NewWebhook(_Body):
    """What POST /webhooks takes."""

    url: str = Field(max_length=8192, description="Where we POST, http or https; a public address.")
    events: Events = None
    description: str | None = Field(None, max_length=500, description="For people.")


class ChangedWebhook(_Body):
    """What PATCH /webhooks/{webhook_id} takes: what is left out stays."""

    url: str | None = Field(None, max_length=8192)
    events: Events = None
    description: str | None = Field(None, max_length=500)
    enabled: bool | None = Field(None, description="Enabling also forgets why it was disabled.")


class WebhookView(BaseModel):
    """One endpoint. Its secret is shown only when it is made."""

    id: str
    url: str
    events: list[str] | None
    description: str | None
    enabled: bool
    disabled_reason: str | None
    created_at: str
    consecutive_failures: int = Field(description="Failed tries since the last success; 0 when all is well.")
    last_error: str | None
    last_error_at: str | None
    previous_secret_expires_at: str | None


class WebhookWithSecret(WebhookView):
    """The same with its signing secret, which is never shown again."""

    secret: str


class WebhookList(BaseModel):
    """All of an account's endpoints, oldest first."""

    webhooks: list[WebhookView]


class SigningSecret(BaseModel):
    """What signs messages to each `webhook_url` of the account."""

    secret: str
    previous_secret_expires_at: str | None


class TestedWebhook(BaseModel):
    """What the receiver said to a message without meaning."""

    success: bool
    status_code: int | None
    duration_ms: int
    error: str | None


class DeliveryView(BaseModel):
    """One message to one receiver. `id` is its `webhook-id`; `webhook_id` null means the job's own `webhook_url`."""

    id: str
    webhook_id: str | None
    url: str = Field(description="Without its query.")
    job_id: str
    type: str
    timestamp: str
    status: DeliveryState
    attempts: int
    next_attempt_at: str | None
    last_attempt_at: str | None
    last_status_code: int | None
    last_duration_ms: int | None
    last_error: str | None
    created_at: str


class DeliveryPage(BaseModel):
    """Deliveries, newest first."""

    deliveries: list[DeliveryView]
    next_cursor: str | None


def _takes(shape: type[BaseModel]) -> dict[str, Any]:
    schema = {"schema": shape.model_json_schema()}
    return {"requestBody": {"required": True, "content": {"application/json": schema}}}


@router.post(
    "/webhooks",
    summary="Register a webhook",
    status_code=201,
    response_model=WebhookWithSecret,
    responses=problems(400, 401, 409, 413, 415, 422, 503) | leads_to(201, **LINKS_OF_A_WEBHOOK),
    openapi_extra=_takes(NewWebhook),
)
async def create_webhook(request: Request, caller: Manager) -> Response:
    """A receiver of the events of every job that the account's keys of this mode make.

    The answer shows its secret, this once.
    """
    content = await read_json_object(request)
    refuse_unknown(content, NewWebhook.model_fields)
    body = shaped(NewWebhook, content)
    endpoint, secret = await services_of(request).webhooks.create(
        caller, body.url, None if body.events is None else tuple(body.events), body.description
    )
    prefix = services_of(request).links.path_prefix
    headers = {"Location": f"{prefix}/api/v1/webhooks/{endpoint.id}", **NOT_STORED}
    return json_response(_with_secret(request, endpoint, secret), status=201, headers=headers)


@router.get("/webhooks", summary="List webhooks", response_model=WebhookList, responses=problems(401, 422, 503))
async def list_webhooks(request: Request, caller: Viewer) -> Response:
    """All of the account's endpoints, oldest first."""
    endpoints = await services_of(request).webhooks.list(caller)
    return json_response(WebhookList(webhooks=[_view(request, endpoint) for endpoint in endpoints]))


@router.get(
    "/webhooks/signing-secret",
    summary="Get the secret that signs messages to a job's own webhook_url",
    response_model=SigningSecret,
    responses=problems(401, 503),
)
async def get_signing_secret(request: Request, caller: Manager) -> Response:
    """One for live keys and one for test keys, made when first needed. It can be read as often as a receiver starts.

    Needs the scope `manage`: who has it could send messages in our name.
    """
    secret, kept = await services_of(request).webhooks.signing_secret(caller)
    return _signing_secret(request, secret, kept)


@router.post(
    "/webhooks/signing-secret/rotate",
    summary="Replace that secret",
    response_model=SigningSecret,
    responses=problems(401, 503),
)
async def rotate_signing_secret(request: Request, caller: Manager) -> Response:
    """For 24 hours messages carry the signatures of both."""
    secret, kept = await services_of(request).webhooks.rotate_signing_secret(caller)
    return _signing_secret(request, secret, kept)


@router.get(
    "/webhooks/deliveries",
    summary="List the account's deliveries",
    response_model=DeliveryPage,
    responses=problems(400, 401, 422, 503) | leads_to(redeliver=A_DELIVERY),
)
async def list_all_deliveries(
    request: Request, caller: Viewer, limit: Limit = 20, cursor: Cursor = None, status: StatusParameter = None
) -> Response:
    """Newest first, also those to a job's own `webhook_url`; `status=dead` are those that were given up."""
    return await _deliveries(request, caller, None, limit, cursor, status)


@router.post(
    "/webhooks/deliveries/{delivery_id}/redeliver",
    summary="Send a message again",
    response_model=DeliveryView,
    responses=problems(401, 404, 409, 503),
)
async def redeliver(request: Request, delivery_id: str, caller: Manager) -> Response:
    """A settled message gets all of its tries anew; one that waits for its next try gets it now. The id stays."""
    return json_response(_delivery(await services_of(request).webhooks.redeliver(caller, delivery_id)))


@router.get("/webhooks/{webhook_id}", summary="Get a webhook", response_model=WebhookView,
            responses=problems(401, 404, 422, 503))  # fmt: skip
async def get_webhook(request: Request, webhook_id: str, caller: Viewer) -> Response:
    """One endpoint, and whether it has been failing."""
    return json_response(_view(request, await services_of(request).webhooks.get(caller, webhook_id)))


@router.patch(
    "/webhooks/{webhook_id}",
    summary="Change a webhook",
    response_model=WebhookView,
    responses=problems(400, 401, 404, 413, 415, 422, 503) | leads_to(**LINKS_OF_A_WEBHOOK),
    openapi_extra=_takes(ChangedWebhook),
)
async def change_webhook(request: Request, webhook_id: str, caller: Manager) -> Response:
    """Changes what is given. `events` and `description` may be null: everything, and none."""
    content = await read_json_object(request)
    refuse_unknown(content, ChangedWebhook.model_fields)
    body = shaped(ChangedWebhook, content)
    changes = EndpointChanges(
        url=body.url,
        events=None if body.events is None else tuple(body.events),
        events_given="events" in body.model_fields_set,
        description=body.description,
        description_given="description" in body.model_fields_set,
        enabled=body.enabled,
    )
    return json_response(_view(request, await services_of(request).webhooks.change(caller, webhook_id, changes)))


@router.delete("/webhooks/{webhook_id}", summary="Delete a webhook", status_code=204, response_class=Response,
               responses=problems(401, 404, 503))  # fmt: skip
async def delete_webhook(request: Request, webhook_id: str, caller: Manager) -> Response:
    """Forgets it and its secret; what was still to be delivered to it is given up."""
    await services_of(request).webhooks.delete(caller, webhook_id)
    return Response(status_code=204)


@router.post(
    "/webhooks/{webhook_id}/rotate",
    summary="Replace a webhook's secret",
    response_model=WebhookWithSecret,
    responses=problems(401, 404, 503),
)
async def rotate_webhook(request: Request, webhook_id: str, caller: Manager) -> Response:
    """The answer shows the new secret, this once. For 24 hours messages carry the signatures of both."""
    endpoint, secret = await services_of(request).webhooks.rotate(caller, webhook_id)
    return json_response(_with_secret(request, endpoint, secret), headers=NOT_STORED)


@router.post(
    "/webhooks/{webhook_id}/test",
    summary="Test a webhook",
    response_model=TestedWebhook,
    responses=problems(401, 404, 503),
)
async def test_webhook(request: Request, webhook_id: str, caller: Manager) -> Response:
    """Sends one `webhook.ping`, also if it is disabled, and answers what was result. Nothing is tried again."""
    result = await services_of(request).webhooks.test(caller, webhook_id)
    return json_response(
        TestedWebhook(
            success=result.is_success, status_code=result.status, duration_ms=result.duration_ms, error=result.error
        )
    )


@router.get(
    "/webhooks/{webhook_id}/deliveries",
    summary="List a webhook's deliveries",
    response_model=DeliveryPage,
    responses=problems(400, 401, 404, 422, 503) | leads_to(redeliver=A_DELIVERY),
)
async def list_deliveries(
    request: Request,
    webhook_id: str,
    caller: Viewer,
    limit: Limit = 20,
    cursor: Cursor = None,
    status: StatusParameter = None,
) -> Response:
    """Newest first. Settled ones are kept for 30 days."""
    return await _deliveries(request, caller, webhook_id, limit, cursor, status)


async def _deliveries(
    request: Request,
    caller: Caller,
    endpoint_id: str | None,
    limit: int,
    cursor: str | None,
    status: DeliveryState | None,
) -> Response:
    refuse_unknown(request.query_params, LIST_PARAMETERS, "parameter")
    before_seq = None if cursor is None else seq_of(cursor)
    listing = DeliveryListing(limit=limit, endpoint_id=endpoint_id, state=status, before_seq=before_seq)
    found = await services_of(request).webhooks.list_deliveries(caller, listing)
    next_cursor = cursor_of(found[-1].seq) if len(found) == limit else None
    return json_response(DeliveryPage(deliveries=[_delivery(one) for one in found], next_cursor=next_cursor))


def _view(request: Request, endpoint: Endpoint) -> WebhookView:
    return WebhookView(
        id=endpoint.id,
        url=endpoint.url,
        events=None if endpoint.events is None else list(endpoint.events),
        description=endpoint.description,
        enabled=endpoint.enabled,
        disabled_reason=endpoint.disabled_reason,
        created_at=rfc3339(endpoint.created_at),
        consecutive_failures=endpoint.consecutive_failures,
        last_error=endpoint.last_error,
        last_error_at=rfc3339_or_none(endpoint.last_error_at),
        previous_secret_expires_at=_previous_until(request, endpoint.secret),
    )


def _with_secret(request: Request, endpoint: Endpoint, secret: str) -> WebhookWithSecret:
    return WebhookWithSecret(**_view(request, endpoint).model_dump(), secret=secret)


def _signing_secret(request: Request, secret: str, kept: SealedSecret) -> Response:
    view = SigningSecret(secret=secret, previous_secret_expires_at=_previous_until(request, kept))
    return json_response(view, headers=NOT_STORED)


def _previous_until(request: Request, kept: SealedSecret) -> str | None:
    is_over = kept.old_until is None or kept.old_until <= services_of(request).clock.now_ms()
    return None if is_over else rfc3339_or_none(kept.old_until)


def _delivery(delivery: Delivery) -> DeliveryView:
    is_pending = delivery.state is DeliveryState.PENDING
    return DeliveryView(
        id=delivery.id,
        webhook_id=delivery.endpoint_id,
        url=delivery.shown_url,
        job_id=delivery.job_id,
        type=delivery.type,
        timestamp=rfc3339(delivery.event_at),
        status=delivery.state,
        attempts=delivery.attempts,
        next_attempt_at=rfc3339(delivery.next_attempt_at) if is_pending else None,
        last_attempt_at=rfc3339_or_none(delivery.last_attempt_at),
        last_status_code=delivery.last_status,
        last_duration_ms=delivery.last_duration_ms,
        last_error=delivery.last_error,
        created_at=rfc3339(delivery.created_at),
    )
