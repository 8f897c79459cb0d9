"""Counts the attempts to deliver webhooks by their results, and records each in the trace of its job."""

from __future__ import annotations

import time
from collections.abc import Sequence

from rushes.clock import Clock
from rushes.net.client import HttpClient
from rushes.telemetry.metrics import Metrics
from rushes.telemetry.spans import Spans, Step
from rushes.webhooks.delivery import ATTEMPT_S, Sender, SendResult
from rushes.webhooks.signing import SignedHeaders, signed_headers


class ObservedSender(Sender):
    """`Sender` that counts and traces each attempt."""

    def __init__(
        self, client: HttpClient, clock: Clock, metrics: Metrics, spans: Spans, *, attempt_s: float = ATTEMPT_S
    ) -> None:
        super().__init__(client, clock, attempt_s=attempt_s)
        self._metrics = metrics
        self._spans = spans

    async def send(
        self,
        url: str,
        message_id: str,
        body: bytes,
        signing_secrets: Sequence[str],
        *,
        account_id: str,
        traceparent: str | None = None,
        signed: SignedHeaders = signed_headers,
    ) -> SendResult:
        """Send once, as part of the given trace, if any."""
        began_ns = time.time_ns()
        sent = await super().send(
            url, message_id, body, signing_secrets, account_id=account_id, traceparent=traceparent, signed=signed
        )
        result = "delivered" if sent.is_success else "refused" if sent.refused else "failed"
        self._metrics.deliveries.labels(result).observe(sent.duration_ms / 1000)
        # Neither the address nor the message: both may hold private data.
        facts: dict[str, str | int] = {"rushes.message_id": message_id}
        if sent.status is not None:
            facts["http.response.status_code"] = sent.status
        code = None if sent.is_success else f"webhook_{result}"
        self._spans.record(traceparent, Step("webhook", began_ns, time.time_ns(), facts, code))
        return sent
