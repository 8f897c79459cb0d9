"""Carrying one job out, as straight-line code: submit, poll until done, store, finish.

Each step may be repeated: its result is saved before the next begins, and after a crash the next worker goes on from
what was saved. Waiting costs no writes.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from dataclasses import replace
from typing import TypeVar

import structlog

from rushes.domain.job import MAYBE_CHARGED, AttemptState, Problem, State
from rushes.domain.output import Output, StoredVideo
from rushes.domain.progress import Done, Failed, Handle, Progress, Working
from rushes.engine.backoff import poll_delay_s
from rushes.engine.claims import LeaseStore
from rushes.engine.job_record import Claimed
from rushes.engine.job_resources import Tools
from rushes.engine.lease_clock import Tenure, Term
from rushes.engine.retry_write import Patience
from rushes.engine.stopping import BY_OPERATOR, Stopping
from rushes.engine.submission import LEADING_PART, Submitting, TurnedAway
from rushes.errors import (
    Aborted,
    DatabaseUnavailable,
    JobExpired,
    LeaseLost,
    MediaError,
    OutputIsText,
    OutputLost,
    ProviderAuth,
    ProviderError,
    ProviderQuota,
    ProviderUnavailable,
    RushesError,
    SubmissionUnknown,
    UnexpectedResponse,
)
from rushes.jobs.files import video_key
from rushes.net.redact import Redactor

T = TypeVar("T")

log = structlog.get_logger(__name__)

PROGRESS_STEP = 10
"""Reported progress is written only when it has risen by this many points: polls are not checkpoints."""
PROGRESS_CEILING = 95
UNKNOWN_ANSWER = "The provider answered in a way we do not know"
UNMEASURED = "The video is kept as the provider delivered it, but it could not be measured"
TEXT_TRIES = 2
"""How often a provider that delivers text in place of a video is asked again, before the text is kept."""
UNSETTLED_CODES = (SubmissionUnknown.code, OutputLost.code, JobExpired.code)
"""Ends after which the provider may charge, and an operator may still find the video."""
OF_OWN_KEYS = {
    "submission_unknown": "your own key is wiped now that the job has ended, so look in your account there",
    "provider_auth": "the key is the one sent as byok_api_key",
    "provider_quota": "the account is that of the byok_api_key",
}
"""What a caller should know besides, by the error's code, when the job ran on a key of theirs."""


