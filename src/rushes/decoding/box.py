"""The one way in which files of strangers are decoded: in a process that has the file, and nothing else.

The process starts with an empty environment and no memory of the service. It has open files instead of names, limits
on memory and time, and no way to open, connect, start or signal anything. It is killed when its time is over or when
the task that awaits it is cancelled. One process decodes one file, so no file can do anything to the next.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Sequence
from dataclasses import asdict
from enum import StrEnum
from typing import Any, Final

import structlog

from rushes import errors
from rushes.decoding.sandbox import Limits, Protection

log = structlog.get_logger(__name__)

START_S: Final = 120.0
"""Loading the decoders takes under a second; a machine with no memory left may take long."""
IDLE_S: Final = 300.0
MOST_ANSWER_BYTES: Final = 64 * 1024
_BOOT: Final = (
    "import sys, json; sys.path[:] = json.loads(sys.argv[1]); "
    "from rushes.decoding.fork_server import main; main(int(sys.argv[2]))"
)
_RAISED: Final = (errors.UnusableInput, errors.OutputInvalid, errors.ProviderRejected)


class Cause(StrEnum):
    """Why a task ended before its answer."""

    TIME = "time"
    MEMORY = "memory"
    CRASH = "crash"


class TaskEndedError(Exception):
    """The process ended, or was ended, before it answered. The file is the likely reason."""

    def __init__(self, cause: Cause) -> None:
        super().__init__(cause.value)
        self.cause = cause

    def sentence(self, subject: str) -> str:
        """What happened, for the person who sent the file."""
        match self.cause:
            case Cause.TIME:
                return f"{subject} takes too long to decode."
            case Cause.MEMORY:
                return f"{subject} takes too much memory to decode."
            case Cause.CRASH:
                return f"{subject} cannot be decoded: it ends the process that decodes it."


class BoxUnavailableError(Exception):
    """Processes for decoding cannot be started now. The file is not the reason."""


class Box:
    """Runs tasks in boxed processes. The process that starts them is itself started when first needed."""

    def __init__(self, *, idle_s: float = IDLE_S) -> None:
        self._idle_s = idle_s
        self._server: _Server | None = None
        self._starting = asyncio.Lock()
        self._busy = 0
        self._rest: asyncio.TimerHandle | None = None
        self._closed = False
        self.protection: Protection | None = None
        """The walls that stood around the last task; None before the first."""

    async def run(
        self,
        task: str,
        files: Sequence[int],
        *arguments: Any,
        limits: Limits,
        most_bytes: int = MOST_ANSWER_BYTES,
    ) -> Any:
        """The answer of `task` (`package.module:function`), called with copies of the open `files` and JSON arguments.

        The answer is JSON or bytes. Raises UnusableInput, OutputInvalid, ProviderRejected or OSError as the task does,
        TaskEndedError if the process ended first, and BoxUnavailableError.
        """
        if self._rest is not None:
            self._rest.cancel()
            self._rest = None
        self._busy += 1
        try:
            return self._read(await self._run(task, files, arguments, limits, most_bytes))
        finally:
            self._busy -= 1
            if not self._busy and not self._closed:
                self._rest = asyncio.get_running_loop().call_later(self._idle_s, self._give_back)

    async def test(self) -> Protection:
        """Start what decoding needs, and say which walls stand. Raises BoxUnavailableError."""
        try:
            await self.run("rushes.decoding.fork_server:self_test", (), limits=Limits())
        except TaskEndedError as error:
            raise BoxUnavailableError(f"a process that does nothing ended: {error}") from error
        if self.protection is None:
            raise BoxUnavailableError("the process did not answer")
        return self.protection

    async def _run(
        self, task: str, files: Sequence[int], arguments: Sequence[Any], limits: Limits, most_bytes: int
    ) -> tuple[bytes, bytes]:
        for _ in range(2):
            server = await self._running()
            try:
                answer, report = await server.ask(task, files, arguments, limits, most_bytes)
            except OSError as exc:
                if exc.errno in (errno.EMFILE, errno.ENFILE):
                    raise BoxUnavailableError("too many files are open") from exc
                report = b""
            if report:
                return answer, report
            # The server has gone: an operator or the kernel has ended it.
            log.warning("decoding_server_ended")
            if self._server is server:
                self._server = None
            await asyncio.to_thread(server.close)
        raise BoxUnavailableError("the process that starts them ends again and again")

    def _read(self, outcome: tuple[bytes, bytes]) -> Any:
        answer, reported = outcome
        report = json.loads(reported)
        if "failed" in report:
            raise BoxUnavailableError(report["failed"])
        if report["late"] or report["exit"] == -signal.SIGXCPU:
            raise TaskEndedError(Cause.TIME)
        if report["exit"] != 0:
            log.warning("decoding_process_ended", exit=report["exit"], said=answer[:500].decode("utf-8", "replace"))
            raise TaskEndedError(Cause.CRASH)
        head, _, rest = answer.partition(b"\n")
        try:
            content = json.loads(head)
            if "protection" in content:
                self.protection = Protection(**content["protection"])
        except (ValueError, TypeError) as exc:
            raise TaskEndedError(Cause.CRASH) from exc
        match content:
            case {"value": value}:
                return value
            case {"bytes": int(length)} if length == len(rest):
                return rest
            case {"error": str(name), "message": str(message)}:
                for kind in _RAISED:
                    if kind.__name__ == name:
                        raise kind(message)
            case {"out_of_memory": True}:
                raise TaskEndedError(Cause.MEMORY)
            case {"os_error": int(number), "message": str(message)}:
                raise OSError(number, message)
            case {"failed": str(message)}:
                log.warning("decoding_task_failed", detail=message[:500])
        raise TaskEndedError(Cause.CRASH)

    async def _running(self) -> _Server:
        async with self._starting:
            if self._closed:
                raise BoxUnavailableError("the service is stopping")
            if self._server is None:
                server = _Server()
                self._server = server
                try:
                    await asyncio.to_thread(server.start)
                except BaseException:
                    self._server = None
                    server.close()
                    raise
            return self._server

    def _give_back(self) -> None:
        if self._server is not None and not self._busy:
            server, self._server = self._server, None
            threading.Thread(target=server.close, daemon=True).start()

    def close(self) -> None:
        """End every process; tasks under way are abandoned."""
        self._closed = True
        if self._rest is not None:
            self._rest.cancel()
        if self._server is not None:
            self._server.close()
            self._server = None


class _Server:
    """The process that starts the others, and the socket on which it is asked to."""

    def __init__(self) -> None:
        kind = socket.SOCK_SEQPACKET if sys.platform == "linux" else socket.SOCK_STREAM
        self._control, self._theirs = socket.socketpair(socket.AF_UNIX, kind)
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it and wait until it is ready. Blocks. Raises BoxUnavailableError."""
        command = [sys.executable, "-I", "-c", _BOOT, json.dumps(sys.path), str(self._theirs.fileno())]
        try:
            self._process = subprocess.Popen(  # noqa: S603 - our own interpreter and code
                command,
                env={},
                cwd="/",
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                pass_fds=(self._theirs.fileno(),),
                # Ctrl-C on the service's terminal is for the service, which ends this process itself.
                start_new_session=True,
            )
        except OSError as exc:
            raise BoxUnavailableError(f"a process cannot be started: {exc.strerror}") from exc
        self._theirs.close()
        self._control.settimeout(START_S)
        try:
            ready = json.loads(self._control.recv(MOST_ANSWER_BYTES) or b'{"failed": "it ended at once"}')
        except (OSError, ValueError) as exc:
            raise BoxUnavailableError("the process that starts them does not get ready") from exc
        if "failed" in ready:
            raise BoxUnavailableError(f"the decoders cannot be loaded: {ready['failed']}")
        self._control.setblocking(False)

    async def ask(
        self, task: str, files: Sequence[int], arguments: Sequence[Any], limits: Limits, most_bytes: int
    ) -> tuple[bytes, bytes]:
        """The bytes of the answer, and how the process ended; empty if the server has gone. Raises OSError."""
        request = json.dumps({"task": task, "limits": asdict(limits)}).encode()
        ours: list[int] = []
        theirs: list[int] = []
        try:
            try:
                theirs.append(_file_of(json.dumps(arguments).encode()))
                for _ in range(2):
                    reading, writing = os.pipe()
                    ours.append(reading)
                    theirs.append(writing)
                socket.send_fds(self._control, [request], [*theirs, *files])
            finally:
                for descriptor in theirs:
                    os.close(descriptor)
            answer, report = await asyncio.gather(_all_of(ours[0], most_bytes), _all_of(ours[1], MOST_ANSWER_BYTES))
            return answer, report
        finally:
            # After leaving early, the server takes this for "kill it".
            for descriptor in ours:
                os.close(descriptor)

    def close(self) -> None:
        """End it and its children."""
        self._control.close()
        self._theirs.close()
        if self._process is not None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()


