"""GET /metrics: what Prometheus scrapes. It counts nothing per caller and shows no key, only fingerprints of ours."""

from __future__ import annotations

from fastapi import APIRouter, Request
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector
from starlette.responses import Response

from rushes.api.services import Services, services_of
from rushes.jobs.breaker import BreakerState

router = APIRouter()

LEVELS = {BreakerState.CLOSED: 0, BreakerState.HALF_OPEN: 1, BreakerState.OPEN: 2}


class BreakerCollector(Collector):
    """The circuit breakers that have seen trouble, as they are when they are scraped."""

    def __init__(self, services: Services) -> None:
        self._services = services

    def collect(self) -> list[GaugeMetricFamily]:
        """One sample a breaker: 0 closed, 1 half open, 2 open; and its failures in a row."""
        labels = ("provider", "surface", "credential")
        states = GaugeMetricFamily("rushes_breaker_state", "0 closed, 1 half open, 2 open", labels=labels)
        failures = GaugeMetricFamily("rushes_breaker_failures", "Submits in a row that did not arrive", labels=labels)
        for circuit, health in self._services.breakers().items():
            if circuit.byok:
                continue
            values = (circuit.provider, circuit.surface or "", circuit.credential or "")
            states.add_metric(values, LEVELS[health.state])
            failures.add_metric(values, health.failures)
        return [states, failures]


@router.get(
    "/metrics",
    summary="Metrics for Prometheus",
    response_class=Response,
    responses={200: {"content": {"text/plain": {"schema": {"type": "string"}}}}},
)
async def metrics(request: Request) -> Response:
    """The state of this process in Prometheus' text format."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(BreakerCollector(services_of(request)))
    return Response(generate_latest(registry), headers={"Content-Type": CONTENT_TYPE_LATEST})