class Carrying:
    """One claimed job on its way to its end. `term` is that of its claim; without one, nobody else can take the job."""

    def __init__(self, claimed: Claimed, tools: Tools, term: Term | None = None) -> None:
        self._claimed = claimed
        self._job = claimed.job
        self._tools = tools
        self._redactor = Redactor((tools.credential.secret,))
        self._parts = split_into_calls(claimed.job.request.n, tools.model.n_per_call)
        self._recovering = claimed.job.state is State.RECOVERING
        self._storing_began = self._recovering or claimed.job.state is State.STORING
        generating: set[int] = set() if self._storing_began else set(range(len(self._parts)))
        self._patience = Patience(claimed.job, tools, generating)
        self._insist = self._patience.insist
        self._submitting = Submitting(claimed, tools, self._patience, term or Tenure(tools.clock).term())
        self._stopping = Stopping(claimed.job, tools, self._patience)
        self._may_be_charged = False
        self._any_generated = self._storing_began
        self._fractions = [0.0] * len(self._parts)
        self._reported = claimed.job.progress or 0
        self._warned_of_unknown = any(warning.startswith(UNKNOWN_ANSWER) for warning in claimed.job.warnings)

    def abort(self) -> None:
        """An operator wants the job to end: submit nothing more, and stop what runs where that is possible."""
        self._patience.abort()

    async def to_its_end(self) -> None:
        """Carry the job to a final state, or to where a fallback takes it over.

        Raises LeaseLost if another worker has it now.
        """
        try:
            results = await self._make_parts()
        except TurnedAway as error:
            await self._fall_back(str(error))
            return
        videos = [video for result in results if not isinstance(result, Problem) for video in result]
        problems = [result for result in results if isinstance(result, Problem)]
        if videos:
            if problems:
                await self._warn(_what_is_missing(problems, len(videos)))
            expire_at = self._files_expire_at()
            attempt_id = None if len(self._parts) > 1 else self._submitting.attempt_ids[LEADING_PART]
            await self._insist(
                lambda: self._leases.succeed(
                    self._claimed, videos, "stored", files_expire_at=expire_at, of_attempt=attempt_id
                )
            )
        else:
            problem = self._reason_of(problems)
            expired = problem.code == JobExpired.code and not self._storing_began
            state = State.EXPIRED if expired else State.FAILED
            is_free = problem.code == Aborted.code and not self._may_be_charged
            await self._insist(lambda: self._leases.fail(self._claimed, state, problem, is_free=is_free))

    async def _make_parts(self) -> list[tuple[StoredVideo, ...] | Problem]:
        """Every call's outcome, in order. Raises LeaseLost, or TurnedAway for a fallback to take the job over."""
        if len(self._parts) == 1:
            return [await self._make_part(LEADING_PART, self._parts[LEADING_PART])]
        try:
            async with asyncio.TaskGroup() as group:
                tasks = [group.create_task(self._make_part(part, n)) for part, n in enumerate(self._parts)]
        except ExceptionGroup as errors:
            if errors.subgroup(LeaseLost) is not None:
                raise LeaseLost(f"job '{self._job.id}' was taken over") from errors
            turned_away, others = errors.split(TurnedAway)
            if turned_away is None or others is not None:
                raise
            raise TurnedAway(str(turned_away.exceptions[0])) from errors
        return [task.result() for task in tasks]

    def _reason_of(self, problems: Sequence[Problem]) -> Problem:
        """Why a job without videos has failed: first what may be paid for, then what says more than "ended"."""
        aborted = next((found for found in problems if found.code == Aborted.code), None)
        others = [found for found in problems if found.code != Aborted.code]
        costly = [found for found in others if found.code in MAYBE_CHARGED]
        telling = [found for found in costly or others if found.code != JobExpired.code]
        if aborted is not None and (not telling or self._may_be_charged):
            return aborted
        problem = (telling or costly)[0]
        if self._patience.aborted and problem.code in (SubmissionUnknown.code, OutputLost.code):
            return replace(problem, code=Aborted.code, message=f"{BY_OPERATOR}. {problem.message}")
        return problem

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
            self._may_be_charged |= attempt.problem.code in (Aborted.code, *UNSETTLED_CODES)
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
                    await self._submitting.led.wait()
                submission = await self._submitting.submit(part, n, attempt)
                self._submitting.stop_leading(part)
                handle, progress = submission.handle, submission.progress
            done = await self._poll_until_done(part, handle, progress)
            await self._stop_generating(part, delivered=True)
            return await self._store(part, handle, done)
        except (LeaseLost, DatabaseUnavailable):
            raise
        except RushesError as error:
            problem = self._problem(error)
            charged = error.may_be_charged if isinstance(error, Aborted) else error.code in UNSETTLED_CODES
            self._may_be_charged |= charged
            attempt_id = self._submitting.attempt_ids.get(part)
            log.info("attempt_failed", attempt_id=attempt_id, error_code=problem.code)
            if attempt_id is not None:
                await self._insist(lambda: self._leases.fail_attempt(self._claimed, attempt_id, problem))
            await self._stop_generating(part, delivered=False)
            self._submitting.stop_leading(part)
            return problem

    def _problem(self, error: RushesError) -> Problem:
        """The error as callers will see it: a provider's words may quote the key that it was sent."""
        said = getattr(error, "provider_error", None)
        message = error.message
        if self._job.byok and error.code in OF_OWN_KEYS:
            message = f"{message}; {OF_OWN_KEYS[error.code]}"
        return Problem(error.code, self._redactor.scrub(message), None if said is None else self._redactor.scrub(said))

    async def _fall_back(self, why: str) -> None:
        log.info("job_falls_back", to=getattr(self._job.fallbacks.next, "name", None))
        await self._insist(lambda: self._leases.fall_back(self._claimed, why, self._tools.clock.now_ms()))

    async def _stop_generating(self, part: int, *, delivered: bool) -> None:
        """When the last call has ended and any has a video, the job moves on; its lane has room for another then."""
        self._patience.generating.discard(part)
        self._any_generated = self._any_generated or delivered
        if self._any_generated and not self._patience.generating and not self._storing_began:
            self._storing_began = True
            await self._insist(lambda: self._leases.begin_storing(self._claimed))

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
            if not self._patience.aborted:
                delay_s = self._poll_delay_s(progress, failures)
                await self._patience.rest(delay_s, until_deadline=part in self._patience.generating)
            if self._patience.aborted and part in self._patience.generating:
                return await self._stopping.stop(handle)
            try:
                progress = await self._poll_once(handle)
                failures = 0
            except ProviderError as error:
                # The generation may be well and is paid for: only the deadline gives it up.
                failures += 1
                log.info("poll_failed", error_code=error.code, failures=failures)
                if isinstance(error, UnexpectedResponse) and not self._warned_of_unknown:
                    self._warned_of_unknown = True
                    await self._warn(f"{UNKNOWN_ANSWER}: {error.message}")
                progress = Working(wait_s=error.retry_after_s)
            if isinstance(progress, Working):
                if part not in self._patience.generating:
                    self._give_up_if_aborted()
                # Only now: a job that was accepted is asked for once more, however late a restart finds it.
                self._patience.check_time(part)

    async def _poll_once(self, handle: Handle) -> Progress:
        try:
            return await self._tools.provider.poll(handle, credential=self._tools.credential)
        except RushesError:
            raise
        except Exception as exc:
            log.exception("adapter_failed", verb="poll")
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
            return self._patience.back_off_s(failures, progress.wait_s)
        return poll_delay_s(
            interval_s=self._tools.model.poll_interval_s,
            age_s=(self._tools.clock.now_ms() - self._job.created_at) / 1000,
            asked_s=progress.wait_s,
            chance=random.random(),
        )

    # --- store

    async def _store(self, part: int, handle: Handle, done: Done) -> tuple[StoredVideo, ...]:
        attempt_id = self._submitting.attempt_ids[part]
        videos: list[StoredVideo] = []
        failures = 0
        while len(videos) < len(done.outputs):
            place = len(videos)
            try:
                key = video_key(self._job.id, attempt_id, place, self._claimed.lease)
                stored = await self._tools.outputs.store(
                    key, self._fetch(handle, done.outputs[place]), accepts_text=failures >= TEXT_TRIES
                )
                videos.append(stored)
                if stored.trouble is not None:
                    await self._warn(f"{UNMEASURED}: {stored.trouble}")
            except (ProviderError, MediaError) as error:
                failures += 1
                lost_for_good = isinstance(error, OutputLost) and failures > 1
                # The video is paid for, so a key or an account in trouble for now does not give it up.
                passes = error.retryable or isinstance(error, OutputLost | ProviderAuth | ProviderQuota)
                # An error page may stand where the video is in a moment; if it stays, it is kept.
                passes = passes or (isinstance(error, OutputIsText) and failures <= TEXT_TRIES)
                if lost_for_good or not passes:
                    raise
                log.warning("storing_will_be_repeated", error_code=error.code, failures=failures)
                self._patience.check_time(part)
                await self._patience.pause(part, failures, error.retry_after_s)
                self._give_up_if_aborted()
                done = await self._ask_afresh(part, handle)
        if done.missing is not None:
            await self._warn(done.missing)
        elif len(videos) < self._parts[part]:
            await self._warn(f"The provider delivered {len(videos)} of {self._parts[part]} videos, and did not say why")
        if len(self._parts) > 1:
            await self._insist(lambda: self._leases.keep(self._claimed, attempt_id, videos))
        # Else the job ends with this very write: one less that waits for the disk.
        return tuple(videos)

    def _give_up_if_aborted(self) -> None:
        """A finished video is paid for, so it is stored if that works at once; what does not is not tried for hours."""
        if self._patience.aborted:
            raise OutputLost("The video was finished at the provider, but could not be stored; it may be charged")

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
            log.exception("adapter_failed", verb="fetch")
            raise ProviderUnavailable("the adapter failed while it was fetching the video") from exc

    # --- time and trouble

    def _files_expire_at(self) -> int | None:
        kept_s = self._tools.retention_s
        return None if kept_s is None else self._tools.clock.now_ms() + int(kept_s * 1000)

    async def _warn(self, warning: str) -> None:
        scrubbed = self._redactor.scrub(warning)
        await self._insist(lambda: self._leases.warn(self._claimed, scrubbed))


def split_into_calls(n: int, n_per_call: int) -> list[int]:
    """How many videos each provider call asks for, so that all make `n`."""
    whole, rest = divmod(n, n_per_call)
    return [n_per_call] * whole + ([rest] if rest else [])


def _what_is_missing(problems: Sequence[Problem], delivered: int) -> str:
    reasons = "; ".join(dict.fromkeys(f"{problem.message} ({problem.code})" for problem in problems))
    return f"{delivered} videos were delivered; {len(problems)} calls to the provider failed: {reasons}"
