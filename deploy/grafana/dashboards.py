"""Writes the Grafana dashboards beside this file: `python deploy/grafana/dashboards.py`.

Each panel is a line here: its title, its unit, what it shows and its queries. A test compares the files with this list
and asks a real Prometheus each query.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).resolve().parent
SOURCE = {"type": "prometheus", "uid": "${source}"}
COLUMNS = 2
WIDTH = 24 // COLUMNS
HEIGHT = 8


@dataclass(frozen=True)
class Panel:
    """One panel. `queries` has a legend for each expression; `unit` is Grafana's name of it."""

    title: str
    unit: str
    about: str
    queries: dict[str, str]
    kind: str = "timeseries"


@dataclass(frozen=True)
class Dashboard:
    """One page of panels."""

    name: str
    title: str
    panels: tuple[Panel, ...] = field(default_factory=tuple)


def p99(metric: str, *, by: str = "") -> str:
    """The 99th percentile of a histogram over five minutes."""
    labels = f"le, {by}" if by else "le"
    return f"histogram_quantile(0.99, sum by ({labels}) (rate({metric}_bucket[5m])))"


SERVICE = Dashboard(
    "service",
    "rushes: service",
    (
        Panel(
            "Processes",
            "none",
            "Processes that answer their scrape, by role and release.",
            {"{{role}} {{version}}": "count by (role, version) (rushes_build_info)"},
        ),
        Panel("Database", "none", "1 while a process can read its database.", {"{{instance}}": "rushes_database_up"}),
        Panel(
            "Requests",
            "reqps",
            "Requests a second, by status.",
            {"{{status}}": "sum by (status) (rate(rushes_http_request_duration_seconds_count[5m]))"},
        ),
        Panel(
            "Answer time, p99",
            "s",
            "How long the slowest hundredth of requests takes, by route. Streams are left out.",
            {
                "{{route}}": 'histogram_quantile(0.99, sum by (le, route) (rate(rushes_http_request_duration_seconds_bucket{route!~".*/events"}[5m])))'
            },
        ),
        Panel(
            "Event loop lag, p99",
            "s",
            "Above 0.1 s a process has too much to do.",
            {"{{instance}}": p99("rushes_event_loop_lag_seconds", by="instance")},
        ),
        Panel(
            "Transactions, p99",
            "s",
            "From being asked for to being on the disk.",
            {"{{instance}}": p99("rushes_database_write_duration_seconds", by="instance")},
        ),
        Panel(
            "Writes that wait",
            "none",
            "Transactions that are not on the disk yet.",
            {"{{instance}}": "rushes_database_writes_waiting"},
        ),
        Panel(
            "Open streams",
            "none",
            "Event streams and requests that wait for a job.",
            {"{{instance}}": "rushes_streams"},
        ),
        Panel(
            "Memory",
            "bytes",
            "Resident memory of each process, without its children.",
            {"{{instance}}": "process_resident_memory_bytes"},
        ),
        Panel(
            "Open files",
            "percentunit",
            "Open files as a share of the limit.",
            {"{{instance}}": "process_open_fds / process_max_fds"},
        ),
        Panel(
            "What works",
            "none",
            "1 while the database takes changes and videos can be stored.",
            {
                "database {{instance}}": "rushes_database_writable",
                "storage {{instance}}": "rushes_storage_up",
            },
        ),
        Panel(
            "Free disk",
            "bytes",
            "On the disk of each data directory.",
            {"{{instance}}": "rushes_data_dir_free_bytes"},
        ),
        Panel(
            "Clock",
            "s",
            "How far each worker's clock is ahead of the database's.",
            {"{{instance}}": "rushes_clock_ahead_seconds"},
        ),
        Panel(
            "Lacking secret keys",
            "none",
            "Secret keys that other processes sign with and this one lacks.",
            {"{{instance}}": "rushes_secret_keys_missing"},
        ),
        Panel(
            "Server errors",
            "cpm",
            "Requests a minute that were answered with 500 or more.",
            {"{{instance}}": "60 * rate(rushes_http_server_errors_total[5m])"},
        ),
        Panel(
            "Shared places",
            "percentunit",
            "How much of what accounts share is held.",
            {"{{place}} {{instance}}": "rushes_shared_place_held / rushes_shared_place_most"},
        ),
        Panel(
            "Waiting for a turn",
            "none",
            "Requests that wait for their account's turn at a shared place.",
            {"{{place}}": "sum by (place) (rushes_shared_place_waiting)"},
        ),
        Panel(
            "Refused at shared places",
            "cpm",
            "Requests a minute that got 429 (account) or 503 (all).",
            {"{{place}} {{reason}}": "60 * sum by (place, reason) (rate(rushes_shared_place_refusals_total[5m]))"},
        ),
        Panel(
            "Kept by accounts",
            "none",
            "Keys, webhooks, console sessions and bytes of input files of all accounts.",
            {"{{what}}": "max by (what) (rushes_stored)"},
        ),
        Panel(
            "Lost telemetry",
            "none",
            "Jobs of the last hour whose stages and trace are missing.",
            {"{{instance}}": "increase(rushes_telemetry_dropped_total[1h])"},
        ),
    ),
)

