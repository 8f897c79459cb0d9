"""Carrying one job out, as straight-line code: submit, poll until done, store, finish.

Each step may be repeated: its result is saved before the next begins, and after a crash the next worker goes on from
what was saved. Waiting costs no writes.
"""

from __future__ import annotations

import asyncio
import random
import zlib
from collections.abc import AsyncGenerator, Awaitable, Callable, Coroutine, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar

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
    ProviderAuth,
    ProviderCreditEmpty,
    ProviderError,
    ProviderQuota,
    ProviderUnavailable,
    RushesError,
    StorageUnavailable,
    SubmissionUnknown,
    UnexpectedResponse,
)
from rushes.ids import new_id
from rushes.jobs.breaker import Breaker, outcome_of
from rushes.jobs.fallbacks import gives_way
from rushes.jobs.job import Attempt, AttemptState, Problem, State
from rushes.jobs.leases import Claimed, LeaseStore
from rushes.jobs.schedule import backoff_s, poll_delay_s
from rushes.media.custody import Custody
from rushes.net.redact import Redactor
from rushes.providers.base import Credential, Provider, ReadMedia
from rushes.video.output import Output, StoredVideo
from rushes.video.progress import Done, Failed, Handle, Progress, Submission, Working
from rushes.video.request import VideoRequest

T = TypeVar("T")

log = structlog.get_logger(__name__)

PROGRESS_STEP = 10
"""Reported progress is written only when it has risen by this many points: polls are not checkpoints."""
PROGRESS_CEILING = 95
SEEDS = 2**32
LEADING_PART = 0
"""The call that goes first while a fallback may still take the job over, so that no other is under way then."""
LAST_ANSWER_S = 8.0
"""How long a worker that stops still waits for the answer to a submit; process managers kill after about ten."""
UNKNOWN_ANSWER = "The provider answered in a way we do not know"
OF_OWN_KEYS = {
    "submission_unknown": "your own key is wiped now that the job has ended, so look in your account there",
    "provider_auth": "the key is the one sent as byok_api_key",
    "provider_quota": "the account is that of the byok_api_key",
}
"""What a caller should know besides, by the error's code, when the job ran on a key of theirs."""


@dataclass(frozen=True, slots=True)
class Tools:
    """What carrying a job out needs besides the job. `poll_interval_s` replaces every pace, for development;
    `retention_s` is how long finished videos are kept, None for ever.
    """

    leases: LeaseStore
    provider: Provider
    model: Model
    credential: Credential
    read_media: ReadMedia
    custody: Custody
    clock: Clock
    breaker: Breaker = field(default_factory=Breaker)
    poll_interval_s: float | None = None
    retention_s: float | None = None


