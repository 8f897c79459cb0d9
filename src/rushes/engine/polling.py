"""Polling one generation until it is done, and reporting its progress on the way."""

from __future__ import annotations

import random

import structlog

from rushes.domain.progress import PROGRESS_CEILING, Done, Failed, Handle, Progress, Working
from rushes.engine.backoff import poll_delay_s
from rushes.engine.hand_over import HandOver
from rushes.engine.job_record import JobRecord
from rushes.engine.job_resources import JobResources
from rushes.engine.run_state import RunState
from rushes.engine.stopping import Stopping
from rushes.engine.trouble_log import TroubleLog
from rushes.errors import OutputLost, ProviderError, ProviderUnavailable, RushesError, UnexpectedResponse
from rushes.net.redact import Redactor

log = structlog.get_logger(__name__)

PROGRESS_STEP = 10
"""Reported progress is written only when it has risen by this many points: polls are not checkpoints."""
UNKNOWN_ANSWER = "The provider answered in a way we do not know"


class Polling:
    """The polls of one job's calls."""

    def __init__(
        self,
        record: JobRecord,
        resources: JobResources,
        state: RunState,
        stopping: Stopping,
        troubles: TroubleLog,
        redactor: Redactor,
        hand_over: HandOver,
    ) -> None:
        self._record = record
        self._job = record.claim.job
        self._resources = resources
        self._state = state
        self._stopping = stopping
        self._troubles = troubles
        self._redactor = redactor
        self._hand_over = hand_over
        self._fractions = [0.0] * len(state.parts)
        self._reported = self._job.progress or 0
        self._has_warned = any(warning.startswith(UNKNOWN_ANSWER) for warning in self._job.warnings)

    async def until_done(self, part: int, handle: Handle, progress: Progress) -> Done:
        """Poll until the provider has finished, beginning with what it said last.

        Raises the provider's error if the generation has failed, JobExpired, OutputLost, Aborted, LeaseLost or
        HandedOver.
        """
        failures, failing_since_ms = 0, self._resources.clock.steady_ms()
        while True:
            if isinstance(progress, Done):
                if not progress.outputs:
                    raise UnexpectedResponse("The provider says that it is done, but names no video")
                return progress
            if isinstance(progress, Failed):
                raise progress.error
            await self._report(part, progress)
            if not self._state.is_aborted:
                delay_s = self._delay_s(progress, failures)
                await self._state.rest(delay_s, until_deadline=self._state.is_generating(part))
            if self._state.is_aborted and self._state.is_generating(part):
                return await self._stopping.stop(handle)
            try:
                progress = await self._poll(handle)
                failures = 0
                self._state.answered(part)
            except ProviderError as error:
                # The generation may be well and is paid for: only the deadline gives it up.
                failures += 1
                log.info("poll_failed", error_code=error.code, failures=failures)
                if failures == 1:
                    failing_since_ms = self._resources.clock.steady_ms()
                await self._troubles.failed(error, failures)
                await self._warn_of_unknown(error)
                if isinstance(error, ProviderUnavailable):
                    failing_s = (self._resources.clock.steady_ms() - failing_since_ms) / 1000
                    await self._hand_over.unreachable(failures, failing_s)
                progress = Working(wait_s=error.retry_after_s)
            if isinstance(progress, Working):
                if not self._state.is_generating(part):
                    give_up_if_aborted(self._state)
                # Only now: a job that was accepted is asked for once more, however late a restart finds it.
                self._state.check_time(part)

    async def _poll(self, handle: Handle) -> Progress:
        try:
            return await self._resources.provider.poll(handle, credential=self._resources.credential)
        except RushesError:
            raise
        except Exception as exc:
            log.exception("adapter_failed", verb="poll")
            raise UnexpectedResponse("the adapter could not read the provider's answer") from exc

    async def _warn_of_unknown(self, error: ProviderError) -> None:
        if isinstance(error, UnexpectedResponse) and not self._has_warned:
            self._has_warned = True
            await self._record.warn(self._redactor.scrub(f"{UNKNOWN_ANSWER}: {error.message}"))

    async def _report(self, part: int, progress: Working) -> None:
        if progress.fraction is None or not self._resources.model.reports_progress:
            return
        self._fractions[part] = max(self._fractions[part], progress.fraction)
        percent = min(PROGRESS_CEILING, int(100 * sum(self._fractions) / len(self._fractions)))
        if percent >= self._reported + PROGRESS_STEP:
            self._reported = percent
            await self._record.report(percent)

    def _delay_s(self, progress: Working, failures: int) -> float:
        if self._resources.poll_interval_s is not None:
            return self._resources.poll_interval_s
        if failures:
            return self._state.retry_delay_s(failures, progress.wait_s)
        return poll_delay_s(
            interval_s=self._resources.model.poll_interval_s,
            age_s=(self._state.now_ms() - self._job.created_at) / 1000,
            asked_s=progress.wait_s,
            chance=random.random(),
        )


def give_up_if_aborted(state: RunState) -> None:
    """A finished video is paid for, so it is stored if that works at once; an aborted job does not try for hours.

    Raises OutputLost.
    """
    if state.is_aborted:
        raise OutputLost("The video was finished at the provider, but could not be stored; it may be charged")