JOBS = Dashboard(
    "jobs",
    "rushes: jobs and providers",
    (
        Panel("Kept jobs", "none", "Jobs of all accounts, by status.", {"{{status}}": "max by (status) (rushes_jobs)"}),
        Panel(
            "Waiting jobs",
            "none",
            "Jobs that wait for a worker or for a free slot of their model.",
            {"{{provider}}/{{model}}": "max by (provider, model) (rushes_queue_jobs)"},
        ),
        Panel(
            "Oldest waiting job",
            "s",
            "How long the first waiting job could have been started.",
            {"{{provider}}/{{model}}": "max by (provider, model) (rushes_queue_age_seconds)"},
        ),
        Panel(
            "Workers", "none", "Workers by state of their heartbeat.", {"{{state}}": "max by (state) (rushes_workers)"}
        ),
        Panel("Jobs in flight", "none", "Jobs that each worker runs.", {"{{instance}}": "rushes_jobs_in_flight"}),
        Panel(
            "Jobs by outcome",
            "cpm",
            "Jobs a minute that reached a state.",
            {"{{state}}": "60 * sum by (state) (rate(rushes_job_moves_total[5m]))"},
        ),
        Panel(
            "Failures",
            "none",
            "Failed jobs of the last hour, by provider and error code.",
            {"{{provider}} {{code}}": "sum by (provider, code) (increase(rushes_job_failures_total[1h]))"},
        ),
        Panel(
            "Time by stage, p95",
            "s",
            "How long jobs wait, submit, generate and store.",
            {
                "{{stage}}": "histogram_quantile(0.95, sum by (le, stage) (rate(rushes_job_stage_duration_seconds_bucket[30m])))"
            },
        ),
        Panel(
            "Provider calls, p99",
            "s",
            "Calls to providers, by verb.",
            {"{{provider}} {{verb}}": p99("rushes_provider_call_duration_seconds", by="provider, verb")},
        ),
        Panel(
            "Provider errors",
            "cpm",
            "Failed calls a minute, by our error code.",
            {
                "{{provider}} {{verb}} {{code}}": "60 * sum by (provider, verb, code) (rate(rushes_provider_errors_total[5m]))"
            },
        ),
        Panel(
            "Circuit breakers",
            "none",
            "0 closed, 1 half open, 2 open.",
            {"{{provider}} {{credential}}": "max by (provider, credential) (rushes_breaker_state)"},
        ),
        Panel(
            "Jobs by credential",
            "cpm",
            "Ends a minute, by the provider's credential.",
            {
                "{{provider}} {{credential}} {{state}}": "60 * sum by (provider, credential, state) (rate(rushes_credential_jobs_total[5m]))"
            },
        ),
        Panel(
            "Calls by credential",
            "cpm",
            "Calls a minute, by the provider's credential and our error code.",
            {
                "{{provider}} {{credential}} {{code}}": "60 * sum by (provider, credential, code) (rate(rushes_credential_calls_total[5m]))"
            },
        ),
        Panel(
            "Submissions that did not arrive",
            "none",
            "In a row; at the fifth the breaker opens.",
            {"{{provider}} {{credential}}": "max by (provider, credential) (rushes_breaker_failures)"},
        ),
        Panel(
            "Places taken",
            "none",
            "Jobs that take a place in the lane of their model.",
            {"{{provider}}/{{model}}": "max by (provider, model) (rushes_lane_jobs)"},
        ),
        Panel(
            "Jobs that need an operator",
            "none",
            "As `rushes jobs needs-operator` lists them.",
            {"jobs": "max(rushes_jobs_needing_operator)"},
        ),
        Panel(
            "Guardrail, p99",
            "s",
            "How long the guardrail's answers take.",
            {"{{answer}}": p99("rushes_guardrail_duration_seconds", by="answer")},
        ),
        Panel(
            "Poll lag, p99",
            "s",
            "How much later than planned polls happen.",
            {"{{instance}}": p99("rushes_poll_lag_seconds", by="instance")},
        ),
        Panel(
            "Last heartbeat",
            "s",
            "How long ago each worker renewed its leases.",
            {"{{instance}}": "time() - rushes_heartbeat_timestamp_seconds"},
        ),
    ),
)

