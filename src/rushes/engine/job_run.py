"""Running one claimed job, as straight-line code: submit, poll until done, store, finish.

Each step may be repeated: its result is recorded before the next begins. After a crash between two steps the next
worker finds in the attempt's state how far the job was: no attempt or an intent (submit), accepted (poll), stored
(finish), failed (finish). Waiting costs no writes.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace

import structlog

from rushes.domain.job import MAYBE_CHARGED, Attempt, AttemptState, Problem, State
from rushes.domain.output import StoredVideo
from rushes.domain.progress import Handle, Submission, Working
from rushes.engine.hand_over import HandedOver, HandOver
from rushes.engine.job_record import JobRecord
from rushes.engine.job_resources import JobResources
from rushes.engine.lease_clock import LeaseClock, LeaseEpoch
from rushes.engine.polling import Polling
from rushes.engine.run_state import RunState
from rushes.engine.stopping import BY_OPERATOR, Stopping
from rushes.engine.storing import Storing
from rushes.engine.submission import LEADING_PART, Submitting, TurnedAway
from rushes.engine.trouble_log import TroubleLog
from rushes.errors import (
    Aborted,
    CredentialRemoved,
    DatabaseUnavailable,
    JobExpired,
    LeaseLost,
    OutputLost,
    RushesError,
    SubmissionUnknown,
)
from rushes.net.redact import Redactor

log = structlog.get_logger(__name__)

Outcome = tuple[StoredVideo, ...] | Problem
"""What one call to the provider came to."""

UNSETTLED_CODES = (SubmissionUnknown.code, OutputLost.code, JobExpired.code)
"""Ends after which the provider may charge, and an operator may still find the video."""
OF_OWN_KEYS = {
    "submission_unknown": "your own key is wiped now that the job has ended, so look in your account there",
    "provider_auth": "the key is the one sent as byok_api_key",
    "provider_quota": "the account is that of the byok_api_key",
}
"""What a caller should know besides, by the error's code, when the job ran on a key of theirs."""