class Carrying:
    """One claimed job on its way to its end."""

    def __init__(self, claimed: Claimed, tools: Tools) -> None:
        self._claimed = claimed
        self._job = claimed.job
        self._tools = tools
        self._log = log.bind(job_id=claimed.job.id)
        self._redactor = Redactor((tools.credential.secret,))
        self._parts = split_into_calls(claimed.job.request.n, tools.model.n_per_call)
        self._recovering = claimed.job.state is State.RECOVERING
        self._storing_began = self._recovering or claimed.job.state is State.STORING
        self._generating = set() if self._storing_began else set(range(len(self._parts)))
        self._any_generated = self._storing_began
        self._attempt_ids = {attempt.part: attempt.id for attempt in claimed.attempts}
        # A repeated submit that is refused says nothing of the one before it, whose answer was lost.
        self._maybe_accepted = {
            attempt.part
            for attempt in claimed.attempts
            if attempt.state is AttemptState.INTENT and tools.model.repeatable_submit
        }
        self._may_fall_back = claimed.job.fallbacks.next is not None and not any(
            attempt.part != LEADING_PART or attempt.state is not AttemptState.INTENT for attempt in claimed.attempts
        )
        self._led = asyncio.Event()
        if not self._may_fall_back:
            self._led.set()
        self._fractions = [0.0] * len(self._parts)
        self._reported = claimed.job.progress or 0
        self._warned_of_unknown = any(warning.startswith(UNKNOWN_ANSWER) for warning in claimed.job.warnings)

    async def to_its_end(self) -> None:
        """Carry the job to a final state, or to where a fallback takes it over.

        Raises LeaseLost if another worker has it now.
        """
        try:
            async with asyncio.TaskGroup() as group:
                tasks = [group.create_task(self._make_part(part, n)) for part, n in enumerate(self._parts)]
        except ExceptionGroup as errors:
            if errors.subgroup(LeaseLost) is not None:
                raise LeaseLost(f"job '{self._job.id}' was taken over") from errors
            turned_away = errors.subgroup(_TurnedAway)
            if turned_away is None or errors.split(_TurnedAway)[1] is not None:
                raise
            await self._fall_back(str(turned_away.exceptions[0]))
            return
        results = [task.result() for task in tasks]
        videos = [video for result in results if not isinstance(result, Problem) for video in result]
        problems = [result for result in results if isinstance(result, Problem)]
        if videos:
            if problems:
                await self._warn(_what_is_missing(problems, len(videos)))
            await self._insist(
                lambda: self._leases.succeed(self._claimed, videos, "stored", files_expire_at=self._files_expire_at())
            )
        else:
            # A real reason says more than that time ran out; and once there were videos, a job fails, not expires.
            problem = next((found for found in problems if found.code != JobExpired.code), problems[0])
            expired = problem.code == JobExpired.code and not self._storing_began
            state = State.EXPIRED if expired else State.FAILED
            await self._insist(lambda: self._leases.fail(self._claimed, state, problem))

    @property
    def _leases(self) -> LeaseStore:
        return self._tools.leases

    async def _make_part(self, part: int, n: int) -> tuple[StoredVideo, ...] | Problem:
        """One provider call from its intent to its stored videos, beginning where an earlier worker stopped."""
        attempt = next((found for found in self._claimed.attempts if found.part == part), None)
        if attempt is not None and attempt.state is AttemptState.STORED:
            await self._stop_generating(part, delivered=True)
            return attempt.outputs
        if attempt is not None and attempt.state is AttemptState.FAILED and attempt.problem is not None:
            await self._stop_generating(part, delivered=False)
            return attempt.problem
        if self._recovering and (attempt is None or attempt.handle is None):
            # An operator takes up what was submitted; nothing is submitted anew, and paid for, without the caller.
            return Problem(SubmissionUnknown.code, "This part of the job was never known to be submitted")
        progress: Progress
        try:
            if attempt is not None and attempt.handle is not None:
                handle, progress = attempt.handle, Working(wait_s=0)
            else:
                if part != LEADING_PART:
                    await self._led.wait()
                submission = await self._submit(part, n, attempt)
                self._stop_leading(part)
                handle, progress = submission.handle, submission.progress
            done = await self._poll_until_done(part, handle, progress)
            await self._stop_generating(part, delivered=True)
            return await self._store(part, handle, done)
        except (LeaseLost, DatabaseUnavailable):
            raise
        except RushesError as error:
            problem = self._problem(error)
            attempt_id = self._attempt_ids.get(part)
            self._log.info("attempt_failed", attempt_id=attempt_id, error_code=problem.code)
            if attempt_id is not None:
                await self._insist(lambda: self._leases.fail_attempt(self._claimed, attempt_id, problem))
            await self._stop_generating(part, delivered=False)
            self._stop_leading(part)
            return problem

    def _problem(self, error: RushesError) -> Problem:
        """The error as callers will see it: a provider's words may quote the key that it was sent."""
        said = getattr(error, "provider_error", None)
        message = error.message
        if self._job.byok and error.code in OF_OWN_KEYS:
            message = f"{message}; {OF_OWN_KEYS[error.code]}"
        return Problem(error.code, self._redactor.scrub(message), None if said is None else self._redactor.scrub(said))

    def _stop_leading(self, part: int) -> None:
        """Once the first call has its answer, no fallback takes over any more, and the other calls begin."""
        if part == LEADING_PART:
            self._may_fall_back = False
            self._led.set()

    async def _fall_back(self, why: str) -> None:
        self._log.info("job_falls_back", to=getattr(self._job.fallbacks.next, "name", None))
        await self._insist(lambda: self._leases.fall_back(self._claimed, why, self._tools.clock.now_ms()))

    async def _stop_generating(self, part: int, *, delivered: bool) -> None:
        """When the last call has ended and any has a video, the job moves on; its lane has room for another then."""
        self._generating.discard(part)
        self._any_generated = self._any_generated or delivered
        if self._any_generated and not self._generating and not self._storing_began:
            self._storing_began = True
            await self._insist(lambda: self._leases.begin_storing(self._claimed))

    # --- submit

    async def _submit(self, part: int, n: int, attempt: Attempt | None) -> Submission:
        """Have the provider accept, and record that it has."""
        if attempt is not None:
            found = await self._look_up(attempt.id)
            if found is not None:
                await self._record(attempt.id, found)
                return found
        failures = 0
        while True:
            self._check_time(part)
            call = self._tools.breaker.begin(self._tools.clock.now_ms())
            if call is None:
                self._turn_away_if_closed(part)
                await self._rest(self._tools.breaker.wait_s(self._tools.clock.now_ms()), until_deadline=True)
                continue
            outcome = await self._call_through(call, part, n)
            if isinstance(outcome, Submission):
                return outcome
            attempt_id = self._attempt_ids.get(part)
            if attempt_id is not None:
                found = await self._look_up(attempt_id, after=outcome)
                if found is not None:
                    await self._record(attempt_id, found)
                    return found
            failures += 1
            self._turn_away_if_refused(part, outcome, failures)
            self._log.info("submit_will_be_repeated", error_code=outcome.code, failures=failures)
            await self._pause(part, failures, outcome.retry_after_s)

    async def _call_through(self, call: int, part: int, n: int) -> Submission | RushesError:
        """A call that the breaker has let through, and its intent; the breaker learns how it went."""
        trouble: BaseException | None = None
        try:
            attempt_id = self._attempt_ids.get(part)
            if attempt_id is None:
                attempt_id = await self._intend(part, n)
            outcome = await self._even_if_stopped(self._submit_once(part, n, attempt_id))
            trouble = outcome if isinstance(outcome, RushesError) else None
            return outcome
        except BaseException as error:
            trouble = error
            if isinstance(error, ProviderAuth | ProviderCreditEmpty):
                self._turn_away_if_refused(part, error, failures=1)
            raise
        finally:
            self._tools.breaker.end(call, outcome_of(trouble), self._tools.clock.now_ms())

    def _turn_away_if_closed(self, part: int) -> None:
        if self._may_fall_back and part not in self._maybe_accepted:
            raise _TurnedAway("it cannot be reached (provider_unavailable)")

    def _turn_away_if_refused(self, part: int, error: RushesError, failures: int) -> None:
        """Leave the job to a fallback, if it has one, it is time to, and surely nothing was accepted."""
        if self._may_fall_back and part not in self._maybe_accepted and gives_way(error, failures, byok=self._job.byok):
            raise _TurnedAway(f"{error.message} ({error.code})") from error

    async def _submit_once(self, part: int, n: int, attempt_id: str) -> Submission | RushesError:
        """One call and the record of its answer; or the error after which another call may be right."""
        try:
            submission = await self._call_submit(part, n, attempt_id)
        except (ProviderQuota, ProviderUnavailable, UnexpectedResponse, StorageUnavailable) as error:
            if not error.retryable:
                raise
            if not _surely_not_accepted(error):
                if self._tools.model.repeatable_submit:
                    self._maybe_accepted.add(part)
            elif part not in self._maybe_accepted:
                await self._withdraw(part, attempt_id)
            return error
        await self._record(attempt_id, submission)
        return submission

    async def _even_if_stopped(self, step: Coroutine[Any, Any, T]) -> T:
        """Do a step to its end even if this task is cancelled meanwhile: an unrecorded answer is a lost video."""
        task = asyncio.ensure_future(step)
        try:
            return await asyncio.shield(task)
        except asyncio.CancelledError:
            limit = asyncio.ensure_future(self._tools.clock.sleep(LAST_ANSWER_S))
            try:
                await asyncio.wait({task, limit}, return_when=asyncio.FIRST_COMPLETED)
            finally:
                limit.cancel()
                task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            raise

    async def _call_submit(self, part: int, n: int, attempt_id: str) -> Submission:
        try:
            return await self._tools.provider.submit(
                self._tools.model,
                request_for_call(self._job.request, part, n, seeded=self._tools.model.seed),
                attempt_id=attempt_id,
                credential=self._tools.credential,
                read_media=self._tools.read_media,
            )
        except RushesError:
            raise
        except Exception as exc:
            self._log.exception("adapter_failed", verb="submit")
            raise ProviderUnavailable("the adapter failed while it was submitting", accepted=None) from exc

    async def _look_up(self, attempt_id: str, *, after: RushesError | None = None) -> Submission | None:
        """What became of an intent without an answer: a submission, or None if submitting again cannot pay twice."""
        if self._tools.model.repeatable_submit:
            return None
        failures = 0
        while True:
            try:
                return await self._call_find(attempt_id)
            except SubmissionUnknown as unknown:
                if after is None:
                    raise
                said = unknown.provider_error or getattr(after, "provider_error", None)
                raise SubmissionUnknown(f"{after.message}; {unknown.message}", provider_error=said) from after
            except ProviderError as error:
                failures += 1
                if self._past_deadline():
                    raise SubmissionUnknown(
                        "The provider may have accepted the job, and could not be asked before the deadline; "
                        "it may be charged",
                        provider_error=error.provider_error,
                    ) from error
                await self._rest(self._back_off_s(failures, error.retry_after_s), until_deadline=True)

    async def _call_find(self, attempt_id: str) -> Submission | None:
        try:
            return await self._tools.provider.find(attempt_id, credential=self._tools.credential)
        except RushesError:
            raise
        except Exception as exc:
            self._log.exception("adapter_failed", verb="find")
            raise UnexpectedResponse("the adapter could not read the provider's answer") from exc

    async def _intend(self, part: int, n: int) -> str:
        attempt_id = new_id("att")
        await self._insist(lambda: self._leases.intend(self._claimed, attempt_id=attempt_id, part=part, n=n))
        self._attempt_ids[part] = attempt_id
        return attempt_id

    async def _withdraw(self, part: int, attempt_id: str) -> None:
        await self._insist(lambda: self._leases.withdraw(self._claimed, attempt_id))
        del self._attempt_ids[part]

    async def _record(self, attempt_id: str, submission: Submission) -> None:
        await self._insist(
            lambda: self._leases.accept(self._claimed, attempt_id, submission.handle, submission.provider_video_id)
        )

    # --- poll

    async def _poll_until_done(self, part: int, handle: Handle, progress: Progress) -> Done:
        failures = 0
        while True:
            if isinstance(progress, Done):
                if not progress.outputs:
                    raise UnexpectedResponse("The provider says that it is done, but names no video")
                return progress
            if isinstance(progress, Failed):
                raise progress.error
            await self._report(part, progress)
            await self._rest(self._poll_delay_s(progress, failures), until_deadline=part in self._generating)
            try:
                progress = await self._poll_once(handle)
                failures = 0
            except ProviderError as error:
                # The generation may be well and is paid for: only the deadline gives it up.
                failures += 1
                self._log.info("poll_failed", error_code=error.code, failures=failures)
                if isinstance(error, UnexpectedResponse) and not self._warned_of_unknown:
                    self._warned_of_unknown = True
                    await self._warn(f"{UNKNOWN_ANSWER}: {error.message}")
                progress = Working(wait_s=error.retry_after_s)
            if isinstance(progress, Working):
                # Only now: a job that was accepted is asked for once more, however late a restart finds it.
                self._check_time(part)

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
            return self._back_off_s(failures, progress.wait_s)
        return poll_delay_s(
            interval_s=self._tools.model.poll_interval_s,
            age_s=(self._tools.clock.now_ms() - self._job.created_at) / 1000,
            asked_s=progress.wait_s,
            chance=random.random(),
        )

    # --- store

    async def _store(self, part: int, handle: Handle, done: Done) -> tuple[StoredVideo, ...]:
        attempt_id = self._attempt_ids[part]
        videos: list[StoredVideo] = []
        failures = 0
        while len(videos) < len(done.outputs):
            place = len(videos)
            try:
                key = f"videos/{self._job.id}/{attempt_id}-{place}.mp4"
                videos.append(await self._tools.custody.keep(key, self._fetch(handle, done.outputs[place])))
            except (ProviderError, MediaError) as error:
                failures += 1
                lost_for_good = isinstance(error, OutputLost) and failures > 1
                # The video is paid for, so a key or an account in trouble for now does not give it up.
                passes = error.retryable or isinstance(error, OutputLost | ProviderAuth | ProviderQuota)
                if lost_for_good or not passes:
                    raise
                self._log.warning("storing_will_be_repeated", error_code=error.code, failures=failures)
                self._check_time(part)
                await self._pause(part, failures, error.retry_after_s)
                done = await self._ask_afresh(part, handle)
        if done.missing is not None:
            await self._warn(done.missing)
        elif len(videos) < self._parts[part]:
            await self._warn(f"The provider delivered {len(videos)} of {self._parts[part]} videos, and did not say why")
        await self._insist(lambda: self._leases.keep(self._claimed, attempt_id, videos))
        return tuple(videos)

    async def _ask_afresh(self, part: int, handle: Handle) -> Done:
        """Asked again, the provider may name a fresh address for the same video."""
        try:
            return await self._poll_until_done(part, handle, Working(wait_s=0))
        except ProviderError as error:
            # It was finished once: as a lost output it stays with its handle, for the operator to recover.
            raise OutputLost(f"The video was finished, but the provider has it no more: {error.message}") from error

    async def _fetch(self, handle: Handle, output: Output) -> AsyncGenerator[bytes, None]:
        try:
            async with aclosing(
                self._tools.provider.fetch(handle, output, credential=self._tools.credential)
            ) as chunks:
                async for chunk in chunks:
                    yield chunk
        except RushesError:
            raise
        except Exception as exc:
            self._log.exception("adapter_failed", verb="fetch")
            raise ProviderUnavailable("the adapter failed while it was fetching the video") from exc

    # --- time and trouble

    def _files_expire_at(self) -> int | None:
        kept_s = self._tools.retention_s
        return None if kept_s is None else self._tools.clock.now_ms() + int(kept_s * 1000)

    async def _warn(self, warning: str) -> None:
        scrubbed = self._redactor.scrub(warning)
        await self._insist(lambda: self._leases.warn(self._claimed, scrubbed))

    def _past_deadline(self) -> bool:
        return self._tools.clock.now_ms() >= self._job.deadline_at

    def _check_time(self, part: int) -> None:
        """Give up what is not finished by the deadline, and what is finished but cannot be stored long after it."""
        if part in self._generating:
            if self._past_deadline():
                limit_s = (self._job.deadline_at - self._job.created_at) // 1000
                raise JobExpired(f"The job was not done within its limit of {limit_s} s; it may still be charged")
        elif self._tools.clock.now_ms() >= self._job.deadline_at + self._tools.model.output_lifetime_s * 1000:
            raise OutputLost("The video was finished at the provider, but could not be stored; it may be charged")

    async def _pause(self, part: int, failures: int, asked_s: float | None) -> None:
        await self._rest(self._back_off_s(failures, asked_s), until_deadline=part in self._generating)

    def _back_off_s(self, failures: int, asked_s: float | None) -> float:
        if self._tools.poll_interval_s is not None:
            return self._tools.poll_interval_s
        return backoff_s(failures=failures, asked_s=asked_s, chance=random.random())

    async def _rest(self, delay_s: float, *, until_deadline: bool) -> None:
        """Sleep, but not beyond the deadline where that ends the wait: the job should say `expired` on time."""
        left_s = (self._job.deadline_at - self._tools.clock.now_ms()) / 1000
        await self._tools.clock.sleep(min(delay_s, left_s) if until_deadline and left_s > 0 else delay_s)

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


