"""The console as an ASGI application that is imported and built when the first page is asked for."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from starlette.types import ASGIApp, Receive, Scope, Send

if TYPE_CHECKING:
    from rushes.console.services import ConsoleServices


class LazyConsole:
    """Serves /console. A service whose console is never opened pays neither time nor memory for it."""

    def __init__(self, services: ConsoleServices) -> None:
        self._services = services
        self._app: ASGIApp | None = None
        self._building = asyncio.Lock()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if self._app is None:
            async with self._building:
                if self._app is None:
                    # In a thread: the imports take a tenth of a second, and API requests must not wait for them.
                    self._app = await asyncio.to_thread(_build, self._services)
        await self._app(scope, receive, send)


def _build(services: ConsoleServices) -> ASGIApp:
    from rushes.console.site import build_site

    return build_site(services)
