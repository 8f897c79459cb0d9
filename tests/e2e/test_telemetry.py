"""What operators see of one job: its log lines, its trace across a restart, and the numbers beside it."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.fixtures.collector import Collector, Span, collecting
from tests.fixtures.receiver import ALLOWED, Receiver, receiving
from tests.fixtures.service import Client, Service, until

PROMPT = "a lighthouse that nobody may read of"
TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
CALLER = "00f067aa0ba902b7"
METRICS_TOKEN = "a token for metrics"
HOLD_S = 3
DOCS = Path(__file__).resolve().parent.parent.parent / "docs"


@dataclass(frozen=True)
class Told:
    """A job that was created, held over a restart, completed and announced; then one that failed. And what was told."""

    job_id: str
    failed_id: str
    request_id: str
    key: str
    before_restart: list[str]
    lines: list[dict[str, Any]]
    collector: Collector
    receiver: Receiver
    metrics: str
    refused: int

    @property
    def trace(self) -> dict[str, Span]:
        return {span.name: span for span in self.collector.of(TRACE)}


async def metrics_with(client: Client, *wanted: str) -> str:
    """The metrics once they say all of this: they follow what they count."""
    for _ in range(1000):
        answer = await client.get("/metrics", headers={"Authorization": f"Bearer {METRICS_TOKEN}"})
        text = answer.body.decode()
        if all(part in text for part in wanted):
            return text
        await asyncio.sleep(0.02)
    raise AssertionError(f"the metrics do not say {wanted}:\n{text}")


async def told_by(service: Service, collector: Collector, receiver: Receiver) -> Told:
    key = service.key().text
    async with Client(service, key) as client:
        created = await client.post(
            "/api/v1/videos/generations",
            headers={"traceparent": f"00-{TRACE}-{CALLER}-01", "X-Irrelevant": "x"},
            json={
                "prompt": PROMPT,
                "model": "animatic/storyboard",
                "duration": 1,
                "resolution": "360p",
                "webhook_url": f"{receiver.url}/ok?token=hidden",
            },
        )
        job_id = created.ok()["job_id"]
    service.stop()
    before_restart = list(collector.names(TRACE))
    service.start()
    async with Client(service, key) as client:
        failed_id = (await client.create(model="animatic/fail"))["job_id"]
        for one in (job_id, failed_id):
            await client.reached(one, "completed", "failed")
        await until(lambda: bool(receiver.of("/ok", "video.completed")))
        await client.get("/api/v1/nowhere/1")
        await client.get("/api/v1/nowhere/2")
        refused = (await client.get("/metrics")).status
        metrics = await metrics_with(client, 'stage="total"', 'model="fail",provider="animatic",stage', 'result="del')
    service.stop()
    lines = [json.loads(line) for line in service.log_text().splitlines()]
    return Told(
        job_id,
        failed_id,
        created.headers["X-Request-Id"],
        key,
        before_restart,
        lines,
        collector,
        receiver,
        metrics,
        refused,
    )


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Told]:
    with collecting() as collector, receiving() as receiver:
        service = Service(
            tmp_path_factory.mktemp("told"),
            RUSHES_TEST_HOLD_S=HOLD_S,
            RUSHES_LOG_FORMAT="json",
            RUSHES_TRACING="true",
            RUSHES_METRICS_TOKEN=METRICS_TOKEN,
            OTEL_EXPORTER_OTLP_ENDPOINT=collector.url,
            OTEL_EXPORTER_OTLP_HEADERS="authorization=hidden",
            **ALLOWED,
        ).start()
        try:
            yield asyncio.run(told_by(service, collector, receiver))
        finally:
            service.finish()


def test_a_job_is_one_trace_from_its_caller_on_across_a_restart(told: Told) -> None:
    assert told.before_restart == ["create"]
    assert set(told.trace) == {
        "create", "waiting", "submitting", "submit", "generating", "poll", "storing", "fetch", "webhook"
    }  # fmt: skip
    root = told.trace["create"]
    assert root.parent_id == CALLER
    assert {span.parent_id for name, span in told.trace.items() if name != "create"} == {root.span_id}
    assert {span.service for span in told.collector.spans} == {"rushes"}


def test_polls_are_one_span_that_says_how_many_they_were(told: Told) -> None:
    assert told.collector.names(TRACE).count("poll") == 1
    assert int(told.trace["poll"].facts["rushes.polls"]) > 1


def test_the_stages_of_a_trace_join_each_other(told: Told) -> None:
    stages = [told.trace[name] for name in ("waiting", "submitting", "generating", "storing")]
    assert [one.ended_ns for one in stages[:-1]] == [one.began_ns for one in stages[1:]]
    assert stages[0].ended_ns - stages[0].began_ns >= HOLD_S * 1_000_000_000


def test_a_job_without_a_caller_s_trace_has_one_of_its_own_and_fails_in_it(told: Told) -> None:
    own = [span for span in told.collector.spans if span.facts.get("rushes.job_id") == told.failed_id]
    assert len({span.trace_id for span in own}) == 1
    assert own[0].trace_id != TRACE
    (root,) = (span for span in own if span.name == "create")
    assert root.parent_id == ""
    assert [span.facts["error.type"] for span in own if span.failed]


def test_receivers_of_webhooks_get_the_trace(told: Told) -> None:
    (message, *_) = told.receiver.of("/ok")
    headers = {name.lower(): value for name, value in message.headers.items()}
    assert headers["traceparent"] == f"00-{TRACE}-{told.trace['create'].span_id}-01"


def test_a_trace_holds_no_prompt_no_address_and_no_secret(told: Told) -> None:
    sent = b"".join(told.collector.raw)
    for hidden in (PROMPT, told.key, "token=hidden", told.receiver.url, METRICS_TOKEN):
        assert hidden.encode() not in sent


def test_each_move_of_a_job_is_one_line_that_leads_back_to_its_request(told: Told) -> None:
    lines = [line for line in told.lines if line.get("job_id") == told.job_id and line["event"].startswith("job_")]
    assert [line["event"] for line in lines] == [
        "job_accepted", "job_submitting", "job_submitted", "job_storing", "job_completed"
    ]  # fmt: skip
    assert {line["request_id"] for line in lines} == {told.request_id}
    (failed,) = (line for line in told.lines if line["event"] == "job_failed")
    assert failed["job_id"] == told.failed_id
    assert re.fullmatch(r"[a-z_]+", failed["error_code"])


def test_every_line_about_a_job_says_which(told: Told) -> None:
    ids = {told.job_id, told.failed_id}
    for line in told.lines:
        if line["event"] not in ("request", "listening", "stopping", "models_discovered"):
            assert line.get("job_id") in ids, line


def test_a_request_is_one_line_with_its_caller(told: Told) -> None:
    (line,) = (one for one in told.lines if one["event"] == "request" and one["request_id"] == told.request_id)
    assert (line["method"], line["path"], line["status"]) == ("POST", "/api/v1/videos/generations", 200)
    assert line["account_id"].startswith("acct_")
    assert line["key_id"].startswith("key_")
    assert told.key not in json.dumps(told.lines)


def test_requests_are_counted_by_route_and_not_by_address(told: Told) -> None:
    counted = set(re.findall(r'rushes_http_request_duration_seconds_count\{.*route="([^"]*)"', told.metrics))
    assert {"/api/v1/videos/generations", "/api/v1/videos/jobs/{job_id}", "other"} <= counted
    assert not [route for route in counted if told.job_id in route or "nowhere" in route]


def test_what_became_of_jobs_is_counted(told: Told) -> None:
    samples = dict(re.findall(r"^(rushes_\S+(?:\{[^}]*\})?) (\S+)$", told.metrics, re.MULTILINE))
    assert samples['rushes_jobs{status="completed"}'] == samples['rushes_jobs{status="failed"}'] == "1.0"
    assert samples['rushes_job_moves_total{model="storyboard",provider="animatic",state="succeeded"}'] == "1.0"
    assert samples['rushes_webhook_delivery_duration_seconds_count{result="delivered"}'] != "0.0"
    assert [name for name in samples if name.startswith("rushes_job_failures_total")]


def exported(told: Told) -> dict[str, set[str]]:
    """Our metrics, each with the labels that its samples had; of histograms without the bounds."""
    found: dict[str, set[str]] = {}
    for name, kind in re.findall(r"^# TYPE (rushes_\w+) (\w+)$", told.metrics, re.MULTILINE):
        if name.endswith("_created"):
            continue
        sample = f"{name}_count" if kind == "histogram" else name
        labels = re.findall(rf"^{sample}\{{(.*)\}} ", told.metrics, re.MULTILINE)
        found[name] = {label for one in labels for label in re.findall(r'(\w+)="', one)}
    return found


def test_each_metric_is_documented_with_its_labels_and_no_other_is(told: Told) -> None:
    page = (DOCS / "reference" / "metrics.md").read_text()
    documented = {
        name: set(re.findall(r"`(\w+)`", labels))
        for name, labels in re.findall(r"^\| `(rushes_\w+)` \|([^|]*)\|", page, re.MULTILINE)
    }
    metrics = exported(told)
    assert documented.keys() == metrics.keys()
    for name, labels in metrics.items():
        assert not labels or labels == documented[name], name


def test_the_rules_and_the_page_ask_for_metrics_that_there_are(told: Told) -> None:
    metrics = exported(told)
    page = (DOCS / "operating" / "monitoring.md").read_text()
    (group,) = yaml.safe_load((DOCS.parent / "deploy" / "alerts.yml").read_text())["groups"]
    expressions = [rule["expr"] for rule in group["rules"]]
    assert all(rule.keys() <= {"alert", "expr", "for", "annotations"} for rule in group["rules"])
    assert len({rule["alert"] for rule in group["rules"]}) == len(group["rules"])
    for expression in [*expressions, *re.findall(r"\| `([^`]*\(.*)` \|", page)]:
        assert expression.count("(") == expression.count(")"), expression
        named = set(re.findall(r"rushes_\w+", expression))
        assert named, expression
        assert {re.sub(r"_(count|sum|bucket)$", "", name) for name in named} <= metrics.keys(), expression


def test_metrics_with_a_token_are_for_those_who_have_it(told: Told) -> None:
    assert told.refused == 401
