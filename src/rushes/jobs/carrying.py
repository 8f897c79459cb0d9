"""Carrying one job out, as straight-line code: submit, poll until done, store, finish.

Each step may be repeated: its result is saved before the next begins, and after a crash the next worker goes on from
what was saved. Waiting costs no writes.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

import structlog

from rushes.catalogue.model import Model
from rushes.clock import Clock
from rushes.errors import (
    DatabaseUnavailable,
    JobExpired,
    LeaseLost,
    MediaError,
    OutputLost,
    Overloaded,
    ProviderError,
    ProviderQuota,
    ProviderUnavailable,
    RushesError,
    SubmissionUnknown,
    UnexpectedResponse,
)
from rushes.ids import new_id
from rushes.jobs.job import Attempt, AttemptState, Problem, State
from rushes.jobs.leases import Claimed, LeaseStore
from rushes.jobs.schedule import backoff_s, poll_delay_s
from rushes.media.custody import Custody
from rushes.providers.base import Credential, Provider, ReadMedia
from rushes.video.output import StoredVideo
from rushes.video.progress import Done, Failed, Handle, Progress, Submission, Working

T = TypeVar("T")

log = structlog.get_logger(__name__)

PROGRESS_STEP = 10
"""Reported progress is written only when it has risen by this many points: polls are not checkpoints."""
PROGRESS_CEILING = 95


@dataclass(frozen=True, slots=True)
class Tools:
    """What carrying a job out needs besides the job. `poll_interval_s` replaces every pace, for development."""

    leases: LeaseStore
    provider: Provider
    model: Model
    credential: Credential
    read_media: ReadMedia
    custody: Custody
    clock: Clock
    poll_interval_s: float | None = None


class Carrying:
    """One claimed job on its way to its end."""

    def __init__(self, claimed: Claimed, tools: Tools) -> None:
        self._claimed = claimed
        self._job = claimed.job
        self._tools = tools
        self._log = log.bind(job_id=claimed.job.id)
        self._parts = split_into_calls(claimed.job.request.n, tools.model.n_per_call)
        self._generating = len(self._parts)
        self._fractions = [0.0] * len(self._parts)
        self._reported = claimed.job.progress or 0
        self._storing_began = claimed.job.state is State.STORING

    async def to_its_end(self) -> None:
        """Carry the job to a final state. Raises LeaseLost if another worker has it now."""
        try:
            async with asyncio.TaskGroup() as group:
                tasks = [group.create_task(self._make_part(part, n)) for part, n in enumerate(self._parts)]
        except* LeaseLost as lost:
            raise LeaseLost(f"job '{self._job.id}' was taken over") from lost
        results = [task.result() for task in tasks]
        videos = [video for result in results if not isinstance(result, Problem) for video in result]
        problems = [result for result in results if isinstance(result, Problem)]
        if videos:
            if problems:
                await self._warn(_what_is_missing(problems, len(videos)))
            await self._insist(lambda: self._leases.succeed(self._claimed, videos, "stored"))
        else:
            problem = problems[0]
            state = State.EXPIRED if problem.code == JobExpired.code else State.FAILED
            await self._insist(lambda: self._leases.fail(self._claimed, state, problem))

    @property
    def _leases(self) -> LeaseStore:
        return self._tools.leases

    async def _make_part(self, part: int, n: int) -> tuple[StoredVideo, ...] | Problem:
        """One provider call from its intent to its stored videos, beginning where an earlier worker stopped."""
        attempt = next((found for found in self._claimed.attempts if found.part == part), None)
        if attempt is not None and attempt.state is AttemptState.STORED:
            self._generating -= 1
            return attempt.outputs
        if attempt is not None and attempt.state is AttemptState.FAILED and attempt.problem is not None:
            self._generating -= 1
            return attempt.problem
        attempt_id = None if attempt is None else attempt.id
        progress: Progress
        try:
            if attempt is not None and attempt.handle is not None:
                handle, progress = attempt.handle, Working(wait_s=0)
            else:
                attempt_id, submission = await self._submit(part, n, attempt)
                handle, progress = submission.handle, submission.progress
            done = await self._poll_until_done(part, handle, progress)
            await self._finish_generating()
            assert attempt_id is not None
            return await self._store(part, attempt_id, handle, done)
        except (LeaseLost, DatabaseUnavailable):
            raise
        except RushesError as error:
            problem = Problem(error.code, error.message, getattr(error, "provider_error", None))
            self._log.info("attempt_failed", attempt_id=attempt_id, error_code=problem.code)
            self._generating -= 1
            failed_id = attempt_id
            if failed_id is not None:
                await self._insist(lambda: self._leases.fail_attempt(self._claimed, failed_id, problem))
            return problem

    # --- submit

    async def _submit(self, part: int, n: int, attempt: Attempt | None) -> tuple[str, Submission]:
        """Have the provider accept, and record that it has."""
        if attempt is not None:
            submission = await self._look_up(attempt.id)
            if submission is not None:
                await self._record(attempt.id, submission)
                return attempt.id, submission
        attempt_id = None if attempt is None else attempt.id
        failures = 0
        while True:
            self._check_deadline()
            if attempt_id is None:
                attempt_id = await self._intend(part, n)
            try:
                submission = await self._call_submit(attempt_id, n)
                break
            except (ProviderQuota, ProviderUnavailable) as error:
                surely_not_accepted = isinstance(error, ProviderQuota) or error.accepted is False
                if surely_not_accepted:
                    if not error.retryable:
                        raise
                    await self._withdraw(attempt_id)
                    attempt_id = None
                elif not self._tools.model.repeatable_submit:
                    found = await self._look_up(attempt_id)
                    if found is not None:
                        submission = found
                        break
                failures += 1
                self._log.info("submit_will_be_repeated", error_code=error.code, failures=failures)
                await self._pause(failures, error.retry_after_s)
        await self._record(attempt_id, submission)
        return attempt_id, submission

    async def _call_submit(self, attempt_id: str, n: int) -> Submission:
        try:
            return await self._tools.provider.submit(
                self._tools.model,
                replace(self._job.request, n=n),
                attempt_id=attempt_id,
                credential=self._tools.credential,
                read_media=self._tools.read_media,
            )
        except RushesError:
            raise
        except Exception as exc:
            self._log.exception("adapter_failed", verb="submit")
            raise ProviderUnavailable("the adapter failed while it was submitting", accepted=None) from exc

    async def _look_up(self, attempt_id: str) -> Submission | None:
        """What became of an intent without an answer: a submission, or None if submitting again cannot pay twice."""
        if self._tools.model.repeatable_submit:
            return None
        failures = 0
        while True:
            try:
                return await self._tools.provider.find(attempt_id, credential=self._tools.credential)
            except (ProviderUnavailable, ProviderQuota, UnexpectedResponse) as error:
                failures += 1
                if self._past_deadline():
                    raise SubmissionUnknown(
                        "The provider may have accepted the job, and could not be asked before the deadline; "
                        "it may be charged"
                    ) from error
                await self._pause(failures, error.retry_after_s)

    async def _intend(self, part: int, n: int) -> str:
        attempt_id = new_id("att")
        await self._insist(lambda: self._leases.intend(self._claimed, attempt_id=attempt_id, part=part, n=n))
        return attempt_id

    async def _withdraw(self, attempt_id: str) -> None:
        await self._insist(lambda: self._leases.withdraw(self._claimed, attempt_id))

    async def _record(self, attempt_id: str, submission: Submission) -> None:
        await self._insist(
            lambda: self._leases.accept(self._claimed, attempt_id, submission.handle, submission.provider_video_id)
        )

    # --- poll

    async def _poll_until_done(self, part: int, handle: Handle, progress: Progress) -> Done:
        failures = 0
        while True:
            if isinstance(progress, Done):
                return progress
            if isinstance(progress, Failed):
                raise progress.error
            await self._report(part, progress)
            await self._tools.clock.sleep(self._poll_delay_s(progress, failures))
            if not self._storing_began:
                self._check_deadline()
            try:
                progress = await self._poll_once(handle)
                failures = 0
            except ProviderError as error:
                # The generation may be well and is paid for: only the deadline gives it up.
                failures += 1
                self._log.info("poll_failed", error_code=error.code, failures=failures)
                if isinstance(error, UnexpectedResponse):
                    await self._warn(f"The provider answered in a way we do not know: {error.message}")
                progress = Working(wait_s=error.retry_after_s)

    async def _poll_once(self, handle: Handle) -> Progress:
        try:
            return await self._tools.provider.poll(handle, credential=self._tools.credential)
        except RushesError:
            raise
        except Exception as exc:
            self._log.exception("adapter_failed", verb="poll")
            raise UnexpectedResponse("the adapter could not read the provider's answer") from exc

    async def _report(self, part: int, progress: Working) -> None:
        if progress.fraction is None or not self._tools.model.reports_progress:
            return
        self._fractions[part] = max(self._fractions[part], progress.fraction)
        percent = min(PROGRESS_CEILING, int(100 * sum(self._fractions) / len(self._fractions)))
        if percent >= self._reported + PROGRESS_STEP:
            self._reported = percent
            await self._insist(lambda: self._leases.report(self._claimed, percent))

    def _poll_delay_s(self, progress: Working, failures: int) -> float:
        if self._tools.poll_interval_s is not None:
            return self._tools.poll_interval_s
        if failures:
            return backoff_s(failures=failures, asked_s=progress.wait_s, chance=random.random())
        return poll_delay_s(
            interval_s=self._tools.model.poll_interval_s,
            age_s=(self._tools.clock.now_ms() - self._job.created_at) / 1000,
            asked_s=progress.wait_s,
            chance=random.random(),
        )

    # --- store

    async def _finish_generating(self) -> None:
        """The last call to finish moves the job on; from there its lane has room for another."""
        self._generating -= 1
        if self._generating == 0 and not self._storing_began:
            self._storing_began = True
            await self._insist(lambda: self._leases.begin_storing(self._claimed))

    async def _store(self, part: int, attempt_id: str, handle: Handle, done: Done) -> tuple[StoredVideo, ...]:
        videos: list[StoredVideo] = []
        failures = 0
        while len(videos) < len(done.outputs):
            place = len(videos)
            try:
                chunks = self._tools.provider.fetch(handle, done.outputs[place], credential=self._tools.credential)
                key = f"videos/{self._job.id}/{attempt_id}-{place}.mp4"
                videos.append(await self._tools.custody.keep(key, chunks))
            except (ProviderError, MediaError) as error:
                failures += 1
                lost_for_good = isinstance(error, OutputLost) and failures > 1
                if lost_for_good or not (error.retryable or isinstance(error, OutputLost)):
                    raise
                self._log.warning("storing_will_be_repeated", error_code=error.code, failures=failures)
                await self._pause(failures, error.retry_after_s)
                # Asked again, the provider may name a fresh address for the same video.
                done = await self._poll_until_done(part, handle, Working(wait_s=0))
        await self._insist(lambda: self._leases.keep(self._claimed, attempt_id, videos))
        if done.missing is not None:
            await self._warn(done.missing)
        return tuple(videos)

    # --- time and trouble

    async def _warn(self, warning: str) -> None:
        await self._insist(lambda: self._leases.warn(self._claimed, warning))

    def _past_deadline(self) -> bool:
        return self._tools.clock.now_ms() >= self._job.deadline_at

    def _check_deadline(self) -> None:
        if self._past_deadline():
            limit_s = (self._job.deadline_at - self._job.created_at) // 1000
            raise JobExpired(f"The job was not done within its limit of {limit_s} s; it may still be charged")

    async def _pause(self, failures: int, asked_s: float | None) -> None:
        delay_s = self._tools.poll_interval_s
        if delay_s is None:
            delay_s = backoff_s(failures=failures, asked_s=asked_s, chance=random.random())
        await self._tools.clock.sleep(delay_s)

    async def _insist(self, write: Callable[[], Awaitable[T]]) -> T:
        """Repeat a write until the database takes it: what it records has already happened."""
        failures = 0
        while True:
            try:
                return await write()
            except (DatabaseUnavailable, Overloaded) as error:
                failures += 1
                self._log.warning("write_will_be_repeated", error_code=error.code, failures=failures)
                await self._tools.clock.sleep(backoff_s(failures=failures, asked_s=None, chance=random.random()))


def split_into_calls(n: int, n_per_call: int) -> list[int]:
    """How many videos each provider call asks for, so that all make `n`."""
    whole, rest = divmod(n, n_per_call)
    return [n_per_call] * whole + ([rest] if rest else [])


def _what_is_missing(problems: Sequence[Problem], delivered: int) -> str:
    reasons = "; ".join(dict.fromkeys(f"{problem.message} ({problem.code})" for problem in problems))
    return f"{delivered} videos were delivered; {len(problems)} calls to the provider failed: {reasons}"