async def _all_of(descriptor: int, most_bytes: int) -> bytes:
    """What a pipe gives until it is closed at the other end, or nothing if that is more than `most_bytes`.

    The caller closes the pipe. A transport would: uvloop's closes its file twice, and a thread may have been given the
    number in between.
    """
    os.set_blocking(descriptor, False)
    loop = asyncio.get_running_loop()
    ended = loop.create_future()
    content = bytearray()

    def read() -> None:
        try:
            chunk = os.read(descriptor, MOST_ANSWER_BYTES)
        except BlockingIOError:
            return
        except OSError:
            chunk = b""
        if not chunk:
            loop.remove_reader(descriptor)
            ended.set_result(None)
        elif len(content) <= most_bytes:
            content.extend(chunk)

    loop.add_reader(descriptor, read)
    try:
        await ended
    finally:
        loop.remove_reader(descriptor)
    return bytes(content) if len(content) <= most_bytes else b""


def _file_of(content: bytes) -> int:
    """A nameless file with this content, to be read from its start."""
    if hasattr(os, "memfd_create"):
        descriptor = os.memfd_create("arguments")
    else:
        with tempfile.TemporaryFile() as file:
            descriptor = os.dup(file.fileno())
    view = memoryview(content)
    while view:
        view = view[os.write(descriptor, view) :]
    os.lseek(descriptor, 0, os.SEEK_SET)
    return descriptor
