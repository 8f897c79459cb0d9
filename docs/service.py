"""A service of our own, with an embedded database, for what the documentation shows of one."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

RUSHES = str(Path(sys.executable).parent / "rushes")
START_S = 60.0


@contextmanager
def running_service(folder: Path) -> Iterator[str]:
    """A service with its data below this folder; its URL."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    environment = {**os.environ, "RUSHES_TEST_HOLD_S": "0"}
    process = subprocess.Popen(
        [RUSHES, "serve", "--port", str(port), "--data-dir", folder / "data"],
        env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    url = f"http://127.0.0.1:{port}"
    try:
        wait_until(lambda: get(f"{url}/healthz"), START_S)
        yield url
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait()


def get(url: str, key: str | None = None, body: object = None) -> Any:
    """The JSON that answers a GET, or a POST of `body`."""
    headers = {"Content-Type": "application/json"} | ({} if key is None else {"Authorization": f"Bearer {key}"})
    data = None if body is None else json.dumps(body).encode()
    with urllib.request.urlopen(urllib.request.Request(url, data, headers)) as answer:
        return json.load(answer)


def wait_until(holds: Any, within_s: float) -> None:
    """Wait until `holds()`, and exit if that takes longer than `within_s`."""
    give_up = time.monotonic() + within_s
    while True:
        try:
            if holds():
                return
        except OSError:
            pass
        if time.monotonic() > give_up:
            raise SystemExit(f"the service did not get there within {within_s:.0f} s")
        time.sleep(0.2)


def run_rushes(folder: Path, *arguments: str) -> str:
    """What a command prints, run on the data of the service below this folder."""
    command = [RUSHES, *arguments, "--data-dir", str(folder / "data")]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout
