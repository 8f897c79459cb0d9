"""Submitting one call of a job: the intent first, then the provider, then the record of its answer; never twice.

What may have been accepted is looked up before anything is submitted again. If the provider cannot say, the call fails.
"""

from __future__ import annotations

import asyncio
import zlib
from collections.abc import Coroutine
from dataclasses import replace
from typing import Any, TypeVar

import structlog

from rushes.domain.fallbacks import gives_way
from rushes.domain.job import Attempt, AttemptState
from rushes.domain.progress import Submission
from rushes.domain.request import InputMedia, VideoRequest
from rushes.engine.breaker import outcome_of
from rushes.engine.credential_limits import CredentialBusy
from rushes.engine.hand_over import HandOver
from rushes.engine.job_record import JobRecord
from rushes.engine.job_resources import JobResources
from rushes.engine.lease_clock import LeaseEpoch
from rushes.engine.run_state import RunState
from rushes.engine.stopping import BY_OPERATOR, CANCEL_TRIES, NOT_SUBMITTED
from rushes.engine.trouble_log import TroubleLog
from rushes.errors import (
    Aborted,
    LeaseLost,
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

T = TypeVar("T")

log = structlog.get_logger(__name__)

SEEDS = 2**32
LEADING_PART = 0
"""The call that goes first while another key or a fallback may still take the job over, so no other is under way."""


class Submitting:
    """The calls of one job that its provider has not accepted yet."""

    def __init__(
        self,
        record: JobRecord,
        resources: JobResources,
        state: RunState,
        epoch: LeaseEpoch,
        troubles: TroubleLog,
        hand_over: HandOver,
    ) -> None:
        self._record = record
        self._epoch = epoch
        self._job = record.claim.job
        self._resources = resources
        self._state = state
        self._troubles = troubles
        self._hand_over = hand_over
        attempts = record.claim.attempts
        # A repeated submit that is refused says nothing of the one before it, whose answer was lost.
        self._maybe_accepted = {
            attempt.part
            for attempt in attempts
            if attempt.state is AttemptState.INTENT and resources.model.repeatable_submit
        }
        is_untaken = not any(
            attempt.part != LEADING_PART or attempt.state is not AttemptState.INTENT for attempt in attempts
        )
        self._may_fall_back = self._job.fallbacks.next is not None and is_untaken
        self._may_change_key = resources.keys is not None and is_untaken
        self._first_call_ended = asyncio.Event()
        if not self._may_fall_back and not (self._may_change_key and resources.has_other_keys):
            self._first_call_ended.set()

    async def wait_for_turn(self, part: int) -> None:
        """Return when this part may be submitted: the first call goes alone while the job may be taken over."""
        if part != LEADING_PART:
            await self._first_call_ended.wait()

    def first_call_ended(self, part: int) -> None:
        """Once the first call has its answer, no key and no fallback can take over, and the other calls begin."""
        if part == LEADING_PART:
            self._may_fall_back = self._may_change_key = False
            self._first_call_ended.set()

    async def submit(self, part: int, n: int, attempt: Attempt | None) -> Submission:
        """Have the provider accept, and record that it has."""
        if attempt is not None:
            found = await self._look_up(attempt.id)
            if found is not None:
                await self._record.accept(attempt.id, found)
                return found
        failures = 0
        while True:
            may_choose = self._may_choose_key(part)
            try:
                outcome = await self._submit_in_turn(part, n, may_choose=may_choose)
            except CredentialBusy as busy:
                self._full(busy.wait_s)
                continue
            if outcome is None:
                wait_s = self._resources.wait_s(may_choose=may_choose)
                if self._resources.is_closed(may_choose=may_choose):
                    self._turn_away_if_closed(part)
                    # An intent of ours is looked up by the next worker, as after a crash.
                    await self._hand_over.unsubmitted(wait_s)
                await self._state.rest(wait_s, until_deadline=True)
                continue
            if isinstance(outcome, Submission):
                return outcome
            if self._moves_to_other_key(part, outcome):
                continue
            attempt_id = self._state.attempt_ids.get(part)
            if attempt_id is not None:
                found = await self._look_up(attempt_id, after=outcome)
                if found is not None:
                    await self._record.accept(attempt_id, found)
                    return found
            failures += 1
            self._turn_away_if_refused(part, outcome, failures)
            if not outcome.retryable:
                raise outcome
            log.info("submit_will_be_repeated", error_code=outcome.code, failures=failures)
            await self._troubles.failed(outcome, failures)
            asked_s = outcome.retry_after_s
            if self._resources.has_other_keys and self._may_choose_key(part):
                asked_s = self._resources.wait_s(may_choose=True)
            await self._state.pause(part, failures, asked_s)

    async def _submit_in_turn(self, part: int, n: int, *, may_choose: bool) -> Submission | RushesError | None:
        """One call once the account's turn has come, or None if none may be made now."""
        self._state.check_time(part)
        self._check_abort(part)
        request = request_for_call(await self._record.request(), part, n, seeded=self._resources.model.seed)
        async with self._resources.submission_turn(request):
            # The turn may have been long in coming.
            self._state.check_time(part)
            self._check_abort(part)
            call = self._resources.begin_call(may_choose=may_choose)
            return None if call is None else await self._call_through(call, request, part, n)

    def _may_choose_key(self, part: int) -> bool:
        """Whether the job has no key yet, or nothing that could have been accepted with the one that it has."""
        return (
            self._may_change_key
            and part == LEADING_PART
            and part not in self._state.attempt_ids
            and part not in self._maybe_accepted
        )

    def _moves_to_other_key(self, part: int, error: RushesError) -> bool:
        """Whether another key is to take the job, now or soon, that was certainly not accepted with this one."""
        keys = self._resources.keys
        if keys is None or not self._may_choose_key(part) or not isinstance(error, ProviderAuth | ProviderQuota):
            return False
        now_ms = self._resources.clock.steady_ms()
        if not isinstance(error, ProviderAuth | ProviderCreditEmpty):
            if keys.has_others:
                keys.limited(now_ms, error.retry_after_s)
            others_are_coming = keys.wait_s(now_ms) <= 0
        else:
            others_are_coming = not keys.are_closed(now_ms)
        if not keys.has_others or not others_are_coming:
            return False
        log.warning("key_did_not_accept", credential=keys.current.pinned.name, error_code=error.code)
        return True

    def _full(self, wait_s: float) -> None:
        if self._resources.keys is not None:
            self._resources.keys.full(self._resources.clock.steady_ms(), wait_s)

    def _check_abort(self, part: int) -> None:
        """Begin nothing that an operator wants to end. Raises Aborted."""
        if not self._state.is_aborted:
            return
        if part in self._maybe_accepted:
            raise Aborted(
                f"{BY_OPERATOR}; an earlier submission got no answer, and may have been accepted and be charged",
                may_be_charged=True,
            )
        raise Aborted(NOT_SUBMITTED, may_be_charged=False)

    async def _call_through(self, call: int, request: VideoRequest, part: int, n: int) -> Submission | RushesError:
        """A call that the breaker has let through, and its intent; the breaker learns how it went."""
        trouble: BaseException | None = None
        try:
            outcome = await self._even_if_stopped(self._submit_once(request, part, n))
            trouble = outcome if isinstance(outcome, RushesError) else None
            return outcome
        except BaseException as error:
            trouble = error
            if isinstance(error, ProviderAuth | ProviderCreditEmpty):
                self._turn_away_if_refused(part, error, failures=1)
                self._raise_unknown_if_maybe_accepted(part, error)
            raise
        finally:
            outcome_for_breaker = outcome_of(trouble, has_other_keys=self._resources.has_other_keys)
            self._resources.breaker.end(call, outcome_for_breaker, self._resources.clock.steady_ms())

    def _turn_away_if_closed(self, part: int) -> None:
        if self._may_fall_back and part not in self._maybe_accepted and not self._state.is_aborted:
            raise TurnedAway("it cannot be reached (provider_unavailable)")

    def _turn_away_if_refused(self, part: int, error: RushesError, failures: int) -> None:
        """Leave the job to a fallback, if it has one, it is time to, and certainly nothing was accepted."""
        if self._state.is_aborted or part in self._maybe_accepted:
            return
        if self._may_fall_back and gives_way(error, failures, byok=self._job.byok):
            raise TurnedAway(f"{error.message} ({error.code})") from error

    def _raise_unknown_if_maybe_accepted(self, part: int, error: ProviderError) -> None:
        """A key or an account in trouble now says nothing of the call before, whose answer was lost."""
        if part in self._maybe_accepted:
            raise SubmissionUnknown(
                f"{error.message}; the answer to an earlier call was lost, so the job may have been accepted, "
                "and may be charged",
                provider_error=error.provider_error,
            ) from error

    async def _submit_once(self, request: VideoRequest, part: int, n: int) -> Submission | RushesError:
        """One call between its intent and the record of its answer; or the error after which another may be right."""
        attempt_id = self._state.attempt_ids.get(part)
        if attempt_id is None:
            attempt_id = await self._intend(part, n)
        try:
            submission = await self._call_submit(request, attempt_id)
        except LeaseLost:
            if part not in self._maybe_accepted:
                await self._withdraw(part, attempt_id)
            raise
        except (
            ProviderAuth, ProviderQuota, ProviderUnavailable, UnexpectedResponse, StorageUnavailable
        ) as error:  # fmt: skip
            if not error.retryable:
                if not self._is_left_to_other_keys(part, error):
                    raise
                await self._withdraw(part, attempt_id)
                return error
            if not _was_not_accepted(error):
                if self._resources.model.repeatable_submit:
                    self._maybe_accepted.add(part)
            elif part not in self._maybe_accepted:
                await self._withdraw(part, attempt_id)
            return error
        try:
            await self._record.accept(attempt_id, submission)
        except asyncio.CancelledError:
            self._log_late_answer(attempt_id, submission)
            raise
        except LeaseLost:
            self._log_late_answer(attempt_id, submission)
            await self._record.late_answer(attempt_id, submission)
            raise
        return submission

    def _is_left_to_other_keys(self, part: int, error: RushesError) -> bool:
        return (
            isinstance(error, ProviderAuth | ProviderCreditEmpty)
            and self._resources.has_other_keys
            and self._may_change_key
            and part == LEADING_PART
            and part not in self._maybe_accepted
            and not self._state.is_aborted
        )

    def _log_late_answer(self, attempt_id: str, submission: Submission) -> None:
        """It is paid for, and the lease is lost: log what the operator needs to find it at the provider."""
        log.error(
            "answer_came_too_late",
            job_id=self._job.id,
            attempt_id=attempt_id,
            provider=self._job.served_provider,
            provider_video_id=submission.provider_video_id,
        )

    async def _even_if_stopped(self, step: Coroutine[Any, Any, T]) -> T:
        """Do a step to its end even if this task is cancelled meanwhile: an unrecorded answer is a lost video."""
        task = asyncio.ensure_future(step)
        try:
            return await asyncio.shield(task)
        except asyncio.CancelledError:
            limit = asyncio.ensure_future(self._epoch.clock.last_answers())
            try:
                await asyncio.wait({task, limit}, return_when=asyncio.FIRST_COMPLETED)
            finally:
                limit.cancel()
                task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            raise

    async def _read_media(self, media: InputMedia) -> bytes:
        """An input's bytes, which can take their time; nothing is sent after them that is not ours to send."""
        content = await self._resources.read_media(media)
        self._check_lease()
        return content

    def _check_lease(self) -> None:
        if not self._epoch.may_submit:
            raise LeaseLost(f"the lease on job '{self._job.id}' may have run out, so its provider is not called")

    async def _call_submit(self, request: VideoRequest, attempt_id: str) -> Submission:
        self._check_lease()
        try:
            return await self._resources.provider.submit(
                self._resources.model,
                request,
                attempt_id=attempt_id,
                credential=self._resources.credential,
                read_media=self._read_media,
            )
        except RushesError:
            raise
        except Exception as exc:
            log.exception("adapter_failed", verb="submit")
            raise ProviderUnavailable("the adapter failed while it was submitting", accepted=None) from exc

    async def _look_up(self, attempt_id: str, *, after: RushesError | None = None) -> Submission | None:
        """What became of an intent without an answer: a submission, or None if submitting again cannot pay twice."""
        if self._resources.model.repeatable_submit:
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
                hopeless = self._state.is_aborted and failures >= CANCEL_TRIES
                if hopeless or self._state.is_past_deadline:
                    raise SubmissionUnknown(
                        "The provider may have accepted the job, and could not be asked; it may be charged",
                        provider_error=error.provider_error,
                    ) from error
                await self._state.rest(self._state.retry_delay_s(failures, error.retry_after_s), until_deadline=True)

    async def _call_find(self, attempt_id: str) -> Submission | None:
        try:
            return await self._resources.provider.find(attempt_id, credential=self._resources.credential)
        except RushesError:
            raise
        except Exception as exc:
            log.exception("adapter_failed", verb="find")
            raise UnexpectedResponse("the adapter could not read the provider's answer") from exc

    async def _intend(self, part: int, n: int) -> str:
        attempt_id = new_id("att")
        keys = self._resources.keys
        await self._record.intend(attempt_id, part=part, n=n, pinned=None if keys is None else keys.current.pinned)
        self._state.attempt_ids[part] = attempt_id
        return attempt_id

    async def _withdraw(self, part: int, attempt_id: str) -> None:
        await self._record.withdraw(attempt_id)
        del self._state.attempt_ids[part]


class TurnedAway(Exception):
    """The provider has accepted nothing and will not soon; a fallback takes the job over."""


def request_for_call(request: VideoRequest, part: int, n: int, *, seeded: bool) -> VideoRequest:
    """What the call number `part` asks for. Where the model takes seeds each call has its own, so no two draw alike.

    The first call's seed is the one given, if any; the others count on from it, or from a number made of the prompt.
    """
    if part == 0 or not seeded:
        return replace(request, n=n)
    first = zlib.crc32(request.prompt.encode("utf-8", "replace")) if request.seed is None else request.seed
    return replace(request, n=n, seed=(first + part) % SEEDS)


def _was_not_accepted(error: RushesError) -> bool:
    """Whether a submit that ended so was refused or never left us; input media are read before anything is sent."""
    if isinstance(error, ProviderUnavailable):
        return error.accepted is False
    return isinstance(error, (ProviderQuota, StorageUnavailable))
