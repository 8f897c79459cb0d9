"""Holding an answer until a job has ended, because the caller prefers that (`Prefer: wait`)."""

from __future__ import annotations

import asyncio

from starlette.requests import Request

from rushes.accounts.keys import Caller
from rushes.accounts.revocations import KeyWatch
from rushes.api.services import services_of
from rushes.domain.job import Job
from rushes.errors import NotAuthenticated, Overloaded, TooManyWatchers


async def ended_within(request: Request, caller: Caller, job_id: str, wait_s: int) -> Job | None:
    """The job, ended or as it is after `wait_s`. None if too many wait already, so that nothing was waited for, or as
    soon as the caller has left.

    The body must have been read. Raises JobNotFound, or NotAuthenticated once the caller's key is no longer valid.
    """
    with services_of(request).revocations.watch(caller.key_id) as key:
        return await _ended_within(request, caller, job_id, wait_s, key)


async def _ended_within(request: Request, caller: Caller, job_id: str, wait_s: int, key: KeyWatch) -> Job | None:
    waiting = asyncio.ensure_future(services_of(request).watching.until_ended(caller.tenant, job_id, wait_s))
    leaving = asyncio.ensure_future(_gone(request))
    ending = asyncio.ensure_future(key.until_over())
    try:
        await asyncio.wait({waiting, leaving, ending}, return_when=asyncio.FIRST_COMPLETED)
        if key.is_over:
            raise NotAuthenticated("The API key has expired, or was disabled or revoked, while this request waited")
        return waiting.result().job if waiting.done() else None
    except (TooManyWatchers, Overloaded):
        return None
    finally:
        for task in (waiting, leaving, ending):
            task.cancel()
        await asyncio.gather(waiting, leaving, ending, return_exceptions=True)


async def _gone(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass
