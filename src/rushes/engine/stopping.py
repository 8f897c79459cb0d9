"""Stopping a generation at its provider, after an operator has asked to abort the job (operations/abort.py)."""

from __future__ import annotations

from enum import Enum

import structlog

from rushes.domain.job import Job
from rushes.domain.progress import Done, Failed, Handle, Progress
from rushes.engine.job_resources import JobResources
from rushes.engine.run_state import RunState
from rushes.errors import Aborted, ProviderError, ProviderRejected, UnsupportedOption

log = structlog.get_logger(__name__)

CANCEL_TRIES = 3
LAST_POLLS = 4
"""How often a generation is polled after its provider has agreed to stop it."""

BY_OPERATOR = "The operator aborted the job"
NOT_SUBMITTED = f"{BY_OPERATOR} before it was submitted; nothing was charged"


class _Cancelled(Enum):
    """What became of the request to the provider; the value completes a sentence that begins with its name."""

    AGREED = "took the cancellation and has not confirmed it yet"
    CONFIRMED = "has stopped it"
    TOO_LATE = "could no longer cancel it"
    CANNOT = "cannot stop a generation that runs, so it goes on there"
    UNREACHED = "could not be reached to cancel it"


class Stopping:
    """Stops generations of one job at its provider."""

    def __init__(self, job: Job, resources: JobResources, state: RunState) -> None:
        self._job = job
        self._resources = resources
        self._state = state

    async def stop(self, handle: Handle) -> Done:
        """Cancel the generation where the provider can. Returns it if it was finished all the same: it is paid for.

        Raises Aborted, saying what is known about its cost, or the provider's reason if it had failed by itself.
        """
        cancelled = await self._cancel(handle)
        for number in range(LAST_POLLS if cancelled is _Cancelled.AGREED else 1):
            if number:
                await self._state.rest(self._resources.model.poll_interval_s, until_deadline=False)
            progress = await self._poll(handle)
            if isinstance(progress, Done) and progress.outputs:
                return progress
            if isinstance(progress, Failed):
                if cancelled is not _Cancelled.AGREED:
                    raise progress.error
                cancelled = _Cancelled.CONFIRMED
                break
        log.info("generation_aborted", outcome=cancelled.name.lower())
        raise Aborted(
            f"{BY_OPERATOR}; '{self._job.served_provider}' {cancelled.value}; {self._what_it_costs()}",
            may_be_charged=self._is_priced,
        )

    async def _cancel(self, handle: Handle) -> _Cancelled:
        if not self._resources.model.can_cancel:
            return _Cancelled.CANNOT
        failures = 0
        while True:
            try:
                await self._resources.provider.cancel(handle, credential=self._resources.credential)
            except UnsupportedOption:
                return _Cancelled.CANNOT
            except ProviderRejected:
                return _Cancelled.TOO_LATE
            except ProviderError as error:
                failures += 1
                log.info("cancel_failed", error_code=error.code, failures=failures)
                if failures == CANCEL_TRIES:
                    return _Cancelled.UNREACHED
                delay_s = self._state.retry_delay_s(failures, error.retry_after_s)
                await self._state.rest(delay_s, until_deadline=True)
            except Exception:  # logged; an adapter's fault must not keep the job from ending
                log.exception("adapter_failed", verb="cancel")
                return _Cancelled.UNREACHED
            else:
                return _Cancelled.AGREED

    async def _poll(self, handle: Handle) -> Progress | None:
        try:
            return await self._resources.provider.poll(handle, credential=self._resources.credential)
        except ProviderError as error:
            log.info("poll_failed", error_code=error.code)
        except Exception:
            log.exception("adapter_failed", verb="poll")
        return None

    @property
    def _is_priced(self) -> bool:
        return self._job.byok or self._job.cost_usd != 0

    def _what_it_costs(self) -> str:
        return "it may be charged" if self._is_priced else "it costs nothing"