class _TurnedAway(Exception):
    """The provider has accepted nothing and will not soon; a fallback takes the job over."""


def split_into_calls(n: int, n_per_call: int) -> list[int]:
    """How many videos each provider call asks for, so that all make `n`."""
    whole, rest = divmod(n, n_per_call)
    return [n_per_call] * whole + ([rest] if rest else [])


def request_for_call(request: VideoRequest, part: int, n: int, *, seeded: bool) -> VideoRequest:
    """What the call number `part` asks for. Where the model takes seeds each call has its own, so no two draw alike.

    The first call's seed is the one given, if any; the others count on from it, or from a number made of the prompt.
    """
    if part == 0 or not seeded:
        return replace(request, n=n)
    first = zlib.crc32(request.prompt.encode("utf-8", "replace")) if request.seed is None else request.seed
    return replace(request, n=n, seed=(first + part) % SEEDS)


def _what_is_missing(problems: Sequence[Problem], delivered: int) -> str:
    reasons = "; ".join(dict.fromkeys(f"{problem.message} ({problem.code})" for problem in problems))
    return f"{delivered} videos were delivered; {len(problems)} calls to the provider failed: {reasons}"


def _surely_not_accepted(error: RushesError) -> bool:
    """Whether a submit that ended so was refused or never left us; input media are read before anything is sent."""
    if isinstance(error, ProviderUnavailable):
        return error.accepted is False
    return isinstance(error, (ProviderQuota, StorageUnavailable))
