"""Which spans leave the process, and whose children they are; to a real collector."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from rushes import origin
from rushes.errors import UnsupportedOption
from rushes.telemetry.opentelemetry import OpenTelemetrySpans
from rushes.telemetry.spans import NoSpans, Step
from tests.fixtures.collector import Collector, collecting

TRACE, CALLER = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
STEP = Step("submit", 1_000_000_000, 3_000_000_000, {"rushes.job_id": "job_1"}, "provider_auth")


@pytest.fixture
async def collector(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Collector]:
    with collecting() as one:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", one.url)
        monkeypatch.setenv("OTEL_SERVICE_NAME", "films")
        yield one


def called(flags: str) -> origin.Origin:
    return origin.Origin("req_1", [(b"traceparent", f"00-{TRACE}-{CALLER}-{flags}".encode())])


async def test_a_step_is_a_child_of_the_acceptance_with_the_times_that_it_had(collector: Collector) -> None:
    spans = OpenTelemetrySpans()
    with spans.accepting("job_1") as traceparent:
        pass
    spans.record(traceparent, STEP)
    await spans.close()
    root, step = sorted(collector.spans, key=lambda span: span.name)
    assert (root.name, root.parent_id, root.service) == ("create", "", "films")
    assert (step.trace_id, step.parent_id) == (root.trace_id, root.span_id)
    assert (step.began_ns, step.ended_ns, step.failed) == (1_000_000_000, 3_000_000_000, True)
    assert step.facts == {"rushes.job_id": "job_1", "error.type": "provider_auth"}


async def test_what_a_caller_does_not_want_recorded_is_not_sent_and_still_handed_on(collector: Collector) -> None:
    origin.current.set(called("00"))
    spans = OpenTelemetrySpans()
    with spans.accepting("job_1") as traceparent:
        pass
    spans.record(traceparent, STEP)
    await spans.close()
    assert collector.spans == []
    assert traceparent is not None
    assert traceparent.startswith(f"00-{TRACE}-")
    assert traceparent.endswith("-00")


async def test_a_refused_request_leaves_no_span(collector: Collector) -> None:
    spans = OpenTelemetrySpans()
    with pytest.raises(UnsupportedOption), spans.accepting("job_1"):
        raise UnsupportedOption("no such option", "size")
    spans.record(None, STEP)
    await spans.close()
    assert collector.spans == []


async def test_without_tracing_a_caller_s_trace_is_handed_on_as_it_came() -> None:
    origin.current.set(called("01"))
    with NoSpans().accepting("job_1") as traceparent:
        assert traceparent == f"00-{TRACE}-{CALLER}-01"
