"""GET /metrics: what Prometheus scrapes. It counts nothing per caller and shows no key, only fingerprints of ours."""

from __future__ import annotations

import hmac

from fastapi import APIRouter, Request
from prometheus_client import CONTENT_TYPE_LATEST
from starlette.responses import Response

from rushes.api.native.answers import problems
from rushes.api.process_status import process_status_of
from rushes.errors import NotAuthenticated

router = APIRouter()


@router.get(
    "/metrics",
    summary="Metrics for Prometheus",
    response_class=Response,
    responses={200: {"content": {"text/plain": {"schema": {"type": "string"}}}}, **problems(401)},
)
async def metrics(request: Request) -> Response:
    """The state of this process in Prometheus' text format. Open, unless `RUSHES_METRICS_TOKEN` is set."""
    process_status = process_status_of(request)
    token = process_status.metrics_token
    if token is not None:
        scheme, _, sent = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not hmac.compare_digest(sent.strip().encode(), token.encode()):
            raise NotAuthenticated("Metrics need the token that RUSHES_METRICS_TOKEN holds, as 'Authorization: Bearer'")
    return Response(await process_status.scrape.text(), headers={"Content-Type": CONTENT_TYPE_LATEST})
