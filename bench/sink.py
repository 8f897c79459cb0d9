"""The far ends of a transfer, as cheap as they can be: a provider that sends a file, and a bucket that forgets it.

Both know just enough HTTP, and of S3's words just what boto3 needs to hear, so that what is measured is our side. What
is put is counted and thrown away; what is read is as long as what was put last under that name.
"""

from __future__ import annotations

import argparse
import os
import re
import socket
import tempfile
import threading
from contextlib import suppress
from typing import BinaryIO

RECEIVE_BYTES = 1024 * 1024
CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
BEGUN = b"<InitiateMultipartUploadResult><UploadId>one</UploadId></InitiateMultipartUploadResult>"
COMPLETED = b'<CompleteMultipartUploadResult><ETag>"x"</ETag></CompleteMultipartUploadResult>'
LISTED = b"<ListBucketResult><IsTruncated>false</IsTruncated></ListBucketResult>"
UPLOADS = b"<ListMultipartUploadsResult><IsTruncated>false</IsTruncated></ListMultipartUploadsResult>"


class Sink:
    """One server; each connection has a thread, which is asleep in the kernel nearly all the time."""

    def __init__(self, file: BinaryIO, size_bytes: int) -> None:
        self._file = file
        self._size_bytes = size_bytes
        self._kept: dict[str, int] = {}
        self._lock = threading.Lock()

    def serve(self, connection: socket.socket) -> None:
        """Answer one request after the other until the other side has enough."""
        buffer = bytearray(RECEIVE_BYTES)
        rest = b""
        with connection, suppress(ConnectionError):
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            while True:
                while b"\r\n\r\n" not in rest:
                    received = connection.recv(65536)
                    if not received:
                        return
                    rest += received
                head, _, rest = rest.partition(b"\r\n\r\n")
                lines = head.decode("latin-1").split("\r\n")
                method, target, _ = lines[0].split(" ")
                fields = (line.partition(":") for line in lines[1:])
                headers = {name.lower(): value.strip() for name, _, value in fields}
                if headers.get("expect") == "100-continue":
                    connection.sendall(CONTINUE)
                size_bytes = int(headers.get("content-length", 0))
                left_bytes = size_bytes - len(rest)
                while left_bytes > 0:
                    left_bytes -= connection.recv_into(buffer, min(left_bytes, RECEIVE_BYTES))
                rest = b""
                self._answer(connection, method, target, headers, size_bytes)

    def _answer(
        self, connection: socket.socket, method: str, target: str, headers: dict[str, str], size_bytes: int
    ) -> None:
        name, _, query = target.partition("?")
        if method == "PUT":
            with self._lock:
                self._kept[name] = size_bytes + (self._kept.get(name, 0) if "partNumber=" in query else 0)
            _send(connection, "200 OK")
        elif method == "POST":
            if query.startswith("uploads"):
                self._kept.pop(name, None)
            _send(connection, "200 OK", BEGUN if query.startswith("uploads") else COMPLETED)
        elif method == "DELETE":
            _send(connection, "204 No Content")
        elif method == "HEAD":
            _send(connection, "200 OK")
        elif name.count("/") < 2:
            _send(connection, "200 OK", UPLOADS if query.startswith("uploads") else LISTED)
        else:
            self._send_file(connection, self._kept.get(name, self._size_bytes), headers.get("range"))

    def _send_file(self, connection: socket.socket, size_bytes: int, wanted: str | None) -> None:
        position, end = 0, size_bytes
        status, more = "200 OK", ""
        if wanted is not None and (match := re.fullmatch(r"bytes=(\d+)-(\d*)", wanted)):
            position, end = int(match[1]), int(match[2] or size_bytes - 1) + 1
            status, more = "206 Partial Content", f"Content-Range: bytes {position}-{end - 1}/{size_bytes}\r\n"
        _send(connection, status, length=end - position, more=more + "Content-Type: video/mp4\r\n")
        while position < end:
            position += os.sendfile(connection.fileno(), self._file.fileno(), position, end - position)


def _send(
    connection: socket.socket, status: str, body: bytes = b"", *, length: int | None = None, more: str = ""
) -> None:
    length = len(body) if length is None else length
    connection.sendall(f'HTTP/1.1 {status}\r\nETag: "x"\r\n{more}Content-Length: {length}\r\n\r\n'.encode() + body)


def main() -> None:
    """Serve until told to stop."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--bytes", type=int, required=True, help="Size of the file that is sent.")
    given = parser.parse_args()
    with tempfile.TemporaryFile(dir="/var/tmp") as file, socket.create_server(("127.0.0.1", given.port)) as listener:
        file.write(os.urandom(given.bytes))
        file.flush()
        sink = Sink(file, given.bytes)
        while True:
            connection, _ = listener.accept()
            threading.Thread(target=sink.serve, args=(connection,), daemon=True).start()


if __name__ == "__main__":
    main()
