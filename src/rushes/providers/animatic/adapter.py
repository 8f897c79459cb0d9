"""The adapter of the embedded provider, `animatic`.

No call waits for a drawing: `submit` answers at once, boxed processes draw, and `poll` says how far they are.
Drawing is deterministic, so a process that finds no drawing under way starts it again from the handle.
"""

from __future__ import annotations

import asyncio
import json
import math
from collections.abc import AsyncGenerator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar

from rushes.catalogue.model import Model
from rushes.clock import Clock
from rushes.decoding.box import Box
from rushes.domain.output import Output
from rushes.domain.progress import Done, Failed, Handle, Progress, Submission, Working
from rushes.domain.request import Role, VideoRequest
from rushes.errors import OutputLost, ProviderRejected, ProviderUnavailable, UnsupportedOption
from rushes.providers.animatic.behaviours import BEHAVIOURS
from rushes.providers.animatic.drawing_jobs import Drawing, DrawingJobs, Undrawable
from rushes.providers.animatic.order import LONGEST_SHORT_SIDE, SHORTEST_SIDE, Input, Order
from rushes.providers.base import Credential, Provider, ReadMedia
from rushes.shared_places import SharedPlace

T = TypeVar("T")

CHUNK_BYTES = 1024 * 1024
OUTPUT_VERSION = 1


class Animatic(Provider):
    """Draws requests. `scratch` holds inputs and films until the job is stored; it is made when first needed."""

    name = "animatic"

    def __init__(
        self, box: Box, drawings: SharedPlace, scratch: Path, clock: Clock, poll_interval_s: float = 0.2
    ) -> None:
        self._drawings = DrawingJobs(box, drawings, scratch)
        self._clock = clock
        self._poll_interval_s = poll_interval_s

    async def submit(
        self,
        model: Model,
        request: VideoRequest,
        *,
        attempt_id: str,
        credential: Credential,
        read_media: ReadMedia,
    ) -> Submission:
        """Keep the inputs, start the drawing and answer. Repeating it under one attempt id draws one film."""
        behaviour = BEHAVIOURS.get(model.id)
        if behaviour is None:
            raise ProviderRejected(f"'animatic' has no model '{model.id}'; it has {', '.join(BEHAVIOURS)}")
        order = _order(model, request, attempt_id=attempt_id, now_ms=self._clock.now_ms())
        try:
            order.check()
        except UnsupportedOption as refusal:
            raise ProviderRejected(refusal.message) from refusal
        try:
            order = replace(order, inputs=await self._keep_inputs(attempt_id, request, read_media))
            if behaviour.loses_answer:
                await self._drawings.keep(attempt_id, "lost", b"")
        except OSError as exc:
            raise ProviderUnavailable("the scratch directory cannot take the inputs", accepted=False) from exc
        if behaviour.loses_answer:
            raise ProviderUnavailable(
                "the model 'animatic/lost' accepts every request and loses the answer, as it is made to do",
                accepted=None,
            )
        # The handle must reach the job's row even if the scratch directory fails right now; a poll looks again.
        return Submission(order.to_handle(), await self._begin(order, credential), provider_video_id=attempt_id)

    async def _begin(self, order: Order, credential: Credential) -> Progress:
        try:
            return await self._progress(order, credential)
        except ProviderUnavailable:
            return Working(wait_s=self._poll_interval_s)

    async def _keep_inputs(self, attempt_id: str, request: VideoRequest, read_media: ReadMedia) -> tuple[Input, ...]:
        kept = []
        for index, media in enumerate(request.media):
            file = await self._drawings.keep(attempt_id, f"input-{index}", await read_media(media))
            kept.append(Input(role=media.role.value, file=file, duration_s=media.duration_s))
        return tuple(kept)

    async def poll(self, handle: Handle, *, credential: Credential) -> Progress:
        """How far the drawing is. Starts it again if no process here draws it."""
        return await self._progress(Order.from_handle(handle), credential)

    async def _progress(self, order: Order, credential: Credential) -> Progress:
        behaviour = BEHAVIOURS[order.model]
        if behaviour.never_ends:
            return Working(wait_s=self._poll_interval_s)
        elapsed_s = max(0, self._clock.now_ms() - order.started_at_ms) / 1000
        time_fraction = min(0.99, elapsed_s / behaviour.takes_s) if behaviour.takes_s else 1.0
        is_over = elapsed_s >= behaviour.takes_s
        error = behaviour.ending(order.attempt_id)
        if error is not None:
            return Failed(error) if is_over else Working(time_fraction, self._poll_interval_s)

        state = await self._drawings.advance(order, credential.account_id or "")
        if isinstance(state, Undrawable):
            return Failed(ProviderRejected(state.reason))
        if isinstance(state, Drawing):
            return Working(min(state.fraction, time_fraction), self._poll_interval_s)
        if not is_over:
            return Working(time_fraction, self._poll_interval_s)
        return Done(({"version": OUTPUT_VERSION, "attempt_id": order.attempt_id},))

    async def find(self, attempt_id: str, *, credential: Credential) -> Submission | None:
        """None: a drawing that was begun costs nothing, and another submission asks for it again.

        Raises SubmissionUnknown for an attempt of the model 'lost', which looks the same as one never made.
        """
        if await self._drawings.has(attempt_id, "lost"):
            return await super().find(attempt_id, credential=credential)
        return None

    async def fetch(self, handle: Handle, output: Output, *, credential: Credential) -> AsyncGenerator[bytes, None]:
        """The film's bytes. Raises OutputLost if scratch was cleared; a poll then draws the same film again."""
        attempt_id = str(output["attempt_id"])
        path = self._drawings.path(attempt_id, "mp4")
        try:
            file = await asyncio.to_thread(path.open, "rb")
        except FileNotFoundError as exc:
            raise OutputLost(f"the animatic of attempt '{attempt_id}' is no longer in the scratch directory") from exc
        except OSError as exc:
            raise ProviderUnavailable(f"the animatic of attempt '{attempt_id}' cannot be read") from exc
        with file:
            while chunk := await asyncio.to_thread(file.read, CHUNK_BYTES):
                yield chunk

    async def release(self, handle: Handle, *, credential: Credential) -> None:
        """Stop the drawing if it is under way, and remove its inputs and its film."""
        await self._drawings.release(Order.from_handle(handle).attempt_id)

    async def close(self) -> None:
        """Abandon the drawings under way."""
        await self._drawings.close()


