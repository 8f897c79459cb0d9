"""A job as it goes on, for the scripts of its page: Server-Sent Events that say what to read again."""

from __future__ import annotations

import re
from collections.abc import AsyncGenerator
from contextlib import aclosing
from http import HTTPStatus

from pydantic_core import to_json
from starlette.responses import Response, StreamingResponse

from rushes.accounts.keys import Scope
from rushes.accounts.revocations import while_valid
from rushes.console.visit import Visit
from rushes.errors import JobNotFound, NotAllowed, NotAuthenticated
from rushes.jobs.events.stream import Ended, Happening, Moved, Position, Progressed, follow, has_seen_the_end
from rushes.jobs.events.waiters import Watch

EVENT_STREAM = "text/event-stream"
RETRY_MS = 2000
POSITION = re.compile(r"([0-9]{1,18})\.([0-9]{1,3})")


async def follow_job(visit: Visit) -> Response:
    """Events `progress`, `changed` and `ended`, each with an id to go on from. 204 once there is nothing to follow."""
    services, caller = visit.services, visit.signed_in
    job_id = visit.request.path_params["job_id"]
    seen = POSITION.fullmatch(visit.request.headers.get("last-event-id", ""))
    since = Position() if seen is None else Position(int(seen[1]), int(seen[2]))
    look = await services.history.read(caller.tenant, job_id)
    if has_seen_the_end(look, since):
        # The one answer after which a browser does not come back by itself.
        return Response(status_code=HTTPStatus.NO_CONTENT)
    watch = services.watching.watch(caller.tenant, job_id)
    headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
    return StreamingResponse(_events(visit, watch, since), headers=headers, media_type=EVENT_STREAM)


async def _events(visit: Visit, watch: Watch, since: Position) -> AsyncGenerator[bytes, None]:
    services = visit.services
    with watch, services.revocations.watch(visit.signed_in.key_id) as key:
        yield b"retry: %d\n\n" % RETRY_MS
        try:
            async with aclosing(follow(watch, services.history, services.clock, since)) as happenings:
                async for happening in while_valid(happenings, key):
                    if not isinstance(happening, (Moved, Progressed, Ended)):
                        await _check_session(visit)
                    yield _written(happening)
        except (JobNotFound, NotAllowed, NotAuthenticated):
            # The job was deleted, or the session is over; the browser asks again and gets the reason.
            return


def _written(happening: Happening) -> bytes:
    match happening:
        case Moved(position, _):
            return _event(position, "changed")
        case Progressed(position, _):
            return _event(position, "progress")
        case Ended(position, _):
            return _event(position, "ended")
        case _:
            return b": keep-alive\n\n"


def _event(position: Position, name: str) -> bytes:
    data = to_json({"percent": position.percent}).decode()
    return f"id: {position.seq}.{position.percent}\nevent: {name}\ndata: {data}\n\n".encode()


async def _check_session(visit: Visit) -> None:
    session = None if visit.token is None else await visit.services.sessions.find(visit.token)
    if session is None:
        raise NotAuthenticated("The session has ended")
    caller = await visit.services.keys.authenticate_by_id(session.key_id)
    if Scope.READ not in caller.scopes:
        raise NotAllowed("The key may no longer read")
