"""Holding an answer until a job has ended, because the caller prefers that (`Prefer: wait`)."""

from __future__ import annotations

import asyncio

from starlette.requests import Request

from rushes.accounts.keys import Caller
from rushes.api.services import services_of
from rushes.domain.job import Job
from rushes.errors import Overloaded, TooManyWatchers


async def ended_within(request: Request, caller: Caller, job_id: str, wait_s: int) -> Job | None:
    """The job, ended or as it is after `wait_s`. None if too many wait already, so that nothing was waited for, or as
    soon as the caller has left.

    The body must have been read. Raises JobNotFound.
    """
    waiting = asyncio.ensure_future(services_of(request).watching.until_ended(caller.account_id, job_id, wait_s))
    leaving = asyncio.ensure_future(_gone(request))
    try:
        await asyncio.wait({waiting, leaving}, return_when=asyncio.FIRST_COMPLETED)
        return waiting.result().job if waiting.done() else None
    except (TooManyWatchers, Overloaded):
        return None
    finally:
        for task in (waiting, leaving):
            task.cancel()
        await asyncio.gather(waiting, leaving, return_exceptions=True)


async def _gone(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass
