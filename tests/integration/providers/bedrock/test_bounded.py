"""Replies of AWS that are too long, too slow or not what boto3's parsers expect."""

from __future__ import annotations

import json
import socketserver
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import pytest

from rushes.net.client import TimeLimits
from rushes.providers.base import Credential
from rushes.providers.bedrock import calls
from rushes.providers.bedrock.account import account_of
from rushes.providers.http import CallLimits

ACCOUNT = account_of(
    Credential(
        "aws",
        json.dumps(
            {"access_key_id": "AKIAFAKE", "secret_access_key": "x" * 40, "region": "us-west-2", "bucket": "films"}
        ),
    )
)
BEGUN = b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n["


@contextmanager
def answering(*, endlessly: bytes = b"", first: bytes = b"") -> Iterator[str]:
    """A server that answers everything with some bytes, and then with others for ever."""

    class Handler(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            while self.rfile.readline().strip():
                pass
            with suppress(OSError):
                self.wfile.write(first)
                while endlessly:
                    self.wfile.write(endlessly)

    class Server(socketserver.ThreadingTCPServer):
        daemon_threads = True

    with Server(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}"
        finally:
            server.shutdown()
            thread.join()


async def looked(base_url: str, *, total_s: float = 30) -> object:
    """What comes of a look at an invocation."""
    limits = TimeLimits(connect_s=2, read_s=5, total_s=total_s)
    made = calls.AwsCalls(base_url, base_url, limits=CallLimits(submit=limits, poll=limits, download=limits))
    try:
        return await made.bedrock(ACCOUNT, "get_async_invoke", {"invocationArn": f"arn:aws:bedrock:{'a' * 40}"})
    finally:
        made.close()


async def test_an_endless_document_is_given_up_after_a_megabyte() -> None:
    with (
        answering(first=BEGUN, endlessly=b"0," * 10_000) as url,
        pytest.raises(calls.AwsUnreadableError, match="more than we read"),
    ):
        await looked(url)


async def test_a_document_that_takes_too_long_is_given_up() -> None:
    with answering(first=BEGUN, endlessly=b" ") as url, pytest.raises(calls.AwsUnreadableError, match="too slowly"):
        await looked(url, total_s=0)


@pytest.mark.parametrize(
    "body", [b"[" * 5000, b"\x1f\x8b\x08", b"[1]", b'"text"', b'{"submitTime": {}}', b'{"submitTime": 1e308}']
)
@pytest.mark.parametrize("status", [b"200 OK", b"400 Bad Request"])
async def test_a_document_that_trips_botocores_parsers_is_unreadable_or_refused(status: bytes, body: bytes) -> None:
    head = b"HTTP/1.1 %s\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % (status, len(body))
    with answering(first=head + body) as url, pytest.raises((calls.AwsSilentError, calls.AwsRefusedError)):
        await looked(url)
