"""Over sockets: each way in which we follow a URL of others sends its path and query byte for byte."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

import pytest

from rushes.net.client import HttpClient, Sink

WRITTEN = "/unsafe/https%3A%2F%2Fx%2Fa.png?sig=a%2Fb&e=%7E+%2B&k=%2f"
ELSEWHERE = "/other/%7Euser%2F?token=%3D%3D&q=a%20b+c"


@dataclass
class Recorder:
    """A server that keeps each request target as it came, and redirects the first."""

    port: int = 0
    targets: list[str] = field(default_factory=list)
    redirects: list[str] = field(default_factory=list)

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        self.targets.append(head.split(" ")[1])
        if self.redirects:
            status = f"HTTP/1.1 302 Found\r\nLocation: {self.redirects.pop(0)}\r\n"
        else:
            status = "HTTP/1.1 200 OK\r\n"
        writer.write(f"{status}Content-Length: 0\r\nConnection: close\r\n\r\n".encode("latin-1"))
        await writer.drain()
        writer.close()


@pytest.fixture
async def recorder() -> AsyncIterator[Recorder]:
    made = Recorder()
    server = await asyncio.start_server(made.answer, "127.0.0.1", 0)
    made.port = server.sockets[0].getsockname()[1]
    yield made
    server.close()


@pytest.mark.parametrize("sink", list(Sink))
async def test_every_sink_sends_the_url_as_written(recorder: Recorder, sink: Sink) -> None:
    client = HttpClient(allow={sink: ["127.0.0.0/8"]})
    recorder.redirects = [ELSEWHERE, f"http://127.0.0.1:{recorder.port}{WRITTEN}"]
    try:
        async with client.open_guarded(f"http://127.0.0.1:{recorder.port}{WRITTEN}", sink=sink) as response:
            assert response.status == 200
    finally:
        await client.close()
    assert recorder.targets == [WRITTEN, ELSEWHERE, WRITTEN]


@pytest.mark.parametrize("sink", list(Sink))
@pytest.mark.parametrize("target", ["/a?", "/a%zz?b=%&c=%4", "/a%2Fb%?"])
async def test_an_empty_query_and_a_percent_sign_alone_are_sent_as_written(
    recorder: Recorder, sink: Sink, target: str
) -> None:
    client = HttpClient(allow={sink: ["127.0.0.0/8"]})
    recorder.redirects = [target, f"http://127.0.0.1:{recorder.port}{target}"]
    try:
        async with client.open_guarded(f"http://127.0.0.1:{recorder.port}{target}", sink=sink) as response:
            assert response.status == 200
    finally:
        await client.close()
    assert recorder.targets == [target] * 3
