"""A server under measurement: a child process on the server's core, ready once it has answered."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType

from bench.machine import LOAD_CORE, SERVER_CORE
from tests.fixtures.postgres import PostgresServer

RUSHES = Path(sys.executable).with_name("rushes")
PROJECT = Path(__file__).parents[1]
START_S = 30.0
STOP_S = 10.0
RETRY_S = 0.002
"""How often a starting server is tried; the start is known no closer than this."""
NO_RENDERING = {"RUSHES_TEST_HOLD_S": "3600"}
"""Jobs stay queued, so that drawing them does not take part in the measurement."""
DURABLE = {"fsync": "on", "full_page_writes": "on", "autovacuum": "on", "shared_buffers": "128MB"}
"""Postgres as people run it, unlike the tests' own."""


class Server:
    """Use it as a context: it is started on entry, and stopped on leaving however the measurement ended."""

    def __init__(
        self,
        command: list[str | Path],
        folder: Path,
        settings: dict[str, str],
        health_path: str,
        *,
        core: int = SERVER_CORE,
    ) -> None:
        self._core = core
        self._command = command
        self._folder = folder
        self._settings = settings
        self._health = f"GET {health_path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode()
        self._process: subprocess.Popen[bytes] | None = None
        self.port = 0
        self.start_s = 0.0
        """From the start of the process to its first answer."""

    @property
    def process_id(self) -> int:
        assert self._process is not None
        return self._process.pid

    def __enter__(self) -> Server:
        self.port = _free_port()
        self._folder.mkdir(parents=True, exist_ok=True)
        log = self._folder / "server.log"
        began = time.perf_counter()
        with log.open("ab") as output:
            self._process = subprocess.Popen(
                [*self._command, "--port", str(self.port)],
                cwd=PROJECT,
                env={"PATH": os.defpath, "HOME": str(self._folder), **self._settings},
                stdout=output,
                stderr=output,
                preexec_fn=lambda: os.sched_setaffinity(0, {self._core}),
            )
        while not self._answers():
            if self._process.poll() is not None or time.perf_counter() - began > START_S:
                self._stop()
                raise RuntimeError(f"the server did not start:\n{log.read_text()}")
            time.sleep(RETRY_S)  # noqa: TID251 - nothing else runs in this process
        self.start_s = time.perf_counter() - began
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop()

    def _answers(self) -> bool:
        try:
            with socket.create_connection(("127.0.0.1", self.port), timeout=START_S) as connection:
                connection.sendall(self._health)
                return connection.recv(64).startswith(b"HTTP/1.1 200")
        except OSError:
            return False

    def _stop(self) -> None:
        assert self._process is not None
        self._process.terminate()
        try:
            self._process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


def rushes(folder: Path, program: Path = RUSHES, /, **settings: str) -> Server:
    """The service itself, as people run it, on the data directory in `folder`; another release's by its `program`."""
    command: list[str | Path] = [program, "serve", "--data-dir", data_dir(folder)]
    return Server(command, folder, settings, "/healthz")


def constant_app(folder: Path, *, size_bytes: int = 100, file: Path | None = None) -> Server:
    """The same framework with nothing of ours in it; see constant_app.py."""
    command: list[str | Path] = [sys.executable, "-m", "bench.constant_app", "--bytes", str(size_bytes)]
    if file is not None:
        command += ["--file", file]
    return Server(command, folder, {}, "/constant")


@contextmanager
def postgres() -> Iterator[PostgresServer]:
    """A Postgres server of our own, durable, on the core of whoever asks; in /var/tmp, as all that we write."""
    started = PostgresServer(directory="/var/tmp", **DURABLE)
    try:
        yield started
    finally:
        started.remove()


def on_postgres(url: str) -> dict[str, str]:
    """The settings of a service whose database is at `url`."""
    return {"RUSHES_DATABASE_URL": url, "RUSHES_SECRET_KEYS": "a-key-for-measurements-" + 32 * "x"}


def gemini(folder: Path) -> Server:
    """The tests' fake Gemini API, on the load's core: it plays whoever is at the other end."""
    command: list[str | Path] = [sys.executable, "-m", "tests.fixtures.upstreams.gemini"]
    return Server(command, folder, {}, "/_fake/counts", core=LOAD_CORE)


def at_gemini(upstream: Server) -> dict[str, str]:
    """The settings that let the service take this fake for Google."""
    return {
        "RUSHES_PROVIDERS__GOOGLE__BASE_URL": f"http://127.0.0.1:{upstream.port}",
        "RUSHES_PROVIDERS__GOOGLE__API_KEY": "no-real-key",
    }


def openai_shape(folder: Path) -> Server:
    """The tests' fake server of the OpenAI Videos API, on the load's core."""
    command: list[str | Path] = [sys.executable, "-m", "tests.fixtures.upstreams.openai_shape", "--flavor", "openai"]
    return Server(command, folder, {}, "/_fake/requests", core=LOAD_CORE)


def at_openai_shape(upstream: Server, model: str) -> dict[str, str]:
    """The settings that make this fake a model server of the operator's own, called `gpu`."""
    return own_server("gpu", f"http://127.0.0.1:{upstream.port}", model)


def own_server(name: str, url: str, *models: str | dict[str, object]) -> dict[str, str]:
    """The settings of a model server of the operator's own."""
    listed = [{"id": model} if isinstance(model, str) else model for model in models]
    at = f"RUSHES_PROVIDERS__{name.upper()}__"
    return {
        f"{at}KIND": "openai",
        f"{at}FLAVOR": "openai",
        f"{at}BASE_URL": f"{url}/v1",
        f"{at}MODELS": json.dumps(listed),
    }


def leases_lost(folder: Path) -> int:
    """How often a service in `folder` has said so far that a lease is gone."""
    log = (folder / "server.log").read_text()
    return sum(log.count(word) for word in ("lease_lost", "leases_ran_out"))


def data_dir(folder: Path) -> Path:
    """The service's data directory in a measurement's folder."""
    return folder / "data"


def key_in_test_mode(folder: Path, program: Path = RUSHES, /) -> str:
    """A new test key of the service in `folder`, made as people make it."""
    return _key(folder, program, "--test")


def live_key(folder: Path, program: Path = RUSHES, /, *, account: str = "default", **settings: str) -> str:
    """A new key whose jobs run at the providers."""
    return _key(folder, program, "--account", account, **settings)


def _key(folder: Path, program: Path, /, *options: str, **settings: str) -> str:
    made = subprocess.run(
        [program, "keys", "create", *options, "--data-dir", data_dir(folder)],
        env={"PATH": os.defpath, "HOME": str(folder), **settings},
        capture_output=True,
        text=True,
        timeout=START_S,
        check=True,
    )
    return made.stdout.splitlines()[-1]


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port: int = taken.getsockname()[1]
        return port
