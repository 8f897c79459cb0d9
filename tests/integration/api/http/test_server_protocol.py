"""Bytes on a real socket become requests: offers to upgrade, and bounds for heads, bodies, time and answers."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
import uvicorn
from starlette.types import Receive, Scope, Send
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from rushes.api.http.server_protocol import LARGEST_HEAD_BYTES, MOST_HEADERS, MOST_PIPELINED, ServerProtocol
from rushes.shared_places import CONNECTIONS, HEADS, SharedPlace
from tests.fixtures.service import until

JAVA = (
    b"Connection: Upgrade, HTTP2-Settings\r\nHost: h\r\n"
    b"HTTP2-Settings: AAEAAEAAAAIAAAABAAMAAABkAAQBAAAAAAUAAEAA\r\nUpgrade: h2c\r\n"
    b"User-Agent: Java-http-client/17.0.12\r\n"
)
"""The head that Java 17's HttpClient sends with the first request to a server over plain HTTP."""
CURL = b"Host: h\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAoAAAAAIAAAAA\r\n"
OFFERS = {
    "java": JAVA,
    "curl --http2": CURL,
    "websocket": b"Host: h\r\nConnection: keep-alive, Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: x\r\n",
    "TLS": b"Host: h\r\nconnection: UPGRADE\r\nupgrade: TLS/1.2, HTTP/1.1\r\n",
    "two Connection headers": b"Host: h\r\nConnection: upgrade\r\nConnection: keep-alive\r\nUpgrade: foo/2\r\n",
}


class Impatient(ServerProtocol):
    """The protocol with times that a test can wait for."""

    head_s = 0.3
    body_s = 0.3
    write_s = 0.3


class App:
    """Answers with what it was sent; `GET /hold` waits until `go_on` is set."""

    def __init__(self) -> None:
        self.served = 0
        self.left = 0
        self.go_on = asyncio.Event()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        body = b""
        if scope["path"] == "/hold":
            await self.go_on.wait()
        else:
            more = scope["path"] != "/at-once"
            while more:
                message = await receive()
                if message["type"] == "http.disconnect":
                    self.left += 1
                    return
                body += message.get("body", b"")
                more = message.get("more_body", False)
        self.served += 1
        content = json.dumps(
            {
                "method": scope["method"],
                "path": scope["path"],
                "query": scope["query_string"].decode(),
                "version": scope["http_version"],
                "headers": [name.decode() for name, _ in scope["headers"]],
                "size": len(body),
                "body": body[:100].decode("latin-1"),
            }
        ).encode()
        if scope["path"] == "/large":
            content = bytes(64 * 1024**2)
        headers = [(b"content-length", str(len(content)).encode())]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": content})


@asynccontextmanager
async def serving(app: App, protocol: type[ServerProtocol] = ServerProtocol) -> AsyncIterator[int]:
    """The application behind the protocol, at a port of loopback."""
    config = uvicorn.Config(app, http=protocol, ws="none", lifespan="off", log_config=None, port=0)
    config.load()
    server = uvicorn.Server(config)
    task = asyncio.create_task(server._serve([config.bind_socket()]))
    while not server.started:  # noqa: ASYNC110 - the server has no event for it
        await asyncio.sleep(0.01)
    try:
        yield server.servers[0].sockets[0].getsockname()[1]
    finally:
        server.should_exit = server.force_exit = True
        app.go_on.set()
        await task


