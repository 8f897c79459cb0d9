"""One OpenTelemetry trace for each job, across all processes that work on it. Imported only if tracing is on.

The span `create` is the root, or a child of the caller's span. Its context is stored with the job, and each later span
of any process is a child of it. The spans between calls (waiting, generating, storing) are recorded when the job ends,
from its history, so that restarts and changes of worker leave no gap.

OpenTelemetry's own variables say where traces go, and how many: `OTEL_EXPORTER_OTLP_ENDPOINT`,
`OTEL_EXPORTER_OTLP_HEADERS`, `OTEL_SERVICE_NAME`, `OTEL_RESOURCE_ATTRIBUTES`, `OTEL_TRACES_SAMPLER`.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from rushes import __version__, origin
from rushes.errors import StartupError
from rushes.telemetry.spans import Step

try:
    from opentelemetry.context import Context
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk.resources import SERVICE_NAME, OTELResourceDetector, Resource
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor
    from opentelemetry.trace import SpanKind, Status, StatusCode, format_span_id, format_trace_id
    from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator
except ImportError as exc:
    raise StartupError(
        "RUSHES_TRACING needs OpenTelemetry, which is not installed; install it with: pip install 'rushes[otel]'"
    ) from exc

LAST_SPANS_S: Final = 3.0
OUTGOING: Final = frozenset({"submit", "poll", "find", "cancel", "fetch", "webhook"})


class OpenTelemetrySpans:
    """Sends spans from a thread of its own, in batches. Some thousand spans can wait; more are dropped."""

    def __init__(self) -> None:
        named = OTELResourceDetector().detect().attributes
        resource = Resource.create({} if SERVICE_NAME in named else {SERVICE_NAME: "rushes"})
        self._provider = TracerProvider(resource=resource, shutdown_on_exit=False)
        self._provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
        self._tracer = self._provider.get_tracer("rushes", __version__)
        self._propagator = TraceContextTextMapPropagator()

    @contextmanager
    def accepting(self, job_id: str) -> Iterator[str | None]:
        """A span around this block, and its context. A block that raises records no span."""
        request = origin.current.get()
        facts = {"rushes.job_id": job_id}
        if request is not None:
            facts["rushes.request_id"] = request.request_id
        span = self._tracer.start_span(
            "create",
            self._context(None if request is None else request.traceparent),
            kind=SpanKind.SERVER,
            attributes=facts,
        )
        found = span.get_span_context()
        yield f"00-{format_trace_id(found.trace_id)}-{format_span_id(found.span_id)}-{found.trace_flags:02x}"
        span.end()

    def record(self, traceparent: str | None, step: Step) -> None:
        """Record a step as a span of that trace. A job that was accepted without a trace gets no spans."""
        if traceparent is None:
            return
        span = self._tracer.start_span(
            step.name,
            self._context(traceparent),
            kind=SpanKind.CLIENT if step.name in OUTGOING else SpanKind.INTERNAL,
            attributes=dict(step.facts),
            start_time=step.began_ns,
        )
        if step.error_code is not None:
            span.set_attribute("error.type", step.error_code)
            span.set_status(Status(StatusCode.ERROR, step.error_code))
        span.end(step.ended_ns)

    async def close(self) -> None:
        """Send the last spans, but wait no more than LAST_SPANS_S for the collector."""
        closing = threading.Thread(target=self._provider.shutdown, name="rushes-last-spans", daemon=True)
        closing.start()
        await asyncio.to_thread(closing.join, LAST_SPANS_S)

    def _context(self, traceparent: str | None) -> Context:
        # An empty context, not this task's: nothing else in the process may become a parent.
        carrier = {} if traceparent is None else {"traceparent": traceparent}
        return self._propagator.extract(carrier, Context())