MONEY = Dashboard(
    "money",
    "rushes: money",
    (
        Panel(
            "Cost today",
            "currencyUSD",
            "Cost of the jobs completed in the last day.",
            {"USD": "sum(increase(rushes_cost_usd_total[1d]))"},
            kind="stat",
        ),
        Panel(
            "Paid and not delivered",
            "none",
            "Jobs of the last day that may be charged and have no video.",
            {
                "{{code}}": 'sum by (code) (increase(rushes_job_failures_total{code=~"submission_unknown|output_lost"}[1d]))'
            },
            kind="stat",
        ),
        Panel(
            "Cost by model",
            "currencyUSD",
            "USD an hour.",
            {"{{provider}}/{{model}}": "sum by (provider, model) (increase(rushes_cost_usd_total[1h]))"},
        ),
        Panel(
            "Cost by provider",
            "currencyUSD",
            "USD a day.",
            {"{{provider}}": "sum by (provider) (increase(rushes_cost_usd_total[1d]))"},
        ),
        Panel(
            "Cost a video",
            "currencyUSD",
            "Average cost of a completed job of the last day.",
            {
                "{{provider}}/{{model}}": 'sum by (provider, model) (increase(rushes_cost_usd_total[1d])) / sum by (provider, model) (increase(rushes_job_moves_total{state="succeeded"}[1d]))'
            },
        ),
        Panel(
            "Refused keys and spent quotas",
            "none",
            "Calls of the last hour that a provider refused for their key or quota.",
            {
                "{{provider}} {{code}}": 'sum by (provider, code) (increase(rushes_provider_errors_total{code=~"provider_auth|provider_quota"}[1h]))'
            },
        ),
    ),
)

WEBHOOKS = Dashboard(
    "webhooks",
    "rushes: webhooks",
    (
        Panel(
            "Deliveries",
            "cpm",
            "Tries a minute, by result.",
            {"{{result}}": "60 * sum by (result) (rate(rushes_webhook_delivery_duration_seconds_count[5m]))"},
        ),
        Panel(
            "Receivers' answer time, p99",
            "s",
            "How long receivers take to answer.",
            {"{{result}}": p99("rushes_webhook_delivery_duration_seconds", by="result")},
        ),
        Panel(
            "Oldest due message",
            "s",
            "How long the first due message has been due.",
            {"age": "max(rushes_webhook_age_seconds)"},
        ),
        Panel(
            "Receivers with due messages",
            "none",
            "Receivers that have a message to be tried now.",
            {"receivers": "max(rushes_webhook_receivers_due)"},
        ),
        Panel(
            "Messages in flight",
            "none",
            "Messages that each process is trying.",
            {"{{instance}}": "rushes_webhooks_in_flight"},
        ),
        Panel(
            "Share that fails",
            "percentunit",
            "Failed tries as a share of all.",
            {
                "failed": 'sum(rate(rushes_webhook_delivery_duration_seconds_count{result!="delivered"}[15m])) / sum(rate(rushes_webhook_delivery_duration_seconds_count[15m]))'
            },
        ),
    ),
)

DASHBOARDS = (SERVICE, JOBS, MONEY, WEBHOOKS)


def panel_json(panel: Panel, index: int) -> dict[str, Any]:
    """A panel in Grafana's form."""
    row, column = divmod(index, COLUMNS)
    return {
        "id": index + 1,
        "type": panel.kind,
        "title": panel.title,
        "description": panel.about,
        "datasource": SOURCE,
        "gridPos": {"h": HEIGHT, "w": WIDTH, "x": column * WIDTH, "y": row * HEIGHT},
        "fieldConfig": {"defaults": {"unit": panel.unit, "min": 0}, "overrides": []},
        "options": {"legend": {"displayMode": "table", "placement": "bottom", "calcs": ["lastNotNull", "max"]}}
        if panel.kind == "timeseries"
        else {"reduceOptions": {"calcs": ["lastNotNull"]}},
        "targets": [
            {"refId": chr(ord("A") + number), "datasource": SOURCE, "expr": expression, "legendFormat": legend}
            for number, (legend, expression) in enumerate(panel.queries.items())
        ],
    }


def dashboard_json(dashboard: Dashboard) -> str:
    """A dashboard in Grafana's form, with the data source as a variable."""
    content = {
        "uid": f"rushes-{dashboard.name}",
        "title": dashboard.title,
        "tags": ["rushes"],
        "schemaVersion": 39,
        "timezone": "browser",
        "refresh": "30s",
        "time": {"from": "now-6h", "to": "now"},
        "templating": {
            "list": [{"name": "source", "label": "Data source", "type": "datasource", "query": "prometheus"}]
        },
        "panels": [panel_json(panel, index) for index, panel in enumerate(dashboard.panels)],
    }
    return json.dumps(content, indent=2) + "\n"


def main() -> None:
    """Write every dashboard."""
    for dashboard in DASHBOARDS:
        (FOLDER / f"{dashboard.name}.json").write_text(dashboard_json(dashboard))


if __name__ == "__main__":
    main()
