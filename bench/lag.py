"""How long the server's event loop keeps others waiting: GET /healthz every few milliseconds, beside the load.

The probe is a process of its own, so that it does not wait for the load's answers, and mostly asleep, so that it gets
the load's core as soon as it wants it. /healthz does next to nothing: what it waits for is the loop. Under load that is
the requests before it, at most one a connection.
"""

from __future__ import annotations

import select
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

from bench.load import request
from bench.machine import use_load_core

PAUSE_S = 0.005
STOP_S = 10.0


class Lag:
    """The longest that an answer took, in milliseconds; known once the probe has ended."""

    worst_ms = 0.0


@contextmanager
def probing(port: int) -> Iterator[Lag]:
    """Probe the server while the context lasts."""
    lag = Lag()
    probe = subprocess.Popen(
        [sys.executable, "-m", "bench.lag", str(port)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    try:
        assert probe.stdout is not None
        probe.stdout.readline()  # it is connected
        yield lag
        output, _ = probe.communicate("", timeout=STOP_S)
        lag.worst_ms = float(output)
    finally:
        probe.kill()
        probe.wait()


def main() -> None:
    """Probe until standard input ends, then print the longest time in milliseconds."""
    use_load_core()
    message = request("GET", "/healthz")
    worst_s = 0.0
    with socket.create_connection(("127.0.0.1", int(sys.argv[1])), timeout=STOP_S) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        print("connected", flush=True)
        while not _told_to_stop(PAUSE_S):
            began = time.perf_counter()
            connection.sendall(message)
            connection.recv(4096)
            worst_s = max(worst_s, time.perf_counter() - began)
    print(worst_s * 1000)


def _told_to_stop(wait_s: float) -> bool:
    readable, _, _ = select.select([sys.stdin], [], [], wait_s)
    return bool(readable)


if __name__ == "__main__":
    main()
