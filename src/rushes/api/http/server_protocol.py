"""How bytes from a connection become requests: uvicorn's protocol, with bounds for what a client may send and hold.

uvicorn bounds neither the size of a request's head nor the time it takes, nor the rate of a body, nor how many requests
wait on one connection. It also loses the body of a request that offers an upgrade, because the parser stops there.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from http import HTTPStatus
from typing import Any, Final

import httptools
import pydantic_core
import structlog
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from rushes.api.http.keyless_limit import network_of
from rushes.errors import AccountBusy, Overloaded
from rushes.ids import new_id
from rushes.shared_places import Holding, SharedPlace

log = structlog.get_logger(__name__)

LARGEST_HEAD_BYTES: Final = 64 * 1024
MOST_HEADERS: Final = 1000
"""Of one request, with its trailers: each takes time of its own."""
MOST_PIPELINED: Final = 32
MOST_PIECES: Final = 2000
SMALLEST_PIECES_BYTES: Final = 16
"""What pieces of a body have on average where more than `MOST_PIECES` arrive together: each takes time of its own."""
LINGER_S: Final = 2.0
"""How long what a refused client still sends is thrown away before the connection closes."""
CONNECT: Final = b"CONNECT"
BUSY: Final = frozenset({HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE})
OFFERS: Final = frozenset({b"upgrade", b"http2-settings"})
"""What a Connection header names when a client offers another protocol."""
UNIX_PEER: Final = "unix"
"""Who a client is that has connected to a Unix socket."""
IPV4_IN_IPV6: Final = "::ffff:"


class _UnwantedError(Exception):
    """Ends the parsing of what has arrived; its arguments are those of the refusal."""


class ServerProtocol(HttpToolsProtocol):
    """One connection.

    A head has at most 64 KiB and arrives within `head_s`. A body brings at least `body_bytes` in each `body_s`, except
    while the application does not read. A client takes some of the answer within `write_s`. An offer to upgrade is
    ignored, as RFC 9110 (section 7.8) allows.
    """

    head_s = 10.0
    body_s = 20.0
    body_bytes = 10 * 1024
    write_s = 120.0
    heads: SharedPlace | None = None
    """What the unfinished heads of all connections may hold, and those of one address."""
    open_connections: SharedPlace | None = None
    """How many connections all clients may have, and those of one address."""
    is_proxy: Callable[[str], bool] = staticmethod(lambda _: False)
    """Whether a trusted proxy has this address: its connections are those of many clients."""
    is_closing = False
    """Whether answers say that their connection closes, because the server is about to stop."""

    def __init__(self, *args: Any, **named: Any) -> None:
        super().__init__(*args, **named)
        self._head_begun = False
        self._in_body = False
        self._refused = False
        self._undelivered_bytes = 0
        """Bytes since the last head or piece of a body: of a head, a trailer, or the lines between chunks."""
        self._body_bytes = 0
        """Bytes of the body in the current interval."""
        self._header_count = 0
        self._pieces: list[bytes] = []
        """Pieces of the body that came with the bytes being parsed. uvicorn would copy the body for each of them."""
        self._reading: asyncio.TimerHandle | None = None
        self._reading_what: str | None = None
        self._writing: asyncio.TimerHandle | None = None
        self._head: Holding | None = None
        self._connection: Holding | None = None

    # The connection

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """A client has connected."""
        super().connection_made(transport)
        self.client = _one_name(self.client)
        if self._is_admitted():
            self._watch_reading()

    def _is_admitted(self) -> bool:
        if self.open_connections is None:
            return True
        host = UNIX_PEER if self.client is None else self.client[0]
        # A place of its own for each connection of a proxy, so that the share of an address is not theirs.
        name = f"{host} {id(self)}" if host == UNIX_PEER or self.is_proxy(host) else network_of(host)
        try:
            self._connection = self.open_connections.take(name)
        except (AccountBusy, Overloaded) as error:
            is_share = isinstance(error, AccountBusy)
            self._refuse(
                HTTPStatus.TOO_MANY_REQUESTS if is_share else HTTPStatus.SERVICE_UNAVAILABLE,
                "too_many_connections" if is_share else "overloaded",
                "Too many connections are open; close some, or try again shortly",
            )
            self.transport.close()
            return False
        return True

    def close_after_answer(self) -> None:
        """The server is about to stop: an answer that has not begun says that the connection closes."""
        if self._is_answering and not self.cycle.response_started:
            self.cycle.keep_alive = False

    def connection_lost(self, exc: Exception | None) -> None:
        """The client has left, or the connection was closed."""
        self._stop_reading_timer()
        self._stop_writing_timer()
        self._give_head_back()
        if self._connection is not None:
            self._connection.release()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Some bytes have arrived; of a client that was refused, they are thrown away."""
        if not self._refused:
            self._received(data)

    def _received(self, data: bytes) -> None:
        self._unset_keepalive_if_required()
        self._undelivered_bytes += len(data)
        rest: bytes | None = data
        while rest is not None and not self._refused:
            rest = self._fed(rest)
        self._deliver_pieces()
        if self._refused:
            return
        if self._undelivered_bytes > LARGEST_HEAD_BYTES:
            self._refuse_large_head()
            return
        if self._hold_head():
            self._watch_reading()

    def _hold_head(self) -> bool:
        """Account for an unfinished head. Returns whether it may go on."""
        if self.heads is None or self._in_body or not self._undelivered_bytes:
            self._give_head_back()
            return True
        if self._head is None:
            self._head = Holding(self.heads, "" if self.client is None else self.client[0], 0)
        try:
            self._head.grow(self._undelivered_bytes - self._head.amount)
        except (AccountBusy, Overloaded):
            self._refuse(
                HTTPStatus.SERVICE_UNAVAILABLE,
                "overloaded",
                "Too many requests are arriving at once; try again shortly",
            )
            return False
        return True

    def _give_head_back(self) -> None:
        if self._head is not None:
            self._head.release()
            self._head = None

    def _fed(self, data: bytes) -> bytes | None:
        """Parse the data. Returns what is still to be parsed where the client offered an upgrade."""
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserUpgrade as offer:
            return self._without_offer(data[offer.args[0] :])
        except httptools.HttpParserError as error:
            if isinstance(error.__context__, _UnwantedError):
                self._refuse(*error.__context__.args)
            else:
                self.send_400_response("The request is not HTTP as this server reads it")
        return None

    def _without_offer(self, rest: bytes) -> bytes | None:
        """The request again, without the offer and with what follows its head, for a parser that has not stopped."""
        method = self.scope["method"].encode()
        if method == CONNECT:
            self._refuse(HTTPStatus.METHOD_NOT_ALLOWED, "method_not_allowed", "This server is not a proxy")
            return None
        head = [b"%b %b HTTP/%b\r\n" % (method, self.url, self.scope["http_version"].encode())]
        for name, value in self.headers:
            kept = _without_offers(value) if name == b"connection" else value
            if name != b"upgrade" and kept:
                head.append(b"%b: %b\r\n" % (name, kept))
        self.parser = httptools.HttpRequestParser(self)
        self.parser.set_dangerous_leniencies(lenient_data_after_close=True)
        return b"".join([*head, b"\r\n", rest])

    # The parser's callbacks

    def on_message_begin(self) -> None:
        """A request begins."""
        super().on_message_begin()
        self._head_begun = True
        self._header_count = 0

    def on_header(self, name: bytes, value: bytes) -> None:
        """A header, or a trailer, which nothing here reads. Raises _UnwantedError if they are many."""
        self._header_count += 1
        if self._header_count > MOST_HEADERS:
            raise _UnwantedError(
                HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE,
                "headers_too_large",
                f"The request has more than {MOST_HEADERS} headers",
            )
        if not self._in_body:
            super().on_header(name, value)

    def on_headers_complete(self) -> None:
        """A request's head is complete."""
        if self._refused:
            return
        if self.parser.should_upgrade():
            self.scope["method"] = self.parser.get_method().decode("ascii")
            self.scope["http_version"] = self.parser.get_http_version()
            return
        if len(self.url) + sum(len(name) + len(value) + 4 for name, value in self.headers) > LARGEST_HEAD_BYTES:
            self._refuse_large_head()
            return
        if len(self.pipeline) >= MOST_PIPELINED:
            self._refuse(
                HTTPStatus.TOO_MANY_REQUESTS,
                "too_many_pipelined",
                f"More than {MOST_PIPELINED} requests wait on this connection",
            )
            return
        self._head_begun = False
        self._in_body = True
        self._undelivered_bytes = self._body_bytes = 0
        super().on_headers_complete()
        self.scope["state"]["cut"] = self.transport.abort
        if self.is_closing:
            self.cycle.keep_alive = False

    def on_body(self, body: bytes) -> None:
        """A piece of a body. Raises _UnwantedError if they are many and tiny."""
        self._pieces.append(body)
        if len(self._pieces) < MOST_PIECES:
            return
        is_tiny = sum(map(len, self._pieces)) < MOST_PIECES * SMALLEST_PIECES_BYTES
        self._deliver_pieces()
        if is_tiny:
            raise _UnwantedError(
                HTTPStatus.BAD_REQUEST,
                "malformed_request",
                f"The body comes in pieces of less than {SMALLEST_PIECES_BYTES} bytes; send larger ones",
            )

    def _deliver_pieces(self) -> None:
        if not self._pieces:
            return
        body = b"".join(self._pieces)
        self._pieces.clear()
        self._undelivered_bytes = 0
        self._body_bytes += len(body)
        if not self._refused:
            super().on_body(body)

    def on_message_complete(self) -> None:
        """A request is complete, unless it is to be parsed again."""
        self._deliver_pieces()
        if self._refused or self.parser.should_upgrade():
            return
        self._in_body = False
        self._undelivered_bytes = 0
        super().on_message_complete()

    # Time

    def _watch_reading(self) -> None:
        """Have the right timer for what the client has to send next."""
        if self._in_body:
            what, after_s = "body", self.body_s
        elif self._head_begun or not self._is_answering:
            what, after_s = "head", self.head_s
        else:
            self._stop_reading_timer()
            return
        if what != self._reading_what:
            self._stop_reading_timer()
            self._reading_what = what
            self._reading = self.loop.call_later(after_s, self._head_is_late if what == "head" else self._check_rate)

    def _stop_reading_timer(self) -> None:
        if self._reading is not None:
            self._reading.cancel()
        self._reading = self._reading_what = None

    def _head_is_late(self) -> None:
        self._stop_reading_timer()
        if self.transport.is_closing():
            return
        if not self._head_begun:
            self.transport.close()
            return
        self._refuse(
            HTTPStatus.REQUEST_TIMEOUT,
            "request_timeout",
            f"The request's headers did not arrive within {self.head_s:g} seconds",
        )

    def _check_rate(self) -> None:
        self._reading = self._reading_what = None
        if self.transport.is_closing():
            return
        # Where the application does not read, or has not asked for the body yet, the client cannot be faster.
        is_ours = self.flow.read_paused or self.cycle.waiting_for_100_continue
        if self._body_bytes < self.body_bytes and not is_ours:
            self._refuse(
                HTTPStatus.REQUEST_TIMEOUT,
                "request_timeout",
                f"The body arrived at less than {self.body_bytes} bytes in {self.body_s:g} seconds",
            )
            return
        self._body_bytes = 0
        self._watch_reading()

    def pause_writing(self) -> None:
        """The client does not take what was written so far."""
        super().pause_writing()
        self._stop_writing_timer()
        self._writing = self.loop.call_later(self.write_s, self.transport.abort)

    def resume_writing(self) -> None:
        """The client has taken some of it."""
        self._stop_writing_timer()
        super().resume_writing()

    def _stop_writing_timer(self) -> None:
        if self._writing is not None:
            self._writing.cancel()
            self._writing = None

    # Refusals

    def send_400_response(self, msg: str) -> None:
        """Refuse bytes that are not HTTP, and close the connection."""
        self._refuse(HTTPStatus.BAD_REQUEST, "malformed_request", msg)

    def _refuse_large_head(self) -> None:
        self._refuse(
            HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE,
            "headers_too_large",
            f"The request's headers are larger than {LARGEST_HEAD_BYTES // 1024} KiB",
        )

    def _refuse(self, status: HTTPStatus, code: str, detail: str) -> None:
        """Answer with this problem if no answer is under way, and close the connection."""
        self._refused = True
        self._stop_reading_timer()
        self._give_head_back()
        request_id = new_id("req")
        log.info("connection_refused", request_id=request_id, code=code, status=status.value)
        # Two answers must not be mixed on the wire.
        if self._is_answering if not self._in_body else self.cycle.response_started:
            self.transport.close()
            return
        content = pydantic_core.to_json(
            {
                "type": f"urn:rushes:error:{code}",
                "title": status.phrase,
                "status": status.value,
                "detail": detail,
                "code": code,
                "request_id": request_id,
            }
        )
        later = "retry-after: 1\r\n" if status in BUSY else ""
        head = (
            f"HTTP/1.1 {status.value} {status.phrase}\r\n{later}content-type: application/problem+json\r\n"
            f"content-length: {len(content)}\r\nx-request-id: {request_id}\r\nconnection: close\r\n\r\n"
        )
        self.transport.write(head.encode() + content)
        if self._in_body:
            # The application need not wait for what will not come.
            self.cycle.disconnected = True
            self.cycle.message_event.set()
        # A connection closed while the client still sends is reset, and the client may lose the answer.
        self.transport.write_eof()
        self._reading = self.loop.call_later(LINGER_S, self.transport.close)

    @property
    def _is_answering(self) -> bool:
        """Whether a request has begun that is not answered yet."""
        cycle: RequestResponseCycle | None = self.cycle
        return cycle is not None and not cycle.response_complete


def _one_name(client: tuple[str, int] | None) -> tuple[str, int]:
    """The client as limits and trusted proxies name it, however it has connected."""
    if client is None:
        return UNIX_PEER, 0
    # A socket of both versions of IP shows an IPv4 address as an IPv6 address.
    host, port = client
    return (host.removeprefix(IPV4_IN_IPV6), port) if "." in host else client


def _without_offers(connection: bytes) -> bytes:
    tokens = (token.strip() for token in connection.split(b","))
    return b", ".join(token for token in tokens if token and token.lower() not in OFFERS)
