"""A server of scripted answers on loopback, for a client that is tested over real sockets."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from concurrent.futures import Future
from contextlib import asynccontextmanager

import pytest
from aiohttp import web

Answer = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Scripted:
    """Answers each request with the next entry of the script, the last one for ever; keeps what it was sent."""

    def __init__(self) -> None:
        self.script: list[Answer] = []
        self.requests: list[web.Request] = []
        self.bodies: list[bytes] = []
        self.url = ""

    async def answer(self, request: web.Request) -> web.StreamResponse:
        self.requests.append(request)
        self.bodies.append(await request.read())
        step = self.script.pop(0) if len(self.script) > 1 else self.script[0]
        return await step(request)


def says(content: object, status: int = 200, headers: dict[str, str] | None = None) -> Answer:
    """This JSON."""

    async def answer(request: web.Request) -> web.StreamResponse:
        return web.json_response(content, status=status, headers=headers)

    return answer


async def cuts(request: web.Request) -> web.StreamResponse:
    """No answer: the connection is closed."""
    assert request.transport is not None
    request.transport.close()
    return web.Response()


@asynccontextmanager
async def serving() -> AsyncIterator[Scripted]:
    """A server with an empty script."""
    scripted = Scripted()
    application = web.Application(client_max_size=64 * 1024**2)
    application.router.add_route("*", "/{path:.*}", scripted.answer)
    runner = web.AppRunner(application)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    scripted.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    yield scripted
    await runner.cleanup()


@pytest.fixture
async def server() -> AsyncIterator[Scripted]:
    """A server on the test's own loop."""
    async with serving() as scripted:
        yield scripted


@pytest.fixture
def server_beside() -> Iterator[Scripted]:
    """A server in a thread of its own, which answers while the test blocks."""
    started: Future[Scripted] = Future()
    loop = asyncio.new_event_loop()

    async def serve(stopped: asyncio.Event) -> None:
        async with serving() as scripted:
            started.set_result(scripted)
            await stopped.wait()

    stopped = asyncio.Event()
    thread = threading.Thread(target=lambda: loop.run_until_complete(serve(stopped)))
    thread.start()
    yield started.result(10)
    loop.call_soon_threadsafe(stopped.set)
    thread.join()
    loop.close()