def _order(model: Model, request: VideoRequest, *, attempt_id: str, now_ms: int) -> Order:
    defaults = model.defaults
    params = dict(request.additional_params)
    shape = _Shape.of(request)
    return Order(
        attempt_id=attempt_id,
        started_at_ms=now_ms,
        model=model.id,
        prompt=request.prompt,
        aspect_ratio=_first(request.aspect_ratio, shape.aspect_ratio, defaults.aspect_ratio, "16:9"),
        resolution=_first(request.resolution, shape.resolution, defaults.resolution, "720p"),
        duration_s=_first(request.duration_s, shape.duration_s, defaults.duration_s, 8),
        seed=request.seed,
        negative_prompt=request.negative_prompt,
        generate_audio=_first(request.generate_audio, defaults.generate_audio, False),
        person_generation=request.person_generation,
        additional_params=json.dumps(params, sort_keys=True, ensure_ascii=False) if params else "",
        task="" if request.video_task is None else request.video_task.value,
    )


@dataclass(frozen=True, slots=True)
class _Shape:
    """Size and length that follow from the video that is edited or upscaled."""

    aspect_ratio: str | None = None
    resolution: str | None = None
    duration_s: int | None = None

    @classmethod
    def of(cls, request: VideoRequest) -> _Shape:
        """None of them where there is no video, or nothing is known of it."""
        for video in request.media_for(Role.VIDEO):
            length_s = None if video.duration_s is None else max(1, round(video.duration_s))
            if video.width is None or video.height is None:
                return cls(duration_s=length_s)
            common = math.gcd(video.width, video.height)
            side = min(max(min(video.width, video.height), SHORTEST_SIDE), LONGEST_SHORT_SIDE)
            return cls(f"{video.width // common}:{video.height // common}", f"{side}p", length_s)
        return cls()


def _first(*values: T | None) -> T:
    return next(value for value in values if value is not None)
