"""A finished video of 50 MB by its signed link, against the framework's own file response."""

from __future__ import annotations

import socket
import time
from pathlib import Path
from urllib.parse import urlsplit

from bench import lag, load, server
from bench.machine import forget_peak, peak_mb, resident_mb
from bench.report import Report, Row, ratio, show
from bench.stored import enlarge_video, finish_a_job, read_job, working_folder

SIZE_BYTES = 50_000_000
ROUNDS = 7
DOWNLOADS = 4
"""Downloads a round, one after the other."""
RECEIVE_BYTES = 1024 * 1024
TIMEOUT_S = 30.0
GROWTH_MB = 16.0


def measure() -> Report:
    """The report; under half a minute."""
    with working_folder() as folder:
        return _measure(folder)


def _measure(folder: Path) -> Report:
    key, job_id = finish_a_job(folder)
    file = enlarge_video(folder, job_id, SIZE_BYTES)
    ours, theirs, lags_ms, our_growth, their_growth = [], [], [], [], []
    with (
        server.rushes(folder, **server.NO_RENDERING) as service,
        server.constant_app(folder / "constant", file=file) as constant,
    ):
        link = urlsplit(_link(service.port, key, job_id))
        target = f"{link.path}?{link.query}"
        at_rest_mb = {one.process_id: resident_mb(one.process_id) for one in (service, constant)}
        for one, path in ((service, target), (constant, "/file")):
            _round(one, path)
        for _ in range(ROUNDS):
            with lag.probing(service.port) as probe:
                ours.append(_round(service, target))
            our_growth.append(peak_mb(service.process_id) - at_rest_mb[service.process_id])
            lags_ms.append(probe.worst_ms)
            theirs.append(_round(constant, "/file"))
            their_growth.append(peak_mb(constant.process_id) - at_rest_mb[constant.process_id])
    signed = Row("by signed link", "MB/s", ours)
    plain = Row("the framework's FileResponse", "MB/s", theirs)
    return Report(
        "Serve a file",
        f"{SIZE_BYTES / 1e6:.0f} MB over loopback, in the page cache; {ROUNDS} rounds of {DOWNLOADS} downloads one"
        " after the other, by turns. Growth is the resident set's peak in a round over what it was before the"
        " first download.",
        [
            signed,
            plain,
            ratio("signed link / FileResponse", signed, plain, at_least=1.0),
            Row("memory growth", "MB", our_growth, at_most=GROWTH_MB),
            Row("memory growth, FileResponse", "MB", their_growth),
            Row("event loop's worst lag", "ms", lags_ms),
        ],
    )


def _link(port: int, key: str, job_id: str) -> str:
    result = read_job(port, key, job_id)["result"]
    assert isinstance(result, dict)
    return str(result["url"])


def _round(one: server.Server, path: str) -> float:
    """MB a second over some downloads. Afterwards the server's peak is theirs."""
    forget_peak(one.process_id)
    began = time.perf_counter()
    for _ in range(DOWNLOADS):
        _download(one.port, path)
    elapsed_s = time.perf_counter() - began
    return DOWNLOADS * SIZE_BYTES / 1e6 / elapsed_s


def _download(port: int, path: str) -> None:
    """Receive the whole file and throw it away; a blocking socket, for the client is not what is measured."""
    buffer = bytearray(RECEIVE_BYTES)
    with socket.create_connection(("127.0.0.1", port), timeout=TIMEOUT_S) as connection:
        connection.sendall(load.request("GET", path))
        head = b""
        while b"\r\n\r\n" not in head:
            head += connection.recv(4096)
        assert head.startswith(b"HTTP/1.1 200"), head
        left_bytes = SIZE_BYTES - len(head.partition(b"\r\n\r\n")[2])
        while left_bytes > 0:
            received_bytes = connection.recv_into(buffer)
            assert received_bytes, f"{left_bytes} bytes were not sent"
            left_bytes -= received_bytes


if __name__ == "__main__":
    show(measure)
