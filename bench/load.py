"""The load: a few keep-alive connections that each send one request, read its answer whole, and send the next.

Written by hand on asyncio's protocols, because a client library spends more on a request than the server does on its
answer: one core of it could not fill one core of server. `Round.busy` shows whether this one could.
"""

from __future__ import annotations

import asyncio
import time
from array import array
from dataclasses import dataclass
from typing import cast

import uvloop

LONGEST_S = 60.0
"""When a round is given up: nothing here waits for ever."""


@dataclass(frozen=True)
class Answer:
    """The status and body of one answer."""

    status: int
    headers: bytes
    body: bytes


@dataclass(frozen=True)
class Round:
    """One round of load, every answer of it a 200."""

    latencies_s: array[float]
    elapsed_s: float
    busy: float
    """The part of the time in which the load itself was computing; near 1 it was the limit, not the server."""

    @property
    def per_second(self) -> float:
        """Answers per second over the whole round."""
        return len(self.latencies_s) / self.elapsed_s


def request(method: str, path: str, *, key: str | None = None, body: bytes = b"") -> bytes:
    """The bytes of one request."""
    lines = [f"{method} {path} HTTP/1.1", "Host: 127.0.0.1"]
    if key is not None:
        lines.append(f"Authorization: Bearer {key}")
    if body:
        lines += ["Content-Type: application/json", f"Content-Length: {len(body)}"]
    return "\r\n".join([*lines, "", ""]).encode() + body


def call(port: int, message: bytes) -> Answer:
    """Send one request and return its answer."""
    return uvloop.run(_call(port, message))


def run(port: int, messages: list[bytes], *, connections: int, seconds: float, most: int = 1_000_000) -> Round:
    """Send the messages by turns on every connection for `seconds`, or until `most` were sent.

    Raises RuntimeError at the first answer that is not a 200.
    """
    return uvloop.run(_run(port, messages, connections, seconds, most))


async def _call(port: int, message: bytes) -> Answer:
    _, connection = await asyncio.get_running_loop().create_connection(
        lambda: _Connection([message], time.perf_counter() + LONGEST_S, 1), "127.0.0.1", port
    )
    async with asyncio.timeout(LONGEST_S):
        await connection.ended
    return connection.last


async def _run(port: int, messages: list[bytes], connections: int, seconds: float, most: int) -> Round:
    loop = asyncio.get_running_loop()
    began, computed = time.perf_counter(), time.process_time()
    running = []
    for _ in range(connections):
        _, connection = await loop.create_connection(
            lambda: _Connection(messages, began + seconds, most // connections), "127.0.0.1", port
        )
        running.append(connection)
    async with asyncio.timeout(LONGEST_S):
        await asyncio.gather(*(connection.ended for connection in running))
    elapsed_s = time.perf_counter() - began
    latencies_s = array("d")
    for connection in running:
        if connection.last.status != 200:
            raise RuntimeError(f"the server answered {connection.last.status}: {connection.last.body[:1000]!r}")
        latencies_s.extend(connection.latencies_s)
    return Round(latencies_s, elapsed_s, (time.process_time() - computed) / elapsed_s)


class _Connection(asyncio.Protocol):
    """One connection, from its first request to its last answer."""

    def __init__(self, messages: list[bytes], until: float, most: int) -> None:
        self._messages = messages
        self._until = until
        self._most = most
        self._received = b""
        self._sent_at = 0.0
        self.last = Answer(0, b"", b"the connection was closed without an answer")
        self.latencies_s = array("d")
        self.ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._send()

    def data_received(self, data: bytes) -> None:
        received = self._received + data if self._received else data
        head_end = received.find(b"\r\n\r\n")
        if head_end < 0:
            self._received = received
            return
        head = received[:head_end].lower()
        length_at = head.index(b"\r\ncontent-length: ") + 18
        length_end = head.find(b"\r\n", length_at)
        length_bytes = int(head[length_at : length_end if length_end > 0 else None])
        if len(received) < head_end + 4 + length_bytes:
            self._received = received
            return
        self._received = b""
        now = time.perf_counter()
        self.latencies_s.append(now - self._sent_at)
        status = int(received[9:12])
        if status == 200 and now < self._until and len(self.latencies_s) < self._most:
            self._send()
            return
        self.last = Answer(status, received[:head_end], received[head_end + 4 :])
        self._transport.close()

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.ended.done():
            self.ended.set_result(None)

    def _send(self) -> None:
        self._sent_at = time.perf_counter()
        self._transport.write(self._messages[len(self.latencies_s) % len(self._messages)])
