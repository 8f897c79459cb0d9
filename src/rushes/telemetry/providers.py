"""Times and counts the calls of an adapter for one job, and records them in the trace of the job."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Awaitable
from contextlib import aclosing
from dataclasses import dataclass
from typing import TypeVar

from rushes.catalogue.model import Model
from rushes.clock import SteadyClock
from rushes.domain.job import Job
from rushes.domain.output import Output
from rushes.domain.progress import Handle, Progress, Submission, Working
from rushes.domain.request import VideoRequest
from rushes.errors import RushesError
from rushes.providers.base import Credential, Provider, ReadMedia
from rushes.telemetry.metrics import KEY_CODES, Metrics
from rushes.telemetry.spans import Spans, Step

T = TypeVar("T")


@dataclass(slots=True)
class _Polls:
    began_ns: int
    polls: int = 0
    errors: int = 0


class ObservedProvider(Provider):
    """`Provider` around another one, for one job on one worker."""

    def __init__(
        self, provider: Provider, job: Job, metrics: Metrics, spans: Spans, credential: str | None = None
    ) -> None:
        """`credential` is the name of the operator's one that the calls are made with."""
        self.name = provider.name
        self._provider = provider
        self._job = job
        self._metrics = metrics
        self._spans = spans
        self._credential = credential
        self._polled: dict[str, _Polls] = {}

    async def submit(
        self,
        model: Model,
        request: VideoRequest,
        *,
        attempt_id: str,
        credential: Credential,
        read_media: ReadMedia,
    ) -> Submission:
        began_ns = time.time_ns()
        code: str | None = None
        try:
            return await self._observed(
                "submit",
                self._provider.submit(
                    model,
                    request,
                    attempt_id=attempt_id,
                    credential=credential,
                    read_media=read_media,
                ),
            )
        except BaseException as error:
            code = code_of(error)
            raise
        finally:
            self._record("submit", began_ns, code, {"rushes.attempt_id": attempt_id})

    async def poll(self, handle: Handle, *, credential: Credential) -> Progress:
        name = repr(handle)
        polled = self._polled.setdefault(name, _Polls(time.time_ns()))
        polled.polls += 1
        try:
            progress = await self._observed("poll", self._provider.poll(handle, credential=credential))
        except RushesError:
            polled.errors += 1
            raise
        if not isinstance(progress, Working):
            # One span for all polls: a job can be polled hundreds of times.
            del self._polled[name]
            self._record(
                "poll", polled.began_ns, None, {"rushes.polls": polled.polls, "rushes.poll_errors": polled.errors}
            )
        return progress

    async def find(self, attempt_id: str, *, credential: Credential) -> Submission | None:
        return await self._observed("find", self._provider.find(attempt_id, credential=credential))

    def handle_for(self, provider_video_id: str) -> Handle:
        return self._provider.handle_for(provider_video_id)

    async def cancel(self, handle: Handle, *, credential: Credential) -> None:
        await self._observed("cancel", self._provider.cancel(handle, credential=credential))

    async def release(self, handle: Handle, *, credential: Credential) -> None:
        await self._provider.release(handle, credential=credential)

    async def fetch(self, handle: Handle, output: Output, *, credential: Credential) -> AsyncGenerator[bytes, None]:
        began, began_ns = time.perf_counter(), time.time_ns()
        size_bytes = 0
        code: str | None = None
        try:
            async with aclosing(self._provider.fetch(handle, output, credential=credential)) as chunks:
                async for chunk in chunks:
                    size_bytes += len(chunk)
                    yield chunk
        except GeneratorExit:
            raise
        except BaseException as error:
            code = code_of(error)
            raise
        finally:
            self._count("fetch", time.perf_counter() - began, code)
            self._record("fetch", began_ns, code, {"rushes.size_bytes": size_bytes})

    async def _observed(self, verb: str, call: Awaitable[T]) -> T:
        began = time.perf_counter()
        code: str | None = None
        try:
            return await call
        except BaseException as error:
            code = code_of(error)
            raise
        finally:
            self._count(verb, time.perf_counter() - began, code)

    def _count(self, verb: str, duration_s: float, code: str | None) -> None:
        self._metrics.calls.labels(self.name, verb).observe(duration_s)
        if self._credential is not None:
            self._metrics.credential_calls.labels(self.name, self._credential, verb, code or "ok").inc()
        if code is not None:
            if self._job.byok and code in KEY_CODES:
                # The operator has no part in it, so it must not look like trouble with the operator's key.
                code = f"byok_{code}"
            self._metrics.call_errors.labels(self.name, verb, code).inc()

    def _record(self, name: str, began_ns: int, code: str | None, facts: dict[str, str | int]) -> None:
        served = {"rushes.provider": self._job.served_provider, "rushes.model": self._job.served_model}
        self._spans.record(
            self._job.traceparent,
            Step(name, began_ns, time.time_ns(), {"rushes.job_id": self._job.id, **served, **facts}, code),
        )


def code_of(error: BaseException) -> str:
    """The stable code of an error, never its text; `stopped` for a call that was cancelled."""
    if isinstance(error, RushesError):
        return error.code
    return "stopped" if isinstance(error, asyncio.CancelledError) else "adapter_failed"


class ObservedClock:
    """`SteadyClock` around another one that records how late each sleep ended."""

    def __init__(self, clock: SteadyClock, metrics: Metrics) -> None:
        self._clock = clock
        self._metrics = metrics

    def now_ms(self) -> int:
        """As the wrapped clock."""
        return self._clock.now_ms()

    def steady_ms(self) -> int:
        """As the wrapped clock."""
        return self._clock.steady_ms()

    async def sleep(self, seconds: float) -> None:
        """Return after `seconds`."""
        began = time.perf_counter()
        await self._clock.sleep(seconds)
        self._metrics.waits_late.observe(max(0.0, time.perf_counter() - began - seconds))
