"""GET /videos/jobs/{job_id}/events: a job as it happens, as Server-Sent Events."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing
from http import HTTPStatus
from typing import Annotated, Any

import structlog
from fastapi import APIRouter, Header, Query, Request
from pydantic.config import JsonDict
from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from rushes.accounts.keys import Caller
from rushes.api.authentication import Viewer, check_again
from rushes.api.inline import InlineVideos
from rushes.api.native.answers import problems
from rushes.api.native.schemas import job_view
from rushes.api.services import services_of
from rushes.domain.job import Job
from rushes.errors import FieldError, JobNotFound, NotAllowed, NotAuthenticated, RushesError
from rushes.intake.body import invalid_fields, refuse_unknown
from rushes.jobs.events.stream import Ended, Happening, Moved, Position, Progressed, follow, has_seen_the_end
from rushes.jobs.events.waiters import Watch
from rushes.json_text import json_str
from rushes.views.times import rfc3339

log = structlog.get_logger(__name__)

router = APIRouter()

EVENT_STREAM = "text/event-stream"
RETRY_MS = 2000
CLOSING_S = 0.5
"""How long a reader that is slow may take to fetch the last bytes when the service stops."""
POSITION = re.compile(r"([0-9]{1,18})\.([0-9]{1,2}|100)")
POSITION_OR_NOTHING: JsonDict = {"pattern": f"^({POSITION.pattern})?$"}
"""For the OpenAPI document alone: our own refusal of an invalid position says more."""

LAST_EVENT_ID = "Last-Event-ID"
ACCEPTED_TYPES = ("*/*", "text/*", EVENT_STREAM)

EXAMPLE = (
    "retry: 2000\n\n"
    'id: 17.0\nevent: status\ndata: {"job_id":"job_abc123","status":"pending","progress":0,'
    '"at":"2026-04-07T12:00:00Z","message":"accepted"}\n\n'
    'id: 18.40\nevent: progress\ndata: {"job_id":"job_abc123","status":"in_progress","progress":40}\n\n'
    ": keep-alive\n\n"
    'id: 21.100\nevent: completed\ndata: {"job_id":"job_abc123","status":"completed", ...}\n\n'
)
EVENT = {
    "description": "One event.",
    "type": "object",
    "required": ["id", "event", "data"],
    "properties": {
        "id": {"type": "string", "pattern": f"^{POSITION.pattern}$"},
        "event": {"enum": ["status", "progress", "completed", "failed"]},
        "data": {
            "type": "string",
            "contentMediaType": "application/json",
            "contentSchema": {"type": "object", "required": ["job_id", "status", "progress"]},
        },
    },
}
STREAM_RESPONSES: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "Events `status`, `progress`, and at the end `completed` or `failed` with the whole job",
        "content": {EVENT_STREAM: {"schema": EVENT, "example": EXAMPLE}},
    },
    204: {"description": "The job has ended, and the last event was seen: there is nothing to come back for"},
}


@router.get(
    "/videos/jobs/{job_id}/events",
    summary="Follow a job",
    response_class=Response,
    responses={**STREAM_RESPONSES, **problems(400, 401, 404, 406, 422, 429, 503)},
)
async def follow_job(
    request: Request,
    job_id: str,
    caller: Viewer,
    last_event_id: Annotated[
        str | None,
        Header(
            alias=LAST_EVENT_ID,
            description="The id of the last event seen; what came after is sent.",
            json_schema_extra=POSITION_OR_NOTHING,
        ),
    ] = None,
    last_event_id_in_query: Annotated[
        str | None,
        Query(
            alias="last_event_id",
            description="The same, for who cannot set the header, which wins.",
            json_schema_extra=POSITION_OR_NOTHING,
        ),
    ] = None,
) -> Response:
    """Server-Sent Events: every move of the job from its beginning on, its progress, and its end."""
    refuse_unknown(request.query_params, ("last_event_id", "mode"), "parameter")
    _check_accept(request)
    since = _position(last_event_id, last_event_id_in_query)
    services = services_of(request)
    look = await services.history.read(caller.tenant, job_id)
    if has_seen_the_end(look, since):
        return Response(status_code=HTTPStatus.NO_CONTENT)
    watch = services.watching.watch(caller.tenant, job_id)
    happenings = follow(watch, services.history, services.clock, since)
    return EventStream(request, caller, watch, happenings)


class EventStream(Response):
    """An answer that goes on until the job has ended, the reader has left, the key is revoked or the service stops."""

    def __init__(
        self, request: Request, caller: Caller, watch: Watch, happenings: AsyncGenerator[Happening, None]
    ) -> None:
        super().__init__(headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"}, media_type=EVENT_STREAM)
        # What `Response` thinks of its empty body.
        del self.headers["Content-Length"]
        self._request = request
        self._caller = caller
        self._watch = watch
        self._happenings = happenings

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        with self._watch, services_of(self._request).revocations.watch(self._caller.key_id) as key:
            tasks = {
                "sending": asyncio.ensure_future(self._send_all(send)),
                "leaving": asyncio.ensure_future(_left(receive)),
                "closing": asyncio.ensure_future(self._watch.until_closed()),
                "revoked": asyncio.ensure_future(key.until_over()),
            }
            try:
                await asyncio.wait(tasks.values(), return_when=asyncio.FIRST_COMPLETED)
                if tasks["closing"].done():
                    await asyncio.wait({tasks["sending"]}, timeout=CLOSING_S)
                if tasks["sending"].done():
                    tasks["sending"].result()
                elif tasks["revoked"].done():
                    await self._cut(tasks["sending"], send)
            finally:
                for task in tasks.values():
                    task.cancel()
                await asyncio.gather(*tasks.values(), return_exceptions=True)

    @staticmethod
    async def _cut(sending: asyncio.Future[None], send: Send) -> None:
        """End the answer early. The next request of the client gets the reason."""
        sending.cancel()
        await asyncio.gather(sending, return_exceptions=True)
        async with asyncio.timeout(CLOSING_S):
            await send({"type": "http.response.body", "body": b"", "more_body": False})

    async def _send_all(self, send: Send) -> None:
        async def write(chunk: bytes, *, more: bool = True) -> None:
            # Waits while the reader is slow: the next happening is made only when this one is on its way.
            await send({"type": "http.response.body", "body": chunk, "more_body": more})

        await send({"type": "http.response.start", "status": HTTPStatus.OK, "headers": self.raw_headers})
        await write(b"retry: %d\n\n" % RETRY_MS)
        try:
            async with aclosing(self._happenings):
                async for happening in self._happenings:
                    await self._write(happening, write)
        except (NotAuthenticated, NotAllowed, JobNotFound):
            # The key was revoked or its account disabled, or the job deleted: a client that reconnects gets this error.
            pass
        except (RushesError, FileNotFoundError) as error:
            log.warning("stream_cut", job_id=self._watch.job_id, error_code=getattr(error, "code", "file_gone"))
        await write(b"", more=False)

    async def _write(self, happening: Happening, write: Callable[[bytes], Awaitable[None]]) -> None:
        match happening:
            case Moved(position, entry):
                content = {
                    "job_id": self._watch.job_id,
                    "status": entry.status,
                    "progress": position.percent,
                    "at": rfc3339(entry.at),
                    "message": entry.message,
                }
                await write(_event(position, "status", json_str(content)).encode())
            case Progressed(position, job):
                content = {"job_id": job.id, "status": job.status, "progress": position.percent}
                await write(_event(position, "progress", json_str(content)).encode())
            case Ended(position, job):
                await self._write_end(position, job, write)
            case _:
                await check_again(self._request, self._caller)
                await write(b": keep-alive\n\n")

    async def _write_end(self, position: Position, job: Job, write: Callable[[bytes], Awaitable[None]]) -> None:
        services = services_of(self._request)
        if job.response_format == "b64_json" and job.has_files(services.clock.now_ms()):
            inline = InlineVideos(services.storage, job.outputs)
            text = json_str(job_view(self._request, job, inline))
            async with aclosing(inline.chunks(_event(position, job.status, text))) as chunks:
                async for chunk in chunks:
                    await write(chunk)
        else:
            await write(_event(position, job.status, json_str(job_view(self._request, job))).encode())


def _event(position: Position, name: str, data: str) -> str:
    # JSON has no line breaks outside of strings, and none unescaped inside.
    return f"id: {position.seq}.{position.percent}\nevent: {name}\ndata: {data}\n\n"


def _position(header: str | None, query: str | None) -> Position:
    # Both are read: an invalid one is refused even if the other counts.
    seen = [_seen(LAST_EVENT_ID, header), _seen("last_event_id", query)]
    return next((position for position in seen if position is not None), Position())


def _seen(field: str, given: str | None) -> Position | None:
    if given is None or given == "":
        return None
    match = POSITION.fullmatch(given)
    if match is None:
        raise invalid_fields([FieldError(field, "is not an id that an event of this service had, such as '17.40'")])
    return Position(int(match[1]), int(match[2]))


def _check_accept(request: Request) -> None:
    accept = request.headers.get("accept")
    if accept is None:
        return
    types = [part.partition(";")[0].strip().lower() for part in accept.split(",")]
    if not any(one in ACCEPTED_TYPES for one in types):
        raise HTTPException(
            HTTPStatus.NOT_ACCEPTABLE, f"Events come as {EVENT_STREAM}, which the Accept header leaves out"
        )


async def _left(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
