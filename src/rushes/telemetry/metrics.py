"""The counters of one process. Counters of several processes add up; a restart begins at 0, as Prometheus expects."""

from __future__ import annotations

import platform
from collections.abc import Iterable, Sequence
from http import HTTPStatus
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, Info, ProcessCollector

from rushes import __version__

HTTP_S: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 60)
CALL_S: Final = (0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300)
STAGE_S: Final = (0.1, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600, 1800, 3600)
WRITE_S: Final = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1, 5)
LATE_S: Final = (0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 5, 30)

VERBS: Final = ("submit", "poll", "find", "cancel", "fetch")
JOB_CODES: Final = (
    "aborted", "content_filtered", "expired", "internal", "no_credentials", "other", "output_invalid", "output_lost",
    "provider_auth", "provider_error", "provider_quota", "provider_rejected", "provider_unavailable",
    "storage_unavailable", "submission_unknown", "unexpected_response", "unusable_input",
)  # fmt: skip
"""The error codes with which jobs fail."""
UNDELIVERED_CODES: Final = ("output_lost", "submission_unknown")
KEY_CODES: Final = ("provider_auth", "provider_quota")


class Metrics:
    """The counters of one process, in a registry of their own.

    Labels have few values: routes, not addresses; our error codes, not words of providers; no account and no caller's
    key. A credential of the operator's shows by its name.
    `role` is the role of the process. `works` False leaves out the heartbeat, which only workers have.
    """

    def __init__(self, *, role: str = "all", works: bool = True) -> None:
        self.registry = registry = CollectorRegistry(auto_describe=True)
        served = ("provider", "model")
        ProcessCollector(registry=registry)
        Info("rushes_build", "The release that runs, and the role of this process", registry=registry).info(
            {"version": __version__, "python": platform.python_version(), "role": role}
        )
        self._http = Histogram(
            "rushes_http_request_duration_seconds",
            "HTTP requests, from their head to the end of the answer",
            ("method", "route", "status"),
            buckets=HTTP_S,
            registry=registry,
        )
        self._http_children: dict[tuple[str, str, int], Histogram] = {}
        self._expected: set[tuple[str, str, Sequence[str]]] = set()
        self._server_errors = Counter(
            "rushes_http_server_errors_total",
            "Requests that were answered with a status of 500 or more",
            registry=registry,
        )
        self.moves = Counter(
            "rushes_job_moves_total", "Jobs that reached this state", (*served, "state"), registry=registry
        )
        self.failures = Counter(
            "rushes_job_failures_total", "Jobs that failed, by error code", (*served, "code"), registry=registry
        )
        self.cost = Counter("rushes_cost_usd_total", "Cost of the completed jobs, in USD", served, registry=registry)
        self.stages = Histogram(
            "rushes_job_stage_duration_seconds",
            "How long ended jobs spent in a stage: waiting, submitting, generating, storing, or all of them (total)",
            (*served, "stage"),
            buckets=STAGE_S,
            registry=registry,
        )
        self.calls = Histogram(
            "rushes_provider_call_duration_seconds",
            "Calls to providers: submit, poll, find, cancel, fetch",
            ("provider", "verb"),
            buckets=CALL_S,
            registry=registry,
        )
        self.call_errors = Counter(
            "rushes_provider_errors_total",
            "Calls to providers that failed, by our error code",
            ("provider", "verb", "code"),
            registry=registry,
        )
        self.credential_calls = Counter(
            "rushes_credential_calls_total",
            "Calls to providers by the operator's credential, and our error code or ok",
            ("provider", "credential", "verb", "code"),
            registry=registry,
        )
        self.credential_jobs = Counter(
            "rushes_credential_jobs_total",
            "Jobs that reached this state after they were submitted with this credential",
            ("provider", "credential", "state"),
            registry=registry,
        )
        self.waits_late = Histogram(
            "rushes_poll_lag_seconds",
            "How much later than planned the waits between polls ended",
            buckets=LATE_S,
            registry=registry,
        )
        self.loop_late = Histogram(
            "rushes_event_loop_lag_seconds",
            "How late the event loop runs what is due, sampled once a second",
            buckets=LATE_S,
            registry=registry,
        )
        self.writes = Histogram(
            "rushes_database_write_duration_seconds",
            "Transactions, from the request to the commit on disk",
            buckets=WRITE_S,
            registry=registry,
        )
        self.deliveries = Histogram(
            "rushes_webhook_delivery_duration_seconds",
            "Attempts to deliver a webhook: delivered, failed, or refused because of the address",
            ("result",),
            buckets=CALL_S,
            registry=registry,
        )
        self._guardrail = Histogram(
            "rushes_guardrail_duration_seconds",
            "Questions to the guardrail, by what it said: allow, block, rewrite, or failed",
            ("answer",),
            buckets=CALL_S,
            registry=registry,
        )
        self.dropped = Counter(
            "rushes_telemetry_dropped_total",
            "Jobs whose stages and trace were not recorded, because too many ended at once",
            registry=registry,
        )
        self.heartbeat_at = Gauge(
            "rushes_heartbeat_timestamp_seconds",
            "When this worker last wrote its heartbeat",
            registry=registry if works else None,
        )
        self.clock_ahead = Gauge(
            "rushes_clock_ahead_seconds",
            "How far this worker's clock is ahead of the database's; below 0: behind",
            registry=registry if works else None,
        )

    def heartbeat_recorded(self, clock_ahead_s: float) -> None:
        """The database has taken a heartbeat."""
        self.heartbeat_at.set_to_current_time()
        self.clock_ahead.set(clock_ahead_s)

    def expect(self, served: Iterable[tuple[str, str]], codes: Sequence[str] = JOB_CODES) -> None:
        """Begin the series that alerts watch at 0 for these providers and models, with these codes of failures.

        Prometheus' `increase` and `rate` do not see the first event of a series that is born with it.
        """
        for provider, model in served:
            if (provider, model, codes) in self._expected:
                continue
            self._expected.add((provider, model, codes))
            for code in codes:
                self.failures.labels(provider, model, code)
            self.moves.labels(provider, model, "queued")
            for verb in VERBS:
                for code in KEY_CODES:
                    self.call_errors.labels(provider, verb, code)

    def judged(self, answer: str, duration_s: float) -> None:
        """Count an answer of the guardrail."""
        self._guardrail.labels(answer).observe(duration_s)

    def answered(self, method: str, route: str, status: int, duration_s: float) -> None:
        """Count a request that has ended."""
        key = (method, route, status)
        child = self._http_children.get(key)
        if child is None:
            child = self._http_children[key] = self._http.labels(method, route, str(status))
        child.observe(duration_s)
        if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
            self._server_errors.inc()