class JobRun:
    """One claimed job on its way to its end. Without an `epoch`, no other worker can take the job."""

    def __init__(
        self,
        record: JobRecord,
        resources: JobResources,
        n: int,
        epoch: LeaseEpoch | None = None,
        hand_over: HandOver | None = None,
    ) -> None:
        self._record = record
        self._job = record.claim.job
        self._handles: list[Handle] = []
        self._attempts = {attempt.part: attempt for attempt in record.claim.attempts}
        self._resources = resources
        self._redactor = Redactor(resources.secrets)
        parts = split_into_calls(n, resources.model.n_per_call)
        state = self._state = RunState(record.claim, resources, parts)
        hand_over = hand_over or HandOver()
        troubles = TroubleLog(record, resources.clock, self._redactor)
        epoch = epoch or LeaseClock(resources.clock).epoch()
        self._submitting = Submitting(record, resources, state, epoch, troubles, hand_over)
        stopping = Stopping(self._job, resources, state)
        self._polling = Polling(record, resources, state, stopping, troubles, self._redactor, hand_over)
        self._storing = Storing(record, resources, state, self._polling, troubles, self._redactor, hand_over)

    def abort(self) -> None:
        """An operator wants the job to end: submit nothing more, and stop what runs where that is possible."""
        self._state.abort()

    async def run(self) -> None:
        """Run the job to a final state, or to where a fallback takes it over.

        Raises LeaseLost if another worker has it now, HandedOver if another worker should have it.
        """
        keys = self._resources.keys
        try:
            if keys is not None and self._state.attempt_ids:
                keys.hold()
            outcomes = await self._run_calls()
        except TurnedAway as error:
            log.info("job_falls_back", to=getattr(self._job.fallbacks.next, "name", None))
            await self._record.fall_back(str(error), self._state.now_ms())
            return
        finally:
            if keys is not None:
                keys.let_go()
        await self._finish(outcomes)

    async def _run_call(self, part: int, n: int) -> Outcome:
        """One call to the provider, from its intent to its stored videos, beginning where an earlier worker stopped."""
        attempt = self._attempts.get(part)
        recorded = await self._outcome_of(part, attempt)
        if recorded is not None:
            return recorded
        try:
            submission = await self._submit(part, n, attempt)
            self._handles.append(submission.handle)
            done = await self._polling.until_done(part, submission.handle, submission.progress)
            await self._end_part(part, has_video=True)
            return await self._storing.store(part, submission.handle, done)
        except (LeaseLost, DatabaseUnavailable):
            raise
        except RushesError as error:
            return await self._fail_call(part, error)

    async def _outcome_of(self, part: int, attempt: Attempt | None) -> Outcome | None:
        """What an earlier worker has recorded as the end of a call, if it has."""
        if attempt is not None and attempt.state is AttemptState.STORED:
            await self._end_part(part, has_video=True)
            return attempt.outputs
        if attempt is not None and attempt.state is AttemptState.FAILED and attempt.problem is not None:
            await self._end_part(part, has_video=False)
            if attempt.problem.code in (Aborted.code, *UNSETTLED_CODES):
                self._state.charged()
            return attempt.problem
        if self._state.is_recovering and (attempt is None or attempt.handle is None):
            # An operator takes up what was submitted; nothing is submitted anew, and paid for, without the caller.
            return Problem(SubmissionUnknown.code, "This part of the job was never known to be submitted")
        return None

    async def _submit(self, part: int, n: int, attempt: Attempt | None) -> Submission:
        if attempt is not None and attempt.handle is not None:
            return Submission(attempt.handle, Working(wait_s=0))
        await self._submitting.wait_for_turn(part)
        submission = await self._submitting.submit(part, n, attempt)
        self._submitting.first_call_ended(part)
        return submission

    async def _end_part(self, part: int, *, has_video: bool) -> None:
        """When the last call has ended and any has a video, the job moves on; its lane has room for another then."""
        if self._state.part_ended(part, has_video=has_video):
            await self._record.begin_storing()

    async def _fail_call(self, part: int, error: RushesError) -> Problem:
        problem = self._problem(error)
        if isinstance(error, Aborted):
            may_be_charged = error.may_be_charged
        else:
            may_be_charged = error.code in UNSETTLED_CODES or isinstance(error, CredentialRemoved)
        if may_be_charged:
            self._state.charged()
        attempt_id = self._state.attempt_ids.get(part)
        log.info("attempt_failed", attempt_id=attempt_id, error_code=problem.code)
        if attempt_id is not None:
            await self._record.fail_attempt(attempt_id, problem)
        await self._end_part(part, has_video=False)
        self._submitting.first_call_ended(part)
        return problem

    async def _finish(self, outcomes: Sequence[Outcome]) -> None:
        videos = [video for outcome in outcomes if not isinstance(outcome, Problem) for video in outcome]
        problems = [outcome for outcome in outcomes if isinstance(outcome, Problem)]
        if not videos:
            problem = self._reason_of(problems)
            has_expired = problem.code == JobExpired.code and not self._state.is_storing
            is_free = problem.code == Aborted.code and not self._state.may_be_charged
            await self._record.fail(State.EXPIRED if has_expired else State.FAILED, problem, is_free=is_free)
            if problem.code not in (SubmissionUnknown.code, OutputLost.code):
                # An operator may still find those by their handles.
                await self._release()
            return
        if problems:
            await self._record.warn(self._redactor.scrub(_what_is_missing(problems, len(videos))))
        attempt_id = None if len(self._state.parts) > 1 else self._state.attempt_ids[LEADING_PART]
        await self._record.succeed(videos, "stored", retention_s=self._retention_s(), of_attempt=attempt_id)
        await self._release()

    def _retention_s(self) -> float | None:
        pinned_ms = self._record.claim.job.retention_ms
        return self._resources.retention_s if pinned_ms is None else pinned_ms / 1000

    async def _release(self) -> None:
        """Let the adapter remove its own files for this job, which has ended. An error of it changes nothing."""
        for handle in self._handles:
            try:
                await self._resources.provider.release(handle, credential=self._resources.credential)
            except Exception:
                log.exception("adapter_failed", verb="release")

    async def _run_calls(self) -> list[Outcome]:
        """Every call's outcome, in order. Raises LeaseLost, HandedOver, or TurnedAway for a fallback to take over."""
        parts = self._state.parts
        if len(parts) == 1:
            return [await self._run_call(LEADING_PART, parts[LEADING_PART])]
        try:
            async with asyncio.TaskGroup() as group:
                tasks = [group.create_task(self._run_call(part, n)) for part, n in enumerate(parts)]
        except ExceptionGroup as errors:
            for kind in (LeaseLost, HandedOver):
                found = errors.subgroup(kind)
                if found is not None:
                    raise _first_of(found) from errors
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
        if aborted is not None and (not telling or self._state.may_be_charged):
            return aborted
        problem = (telling or costly)[0]
        if self._state.is_aborted and problem.code in (SubmissionUnknown.code, OutputLost.code):
            return replace(problem, code=Aborted.code, message=f"{BY_OPERATOR}. {problem.message}")
        return problem

    def _problem(self, error: RushesError) -> Problem:
        """The error as callers will see it: a provider's words may quote the key that it was sent."""
        said = getattr(error, "provider_error", None)
        message = error.message
        if self._job.byok and error.code in OF_OWN_KEYS:
            message = f"{message}; {OF_OWN_KEYS[error.code]}"
        return Problem(error.code, self._redactor.scrub(message), None if said is None else self._redactor.scrub(said))


def split_into_calls(n: int, n_per_call: int) -> list[int]:
    """How many videos each provider call asks for, so that all make `n`."""
    whole, rest = divmod(n, n_per_call)
    return [n_per_call] * whole + ([rest] if rest else [])


def _what_is_missing(problems: Sequence[Problem], delivered: int) -> str:
    reasons = "; ".join(dict.fromkeys(f"{problem.message} ({problem.code})" for problem in problems))
    return f"{delivered} videos were delivered; {len(problems)} calls to the provider failed: {reasons}"


def _first_of(errors: BaseExceptionGroup[BaseException]) -> BaseException:
    error: BaseException = errors
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error
