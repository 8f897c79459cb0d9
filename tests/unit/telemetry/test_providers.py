"""An observed adapter is the same adapter, and tells what it did."""

from __future__ import annotations

from collections.abc import AsyncGenerator

import pytest

from rushes.domain.job import Job
from rushes.domain.output import Output
from rushes.domain.progress import Done, Handle, Progress, Working
from rushes.errors import ProviderUnavailable
from rushes.providers.base import NO_CREDENTIAL, Credential, Provider
from rushes.telemetry.metrics import Metrics
from rushes.telemetry.providers import ObservedProvider
from rushes.telemetry.spans import NoSpans, Step


class Played(Provider):
    """Answers polls in turn."""

    name = "played"

    def __init__(self, *answers: Progress | Exception) -> None:
        self._answers = iter(answers)

    async def submit(self, *_: object, **__: object) -> None:  # type: ignore[override]
        raise ProviderUnavailable("a provider's own words", accepted=None)

    async def poll(self, handle: Handle, *, credential: Credential) -> Progress:
        answer = next(self._answers)
        if isinstance(answer, Exception):
            raise answer
        return answer

    async def fetch(self, handle: Handle, output: Output, *, credential: Credential) -> AsyncGenerator[bytes, None]:
        yield b"1234"
        yield b"56"


class KeptSpans(NoSpans):
    def __init__(self) -> None:
        self.steps: list[Step] = []

    def record(self, traceparent: str | None, step: Step) -> None:
        assert traceparent == "the trace"
        self.steps.append(step)


class Bench:
    """One observed adapter of one job."""

    def __init__(self, job: Job, *answers: Progress | Exception) -> None:
        self.metrics = Metrics()
        self.spans = KeptSpans()
        self.provider = ObservedProvider(Played(*answers), job, self.metrics, self.spans)

    def count(self, name: str, **labels: str) -> float | None:
        return self.metrics.registry.get_sample_value(name, {"provider": "played", **labels})


@pytest.fixture
def job() -> Job:
    fields = dict.fromkeys(Job.__dataclass_fields__)
    given = {"id": "job_1", "served_provider": "played", "served_model": "clip", "traceparent": "the trace"}
    return Job(**{**fields, **given})  # type: ignore[arg-type]


async def test_all_polls_of_a_handle_are_one_step_told_when_it_is_done(job: Job) -> None:
    bench = Bench(job, Working(), ProviderUnavailable("x", accepted=None), Working(), Done(()))
    handle: Handle = {"id": "1"}
    await bench.provider.poll(handle, credential=NO_CREDENTIAL)
    with pytest.raises(ProviderUnavailable):
        await bench.provider.poll(handle, credential=NO_CREDENTIAL)
    await bench.provider.poll(handle, credential=NO_CREDENTIAL)
    assert bench.spans.steps == []
    await bench.provider.poll(handle, credential=NO_CREDENTIAL)
    (step,) = bench.spans.steps
    assert (step.name, step.facts["rushes.polls"], step.facts["rushes.poll_errors"]) == ("poll", 4, 1)
    assert bench.count("rushes_provider_call_duration_seconds_count", verb="poll") == 4
    assert bench.count("rushes_provider_errors_total", verb="poll", code="provider_unavailable") == 1


async def test_a_failed_submit_is_told_by_its_code_alone(job: Job) -> None:
    bench = Bench(job)
    with pytest.raises(ProviderUnavailable):
        await bench.provider.submit(
            None, None, attempt_id="att_1", credential=NO_CREDENTIAL, read_media=None  # type: ignore[arg-type]
        )  # fmt: skip
    (step,) = bench.spans.steps
    assert (step.name, step.error_code, step.facts["rushes.attempt_id"]) == ("submit", "provider_unavailable", "att_1")
    assert "words" not in repr(step)


async def test_what_is_fetched_passes_through_and_is_measured(job: Job) -> None:
    bench = Bench(job)
    chunks = [chunk async for chunk in bench.provider.fetch({}, {}, credential=NO_CREDENTIAL)]
    assert chunks == [b"1234", b"56"]
    assert bench.spans.steps[0].facts["rushes.size_bytes"] == 6
    assert bench.count("rushes_provider_call_duration_seconds_count", verb="fetch") == 1