class Connection:
    """A client that sends bytes as they are given."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    def send(self, *pieces: bytes) -> None:
        self.writer.writelines(pieces)

    async def answer(self) -> tuple[int, dict[str, object]]:
        """The status and the JSON of the next answer."""
        head = await self.reader.readuntil(b"\r\n\r\n")
        lines = head.decode().lower().split("\r\n")
        size = next(int(line.partition(":")[2]) for line in lines if line.startswith("content-length:"))
        return int(lines[0].split()[1]), json.loads(await self.reader.readexactly(size))

    async def is_closed(self) -> bool:
        """Waits until the server has closed the connection."""
        try:
            return await self.reader.read() == b""
        except ConnectionResetError:
            return True


@asynccontextmanager
async def connected(port: int) -> AsyncIterator[Connection]:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        yield Connection(reader, writer)
    finally:
        writer.transport.abort()


@pytest.mark.parametrize("offer", OFFERS.values(), ids=OFFERS)
@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE"])
async def test_an_offer_to_upgrade_is_ignored_and_the_body_arrives(offer: bytes, method: str) -> None:
    async with serving(App()) as port, connected(port) as client:
        client.send(method.encode(), b" /x%2Fy?a=%2F HTTP/1.1\r\n", offer, b"Content-Length: 5\r\n\r\nhello")
        status, seen = await client.answer()
        assert (status, seen["method"], seen["body"]) == (200, method, "hello")
        assert (seen["path"], seen["query"]) == ("/x/y", "a=%2F")
        client.send(b"GET /next HTTP/1.1\r\nHost: h\r\n\r\n")
        assert (await client.answer())[1]["path"] == "/next"


async def test_an_offer_does_not_break_a_body_in_chunks_or_in_pieces() -> None:
    async with serving(App()) as port, connected(port) as client:
        whole = (
            b"POST / HTTP/1.1\r\n" + JAVA + b"Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n6\r\n world\r\n0\r\n\r\n"
        )
        for at in range(0, len(whole), 7):
            client.send(whole[at : at + 7])
            await client.writer.drain()
            await asyncio.sleep(0)
        assert (await client.answer())[1]["body"] == "hello world"


async def test_a_large_body_with_an_offer_arrives_whole() -> None:
    async with serving(App()) as port, connected(port) as client:
        client.send(b"POST / HTTP/1.1\r\n", JAVA, b"Content-Length: 5000000\r\n\r\n", bytes(5_000_000))
        assert (await client.answer())[1]["size"] == 5_000_000


async def test_a_client_that_asks_before_it_sends_is_told_to_go_on_despite_an_offer() -> None:
    async with serving(App()) as port, connected(port) as client:
        client.send(b"POST / HTTP/1.1\r\n", JAVA, b"Expect: 100-continue\r\nContent-Length: 2\r\n\r\n")
        assert await client.reader.readuntil(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
        client.send(b"ok")
        assert (await client.answer())[1]["body"] == "ok"


async def test_offers_in_requests_that_follow_each_other_are_all_ignored() -> None:
    async with serving(App()) as port, connected(port) as client:
        for number in range(3):
            client.send(b"POST /%d HTTP/1.1\r\n" % number, CURL, b"Content-Length: 1\r\n\r\n%d" % number)
        for number in range(3):
            status, seen = await client.answer()
            assert (status, seen["path"], seen["body"]) == (200, f"/{number}", str(number))


async def test_a_tunnel_is_refused() -> None:
    async with serving(App()) as port, connected(port) as client:
        client.send(b"CONNECT example.com:443 HTTP/1.1\r\nHost: example.com:443\r\n\r\n")
        status, problem = await client.answer()
        assert (status, problem["code"]) == (405, "method_not_allowed")
        assert await client.is_closed()


async def test_what_is_not_http_is_refused_as_a_problem() -> None:
    async with serving(App()) as port, connected(port) as client:
        client.send(b"\x16\x03\x01\x02\x00\x01\x00\r\n\r\n")
        status, problem = await client.answer()
        assert (status, problem["code"]) == (400, "malformed_request")
        assert str(problem["request_id"]).startswith("req_")


LARGE = b"x" * (LARGEST_HEAD_BYTES + 100)


@pytest.mark.parametrize(
    "head",
    [
        b"GET /" + LARGE + b" HTTP/1.1\r\nHost: h\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: h\r\nX: " + LARGE + b"\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: h\r\n" + b"a: b\r\n" * 20_000 + b"\r\n",
        b"GET / HTTP/1.1\r\nHost: h\r\n" + LARGE,
        b"\r\n" * LARGEST_HEAD_BYTES,
        b"POST / HTTP/1.1\r\n" + JAVA + b"X: " + LARGE + b"\r\nContent-Length: 1\r\n\r\n",
    ],
    ids=["path", "value", "many", "name", "empty lines", "offer"],
)
async def test_a_head_of_over_64_kib_is_refused(head: bytes) -> None:
    app = App()
    async with serving(app) as port, connected(port) as client:
        client.send(head)
        status, problem = await client.answer()
        assert status in (400, 431), problem
        assert await client.is_closed()
        assert app.served == 0


async def test_a_head_of_63_kib_is_served() -> None:
    async with serving(App()) as port, connected(port) as client:
        client.send(b"GET / HTTP/1.1\r\nHost: h\r\nX: " + b"x" * 63 * 1024 + b"\r\n\r\n")
        assert (await client.answer())[0] == 200


async def test_endless_headers_are_refused_while_they_arrive() -> None:
    async with serving(App()) as port, connected(port) as client:
        client.send(b"GET / HTTP/1.1\r\nHost: h\r\nX: ")
        for _ in range(200):
            client.send(bytes(b"y" * 1024))
            await asyncio.sleep(0)
        assert (await client.answer())[0] == 431


@pytest.mark.parametrize("endless", [b"X: " + LARGE * 2, b"a: b\r\n" * 40_000], ids=["one", "many"])
async def test_endless_trailers_are_refused(endless: bytes) -> None:
    app = App()
    async with serving(app) as port, connected(port) as client:
        client.send(b"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\n")
        for at in range(0, len(endless), 4096):
            client.send(endless[at : at + 4096])
            await asyncio.sleep(0)
        assert (await client.answer())[0] == 431
        assert app.served == 0


async def test_pieces_of_a_body_that_arrive_together_are_handed_on_as_one(monkeypatch: pytest.MonkeyPatch) -> None:
    handed_on: list[int] = []
    on_body = HttpToolsProtocol.on_body

    def counted(protocol: HttpToolsProtocol, body: bytes) -> None:
        handed_on.append(len(body))
        on_body(protocol, body)

    monkeypatch.setattr(HttpToolsProtocol, "on_body", counted)
    async with serving(App()) as port, connected(port) as client:
        pieces = b"14\r\n" + b"a" * 20 + b"\r\n"
        client.send(b"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n", pieces * 20_000, b"0\r\n\r\n")
        assert (await client.answer())[1]["size"] == 400_000
        client.send(b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nhello")
        assert (await client.answer())[1]["body"] == "hello"
    assert sum(handed_on) == 400_005
    # One for each read of the socket, which the kernel may cut as it likes.
    assert len(handed_on) < 1000


async def test_many_tiny_pieces_of_a_body_are_refused_and_a_few_are_not() -> None:
    app = App()
    head = b"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n"
    async with serving(app) as port, connected(port) as client:
        client.send(head, b"1\r\na\r\n" * 1000, b"0\r\n\r\n")
        assert (await client.answer())[1]["size"] == 1000
        client.send(head, b"1\r\na\r\n" * 50_000)
        status, problem = await client.answer()
        assert status == 400
        assert "pieces of less than 16 bytes" in str(problem["detail"])
    assert app.served == 1


@pytest.mark.parametrize(
    "before", ["", "Transfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\n"], ids=["headers", "trailers"]
)
async def test_a_request_has_a_bounded_number_of_headers(before: str) -> None:
    app = App()
    begun = f"POST / HTTP/1.1\r\nHost: h\r\n{before}".encode()
    async with serving(app) as port, connected(port) as client:
        client.send(begun, b"a: b\r\n" * (MOST_HEADERS - 10), b"\r\n")
        assert (await client.answer())[0] == 200
        client.send(begun, b"a: b\r\n" * (MOST_HEADERS + 1))
        status, problem = await client.answer()
        assert (status, problem["code"]) == (431, "headers_too_large")
    assert app.served == 1


async def test_trailers_are_not_taken_for_headers() -> None:
    async with serving(App()) as port, connected(port) as client:
        client.send(
            b"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\nX-Trailer: 1\r\n\r\n"
        )
        headers = (await client.answer())[1]["headers"]
        assert isinstance(headers, list)
        assert "x-trailer" not in headers


@pytest.mark.parametrize("begun", [b"GET / HTTP/1.1\r\nHost: h\r\n", b"G", b"\r\n", b""], ids=repr)
async def test_a_head_that_does_not_arrive_in_time_ends_the_connection(begun: bytes) -> None:
    app = App()
    async with serving(app, Impatient) as port, connected(port) as client:
        client.send(begun)
        if begun.strip():
            assert (await client.answer())[0] == 408
        assert await client.is_closed()
        assert app.served == 0


async def test_a_second_head_that_trickles_in_ends_the_connection() -> None:
    async with serving(App(), Impatient) as port, connected(port) as client:
        client.send(b"GET / HTTP/1.1\r\nHost: h\r\n\r\n")
        assert (await client.answer())[0] == 200
        client.send(b"GET / HT")
        for _ in range(20):
            client.send(b"T")
            await asyncio.sleep(0.05)
            if client.reader.at_eof() or client.writer.is_closing():
                break
        assert (await client.answer())[0] in (400, 408)


async def test_a_body_that_stops_arriving_ends_the_request() -> None:
    app = App()
    async with serving(app, Impatient) as port, connected(port) as client:
        client.send(b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 1000000\r\n\r\n", bytes(20_000))
        assert (await client.answer())[0] == 408
        assert await client.is_closed()
        assert (app.served, app.left) == (0, 1)


async def test_a_body_that_an_answer_did_not_wait_for_ends_the_connection_when_it_stops_arriving() -> None:
    async with serving(App(), Impatient) as port, connected(port) as client:
        client.send(b"POST /at-once HTTP/1.1\r\nHost: h\r\nContent-Length: 1000000\r\n\r\n")
        assert (await client.answer())[0] == 200
        assert await client.is_closed()


async def test_a_slow_application_does_not_end_a_request() -> None:
    app = App()
    async with serving(app, Impatient) as port, connected(port) as client:
        client.send(b"POST /hold HTTP/1.1\r\nHost: h\r\nContent-Length: 1000000\r\n\r\n", bytes(200_000))
        await asyncio.sleep(3 * Impatient.body_s)
        app.go_on.set()
        assert (await client.answer())[0] == 200


async def test_a_slow_answer_does_not_end_a_connection() -> None:
    app = App()
    async with serving(app, Impatient) as port, connected(port) as client:
        client.send(b"GET /hold HTTP/1.1\r\nHost: h\r\n\r\n")
        await asyncio.sleep(3 * Impatient.head_s)
        app.go_on.set()
        assert (await client.answer())[0] == 200


async def test_a_client_that_takes_nothing_of_its_answer_is_left() -> None:
    async with serving(App(), Impatient) as port, connected(port) as client:
        client.writer.transport.pause_reading()  # type: ignore[attr-defined]  # a transport of a socket has it
        client.send(b"GET /large HTTP/1.1\r\nHost: h\r\n\r\n")
        await asyncio.sleep(4 * Impatient.write_s)
        client.writer.transport.resume_reading()  # type: ignore[attr-defined]  # a transport of a socket has it
        with pytest.raises((asyncio.IncompleteReadError, ConnectionResetError)):
            await client.reader.readexactly(64 * 1024**2)


async def test_requests_that_wait_on_one_connection_are_few() -> None:
    app = App()
    async with serving(app) as port, connected(port) as client:
        client.send(b"GET /hold HTTP/1.1\r\nHost: h\r\n\r\n" * (10 * MOST_PIPELINED))
        assert await client.is_closed()
        app.go_on.set()
        assert app.served <= MOST_PIPELINED + 1


async def test_unfinished_heads_share_a_bounded_memory() -> None:
    place = SharedPlace(HEADS, most=100_000, share=60_000)

    class Bounded(ServerProtocol):
        heads = place

    async with serving(App(), Bounded) as port, connected(port) as first, connected(port) as second:
        first.send(b"GET / HTTP/1.1\r\nHost: h\r\nX: " + bytes(b"x" * 40_000))
        await first.writer.drain()
        await until(lambda: place.held > 0)
        second.send(b"GET / HTTP/1.1\r\nHost: h\r\nX: " + bytes(b"x" * 40_000))
        status, problem = await second.answer()
        assert (status, problem["code"]) == (503, "overloaded")
        first.send(b"\r\n\r\n")
        assert (await first.answer())[0] == 200
        assert place.held == 0


@pytest.mark.parametrize("is_proxy", [False, True])
async def test_an_address_has_a_share_of_the_connections_unless_it_is_a_trusted_proxy(is_proxy: bool) -> None:
    place = SharedPlace(CONNECTIONS, share=2)

    class Bounded(ServerProtocol):
        open_connections = place

    Bounded.is_proxy = staticmethod(lambda _: is_proxy)
    async with serving(App(), Bounded) as port, connected(port) as one, connected(port) as two:
        for connection in (one, two):
            connection.send(b"GET /at-once HTTP/1.1\r\nHost: h\r\n\r\n")
            assert (await connection.answer())[0] == 200
        async with connected(port) as three:
            three.send(b"GET /at-once HTTP/1.1\r\nHost: h\r\n\r\n")
            assert (await three.answer())[0] == (200 if is_proxy else 429)
        one.writer.close()
        await until(lambda: place.held == 1)
        async with connected(port) as four:
            four.send(b"GET /at-once HTTP/1.1\r\nHost: h\r\n\r\n")
            assert (await four.answer())[0] == 200
    await until(lambda: not place.held)


async def test_all_addresses_together_have_a_bound_of_connections() -> None:
    place = SharedPlace(CONNECTIONS, most=1)

    class Bounded(ServerProtocol):
        open_connections = place
        is_proxy = staticmethod(lambda _: True)

    async with serving(App(), Bounded) as port, connected(port) as one:
        one.send(b"GET /at-once HTTP/1.1\r\nHost: h\r\n\r\n")
        assert (await one.answer())[0] == 200
        async with connected(port) as two:
            status, problem = await two.answer()
        assert (status, problem["code"]) == (503, "overloaded")
