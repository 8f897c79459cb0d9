"""Storing the videos of one finished generation, again and again while that can still work."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing

import structlog

from rushes.domain.output import Output, StoredVideo
from rushes.domain.progress import Done, Handle, Working
from rushes.engine.hand_over import HandOver
from rushes.engine.job_record import JobRecord
from rushes.engine.job_resources import JobResources
from rushes.engine.polling import Polling, give_up_if_aborted
from rushes.engine.run_state import RunState
from rushes.engine.trouble_log import TroubleLog
from rushes.errors import (
    MediaError,
    OutputIsText,
    OutputLost,
    ProviderAuth,
    ProviderError,
    ProviderQuota,
    ProviderUnavailable,
    RushesError,
    StorageUnavailable,
    UnexpectedResponse,
)
from rushes.jobs.retention import video_key
from rushes.jobs.transitions import OUTPUT_UNMEASURED
from rushes.net.redact import Redactor

log = structlog.get_logger(__name__)

UNMEASURED = "The video is kept as the provider delivered it, but it could not be measured"
TEXT_TRIES = 2
"""How often a provider that delivers text in place of a video is asked again, before the text is kept."""


class Storing:
    """Fetches videos from the provider into our storage."""

    def __init__(
        self,
        record: JobRecord,
        resources: JobResources,
        state: RunState,
        polling: Polling,
        troubles: TroubleLog,
        redactor: Redactor,
        hand_over: HandOver,
    ) -> None:
        self._record = record
        self._claim = record.claim
        self._resources = resources
        self._state = state
        self._polling = polling
        self._troubles = troubles
        self._redactor = redactor
        self._hand_over = hand_over

    async def store(self, part: int, handle: Handle, done: Done) -> tuple[StoredVideo, ...]:
        """Fetch and store every video of one call.

        Raises OutputInvalid, OutputLost, the provider's error if a retry cannot help, LeaseLost or HandedOver.
        """
        attempt_id = self._state.attempt_ids[part]
        videos: list[StoredVideo] = []
        failures = 0
        while len(videos) < len(done.outputs):
            place = len(videos)
            key = video_key(self._claim.job.id, attempt_id, place, self._claim.lease)
            try:
                stored = await self._resources.outputs.store(
                    key,
                    self._fetch(handle, done.outputs[place]),
                    account_id=self._claim.job.account_id,
                    accepts_text=failures >= TEXT_TRIES,
                )
                self._resources.storage_health.stored()
                if not stored.size_bytes:
                    raise UnexpectedResponse("The provider delivered a file without any bytes")
                videos.append(stored)
                if stored.trouble is not None:
                    trouble = self._redactor.scrub(f"{UNMEASURED}: {stored.trouble}")
                    await self._record.warn(trouble)
                    await self._record.trouble(OUTPUT_UNMEASURED, trouble)
            except (ProviderError, MediaError) as error:
                failures += 1
                await self._check_retry(part, error, failures)
                await self._state.pause(part, failures, error.retry_after_s)
                give_up_if_aborted(self._state)
                done = await self._poll_afresh(part, handle)
        if done.missing is not None:
            await self._record.warn(self._redactor.scrub(done.missing))
        elif len(videos) < self._state.parts[part]:
            count = f"{len(videos)} of {self._state.parts[part]}"
            await self._record.warn(f"The provider delivered {count} videos, and did not say why")
        if len(self._state.parts) > 1:
            await self._record.keep(attempt_id, videos)
        # Else the job ends with this very write: one less that waits for the disk.
        return tuple(videos)

    async def _check_retry(self, part: int, error: ProviderError | MediaError, failures: int) -> None:
        """Raise the error, or what it comes to, unless another try may work."""
        clock, health = self._resources.clock, self._resources.storage_health
        if isinstance(error, StorageUnavailable):
            health.failed(clock.steady_ms())
        lost_for_good = isinstance(error, OutputLost) and failures > 1
        # The video is paid for, so a key or an account in trouble for now does not give it up.
        passes = error.retryable or isinstance(error, OutputLost | ProviderAuth | ProviderQuota)
        # An error page may stand where the video is in a moment; if it stays, it is kept.
        passes = passes or (isinstance(error, OutputIsText) and failures <= TEXT_TRIES)
        if lost_for_good or not passes:
            raise error
        log.warning("storing_will_be_repeated", error_code=error.code, failures=failures)
        await self._troubles.failed(error, failures)
        self._state.check_time(part)
        if isinstance(error, UnexpectedResponse) and self._state.is_past_deadline:
            # The provider answers, and what it delivers is no video: more time does not change that.
            raise OutputLost(f"The video was finished at the provider, but could not be stored: {error.message}")
        await self._hand_over.unstored(health.down_s(clock.steady_ms()))

    async def _poll_afresh(self, part: int, handle: Handle) -> Done:
        """Asked again, the provider may name a fresh address for the same video."""
        try:
            return await self._polling.until_done(part, handle, Working(wait_s=0))
        except ProviderError as error:
            # It was finished once: as a lost output it stays with its handle, for the operator to recover.
            raise OutputLost(f"The video was finished, but the provider has it no more: {error.message}") from error

    async def _fetch(self, handle: Handle, output: Output) -> AsyncGenerator[bytes, None]:
        try:
            async with aclosing(
                self._resources.provider.fetch(handle, output, credential=self._resources.credential)
            ) as chunks:
                async for chunk in chunks:
                    yield chunk
        except RushesError:
            raise
        except Exception as exc:
            log.exception("adapter_failed", verb="fetch")
            raise ProviderUnavailable("the adapter failed while it was fetching the video") from exc
