"""Deliveries of webhooks, counted by how they ended and told to the job's trace."""

from __future__ import annotations

import time
from collections.abc import Sequence

from rushes.clock import Clock
from rushes.net.client import HttpClient
from rushes.telemetry.metrics import Metrics
from rushes.telemetry.spans import Spans, Step
from rushes.webhooks.delivery import TRY_S, Heard, Sender


class ObservedSender(Sender):
    """`Sender` that tells of each try."""

    def __init__(
        self, client: HttpClient, clock: Clock, metrics: Metrics, spans: Spans, *, try_s: float = TRY_S
    ) -> None:
        super().__init__(client, clock, try_s=try_s)
        self._metrics = metrics
        self._spans = spans

    async def send(
        self,
        url: str,
        message_id: str,
        body: bytes,
        signing_secrets: Sequence[str],
        *,
        traceparent: str | None = None,
    ) -> Heard:
        """Try once, as part of the trace that is given, if any."""
        began_ns = time.time_ns()
        heard = await super().send(url, message_id, body, signing_secrets, traceparent=traceparent)
        result = "delivered" if heard.is_success else "refused" if heard.refused else "failed"
        self._metrics.deliveries.labels(result).observe(heard.duration_ms / 1000)
        # Neither the address nor the message: either may hold what is nobody else's business.
        facts: dict[str, str | int] = {"rushes.message_id": message_id}
        if heard.status is not None:
            facts["http.response.status_code"] = heard.status
        code = None if heard.is_success else f"webhook_{result}"
        self._spans.tell(traceparent, Step("webhook", began_ns, time.time_ns(), facts, code))
        return heard
