"""Large answers, one or several at once, received with blocking sockets: the client is not what is measured."""

from __future__ import annotations

import socket
import time

RECEIVE_BYTES = 1024 * 1024
TIMEOUT_S = 30.0


def receive(port: int, requests: list[bytes]) -> float:
    """Receive all answers, a little of each by turns, and throw them away; their MB a second."""
    buffer = bytearray(RECEIVE_BYTES)
    began = time.perf_counter()
    left = [(connection, _head(connection)) for connection in [_sent(port, request) for request in requests]]
    total_bytes = sum(size_bytes for _, size_bytes in left)
    while left:
        still = []
        for connection, left_bytes in left:
            received_bytes = connection.recv_into(buffer)
            assert received_bytes, f"{left_bytes} bytes were not sent"
            if left_bytes > received_bytes:
                still.append((connection, left_bytes - received_bytes))
            else:
                connection.close()
        left = still
    return total_bytes / 1e6 / (time.perf_counter() - began)


def _sent(port: int, request: bytes) -> socket.socket:
    connection = socket.create_connection(("127.0.0.1", port), timeout=TIMEOUT_S)
    connection.sendall(request)
    return connection


def _head(connection: socket.socket) -> int:
    """How many bytes of the answer are still to come."""
    received = b""
    while b"\r\n\r\n" not in received:
        received += connection.recv(4096)
    head, _, begun = received.partition(b"\r\n\r\n")
    assert head.startswith((b"HTTP/1.1 200", b"HTTP/1.1 206")), head
    (length,) = (line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:"))
    return int(length.partition(b":")[2]) - len(begun)
