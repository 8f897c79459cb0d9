"""The answer of `/metrics`: the counters, and what is read from the database at each scrape."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Final

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from rushes.domain.job import Status
from rushes.engine.breaker import BreakerState, Circuit, CircuitHealth
from rushes.errors import DatabaseUnavailable
from rushes.shared_places import SharedPlace
from rushes.telemetry.metrics import Metrics
from rushes.telemetry.store import Snapshot, TelemetryStore

LEVELS: Final = {BreakerState.CLOSED: 0, BreakerState.HALF_OPEN: 1, BreakerState.OPEN: 2}


class Scrape:
    """Makes the answer of `/metrics`.

    `gauges` are numbers of this process, by their names and their help texts. `looked_up` finds out others.
    """

    def __init__(
        self,
        metrics: Metrics,
        store: TelemetryStore,
        breakers: Callable[[], Mapping[Circuit, CircuitHealth]],
        gauges: Mapping[tuple[str, str], Callable[[], float]],
        places: Iterable[SharedPlace] = (),
        looked_up: Callable[[], Awaitable[Mapping[tuple[str, str], float]]] | None = None,
    ) -> None:
        self._metrics = metrics
        self._store = store
        self._breakers = breakers
        self._gauges = gauges
        self._places = places
        self._looked_up = looked_up

    async def text(self) -> bytes:
        """Prometheus' text format. What the database would say is missing while it cannot be read."""
        families: list[Metric] = [*self._breaker_families(), *self._own_families(), *_place_families(self._places)]
        if self._looked_up is not None:
            families += [GaugeMetricFamily(*named, value) for named, value in (await self._looked_up()).items()]
        up = GaugeMetricFamily("rushes_database_up", "Whether the database could be read for these metrics")
        try:
            families += _snapshot_families(await self._store.read())
            up.add_metric((), 1)
        except DatabaseUnavailable:
            up.add_metric((), 0)
        looked_up = CollectorRegistry(auto_describe=False)
        looked_up.register(_Families([*families, up]))
        return generate_latest(looked_up) + generate_latest(self._metrics.registry)

    def _breaker_families(self) -> list[GaugeMetricFamily]:
        labels = ("provider", "surface", "credential")
        states = GaugeMetricFamily("rushes_breaker_state", "0 closed, 1 half open, 2 open", labels=labels)
        failures = GaugeMetricFamily(
            "rushes_breaker_failures", "Consecutive submits that did not reach the provider", labels=labels
        )
        for circuit, health in self._breakers().items():
            # The circuits of callers' own keys are private.
            if circuit.byok:
                continue
            values = (circuit.provider, circuit.api or "", circuit.credential or "")
            states.add_metric(values, LEVELS[health.state])
            failures.add_metric(values, health.failures)
        return [states, failures]

    def _own_families(self) -> list[GaugeMetricFamily]:
        return [GaugeMetricFamily(name, meaning, read()) for (name, meaning), read in self._gauges.items()]


def _place_families(places: Iterable[SharedPlace]) -> list[Metric]:
    held = GaugeMetricFamily("rushes_shared_place_held", "How much of a shared place is held", labels=("place",))
    most = GaugeMetricFamily("rushes_shared_place_most", "How much of it may be held", labels=("place",))
    waiting = GaugeMetricFamily("rushes_shared_place_waiting", "Requests that wait for their turn", labels=("place",))
    refusals = CounterMetricFamily(
        "rushes_shared_place_refusals", "Requests refused for its bound or its share", labels=("place", "reason")
    )
    for place in places:
        name = place.declaration.name
        held.add_metric((name,), place.held)
        most.add_metric((name,), place.declaration.most)
        waiting.add_metric((name,), place.waiting)
        for reason in ("account", "all"):
            refusals.add_metric((name, reason), place.refused[reason])
    return [held, most, waiting, refusals]


def _snapshot_families(snapshot: Snapshot) -> list[GaugeMetricFamily]:
    jobs = GaugeMetricFamily("rushes_jobs", "Stored jobs of all accounts, by status", labels=("status",))
    for status in Status:
        jobs.add_metric((status.value,), snapshot.jobs.get(status.value, 0))
    labels = ("provider", "model")
    waiting = GaugeMetricFamily("rushes_queue_jobs", "Jobs that wait for a worker or for a free slot", labels=labels)
    in_use = GaugeMetricFamily("rushes_lane_jobs", "Jobs that hold a slot of their model", labels=labels)
    oldest = GaugeMetricFamily(
        "rushes_queue_age_seconds", "For how long the oldest waiting job could have started", labels=labels
    )
    for served, lane in snapshot.lanes.items():
        waiting.add_metric(served, lane.ready)
        in_use.add_metric(served, lane.in_use)
        oldest.add_metric(served, lane.oldest_s)
    stored = GaugeMetricFamily("rushes_stored", "What accounts keep, of all accounts together", labels=("what",))
    for name, held in snapshot.stored.items():
        stored.add_metric((name,), held)
    workers = GaugeMetricFamily("rushes_workers", "Workers: alive, or overdue with their heartbeat", labels=("state",))
    workers.add_metric(("alive",), snapshot.workers_alive)
    workers.add_metric(("overdue",), snapshot.workers_overdue)
    return [
        jobs,
        waiting,
        in_use,
        oldest,
        stored,
        workers,
        GaugeMetricFamily(
            "rushes_jobs_needing_operator",
            "Ended jobs that only an operator can settle or recover",
            snapshot.need_operator,
        ),
        GaugeMetricFamily(
            "rushes_webhook_receivers_due", "Receivers with a message that is due", snapshot.receivers_due
        ),
        GaugeMetricFamily(
            "rushes_webhook_age_seconds", "For how long the oldest due message has been due", snapshot.webhook_oldest_s
        ),
    ]


class _Families(Collector):
    def __init__(self, families: Iterable[Metric]) -> None:
        self._families = families

    def collect(self) -> Iterable[Metric]:
        return self._families
