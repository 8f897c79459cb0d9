"""The HTTP server of a process: uvicorn's, on listeners that we open, with an end that no request is lost in."""

from __future__ import annotations

import asyncio
import ipaddress
import socket
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import uvicorn
from starlette.types import ASGIApp

from rushes.api.http.server_protocol import UNIX_PEER, ServerProtocol
from rushes.cli.listening import BACKLOG, accept_the_rest, leave
from rushes.shared_places import SharedPlace

KEEP_ALIVE_S = 150
"""How long an idle connection stays open: longer than proxies keep theirs (nginx 60 s, Caddy 2 min). Otherwise a proxy
can send a request into a connection that is closing, and it does not send a create again."""
QUIET_STEPS = 5
QUIET_S = 0.25
"""How long an idle connection stays open after the listener was closed. A proxy that has just chosen it for a request
still gets its answer, and learns there that the connection closes."""


class HttpServer(uvicorn.Server):
    """Serves an application until `should_exit` is set."""

    def __init__(
        self, http: ASGIApp, *, heads: SharedPlace, connections: SharedPlace, trusted_proxies: Sequence[str]
    ) -> None:
        class Protocol(ServerProtocol):
            pass

        Protocol.heads = heads
        Protocol.open_connections = connections
        networks = [ipaddress.ip_network(one, strict=False) for one in trusted_proxies if one != "*"]
        trusts_all = "*" in trusted_proxies
        Protocol.is_proxy = staticmethod(lambda host: trusts_all or _is_in(host, networks))
        self._protocol = Protocol
        super().__init__(
            uvicorn.Config(
                http,
                http=Protocol,
                # Who may connect to a Unix socket is a matter of its rights, so it is a proxy that is trusted.
                forwarded_allow_ips=[*trusted_proxies, UNIX_PEER],
                ws="none",
                lifespan="off",
                access_log=False,
                log_config=None,
                server_header=False,
                backlog=BACKLOG,
                timeout_keep_alive=KEEP_ALIVE_S,
            )
        )

    def close_connections(self) -> None:
        """From now on every answer says that its connection closes, so that proxies open new ones elsewhere."""
        self._protocol.is_closing = True
        for connection in self.server_state.connections:
            if isinstance(connection, ServerProtocol):
                connection.close_after_answer()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Accept connections on these sockets, which may be Unix sockets too."""
        await self.lifespan.startup()
        loop = asyncio.get_running_loop()
        self.servers = []
        for listener in sockets or ():
            create: Any = loop.create_unix_server if listener.family == socket.AF_UNIX else loop.create_server
            self.servers.append(await create(self._connected, sock=listener, backlog=BACKLOG))
        self.started = True

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Accept no more connections, and serve those that are there to the end of their requests."""
        self.close_connections()
        late: list[socket.socket] = []
        # No await in here: what connects after the last that was accepted is reset by the kernel.
        for server, listener in zip(self.servers, sockets or (), strict=True):
            leave(listener)
            late += accept_the_rest(listener)
            server.close()
            listener.close()
        for connection in late:
            await asyncio.get_running_loop().connect_accepted_socket(self._connected, connection)
        await self._until_quiet()
        await super().shutdown()

    async def _until_quiet(self) -> None:
        for _ in range(QUIET_STEPS):
            if self.force_exit or not self.server_state.connections:
                return
            await asyncio.sleep(QUIET_S / QUIET_STEPS)

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave signals alone: uvicorn raises them again at its end, which would end the process too early."""
        yield

    def _connected(self) -> asyncio.Protocol:
        return self._protocol(config=self.config, server_state=self.server_state, app_state=self.lifespan.state)


def _is_in(host: str, networks: Sequence[ipaddress.IPv4Network | ipaddress.IPv6Network]) -> bool:
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return False
    return any(address in network for network in networks)
