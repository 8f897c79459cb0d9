"""The process that starts one process for each file to decode.

It is started with an empty environment and holds no secret, so its children inherit none. It has loaded the decoders
already, so a child starts in milliseconds. It never reads a file or an argument itself: only the child does.
"""

from __future__ import annotations

import contextlib
import gc
import importlib
import json
import os
import pkgutil
import re
import select
import signal
import socket
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from rushes.decoding.sandbox import Limits, enter
from rushes.errors import RushesError

LONGEST_REQUEST_BYTES: Final = 16 * 1024
MOST_FILES: Final = 200
FIXED_FILES: Final = 3
"""Each request brings these before its own files: the arguments, where the answer goes, where the end is reported."""
NICENESS: Final = 5
_TASK: Final = re.compile(r"([a-z_]+(?:\.[a-z_]+)+):([a-z_]+)")

PRELOADED: Final = (
    "av",
    "PIL.Image",
    "PIL.ImageOps",
    "PIL.JpegImagePlugin",
    "PIL.MpoImagePlugin",
    "PIL.PngImagePlugin",
    "PIL.TiffImagePlugin",
    "PIL.WebPImagePlugin",
)
"""A child cannot open files, so what it imports must be there already."""


@dataclass(slots=True)
class _Child:
    report: int
    ends_at_s: float
    is_late: bool = False
    is_unwanted: bool = False


class ForkServer:
    """Serves requests of one socket until the other side closes it."""

    def __init__(self, control: socket.socket) -> None:
        self._control = control
        self._children: dict[int, _Child] = {}
        self._poll = select.poll()
        self._woken, self._wake = os.pipe()
        os.set_blocking(self._wake, False)
        os.set_blocking(self._woken, False)

    def run(self) -> None:
        """Serve. Every child is killed at the end."""
        signal.set_wakeup_fd(self._wake, warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, _nothing)
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        self._poll.register(self._control, select.POLLIN)
        self._poll.register(self._woken, select.POLLIN)
        try:
            while True:
                for descriptor, _ in self._poll.poll(self._wait_ms()):
                    if descriptor == self._control.fileno():
                        if not self._serve():
                            return
                    elif descriptor == self._woken:
                        with contextlib.suppress(BlockingIOError):
                            os.read(self._woken, 4096)
                    else:
                        # The reader has gone away, so no one waits for the answer.
                        for child in self._children.values():
                            child.is_unwanted = child.is_unwanted or child.report == descriptor
                now_s = time.monotonic()
                for child in self._children.values():
                    child.is_late = child.is_late or now_s >= child.ends_at_s
                self._kill(lambda child: child.is_late or child.is_unwanted)
                self._reap()
        finally:
            self._kill(lambda _: True)

    def _wait_ms(self) -> float | None:
        ends_at_s = min((child.ends_at_s for child in self._children.values() if not child.is_late), default=None)
        return None if ends_at_s is None else max(0.0, 1000 * (ends_at_s - time.monotonic()))

    def _serve(self) -> bool:
        content, files, _, _ = socket.recv_fds(self._control, LONGEST_REQUEST_BYTES, MOST_FILES)
        if not content:
            return False
        request = json.loads(content)
        arguments, answer, report, *rest = files
        limits = Limits(**request["limits"])
        try:
            task = find_task(request["task"])
            process_id = os.fork()
            if process_id == 0:
                _be_child(task, arguments, answer, rest, limits)
        except Exception as error:  # noqa: BLE001 - one request must not end the others
            _report(report, {"failed": f"{type(error).__name__}: {error}"[:500]})
        else:
            self._children[process_id] = _Child(report, time.monotonic() + limits.wall_s)
            self._poll.register(report, 0)
        for descriptor in (arguments, answer, *rest):
            os.close(descriptor)
        return True

    def _kill(self, chosen: Callable[[_Child], bool]) -> None:
        for process_id, child in self._children.items():
            if chosen(child):
                # It is ours and not reaped yet, so the number is still its own.
                os.kill(process_id, signal.SIGKILL)

    def _reap(self) -> None:
        while self._children:
            process_id, status = os.waitpid(-1, os.WNOHANG)
            if process_id == 0:
                return
            child = self._children.pop(process_id, None)
            if child is not None:
                self._poll.unregister(child.report)
                _report(child.report, {"exit": os.waitstatus_to_exitcode(status), "late": child.is_late})


def find_task(name: str) -> Callable[..., Any]:
    """The function that `package.module:function` names. Raises ValueError, ImportError."""
    match = _TASK.fullmatch(name)
    if match is None:
        raise ValueError(f"'{name}' names no task")
    task: Callable[..., Any] = getattr(importlib.import_module(match[1]), match[2])
    return task


def _be_child(task: Callable[..., Any], arguments: int, answer: int, files: Sequence[int], limits: Limits) -> None:
    """Do one task in this process, and end it."""
    code = 1
    try:
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        _close_all_but({0, 1, 2, arguments, answer, *files})
        with contextlib.suppress(OSError), open("/proc/self/oom_score_adj", "w") as score:
            # If memory runs out, this process goes before any other.
            score.write("1000")
        with open(arguments, "rb") as file:
            given = json.load(file)
        protection = enter(limits)
        os.write(answer, _outcome_of(task, files, given, protection.to_json()))
        code = 0
    except Exception as error:  # noqa: BLE001 - said to the process that asks
        with contextlib.suppress(OSError):
            os.write(answer, _line({"failed": f"{type(error).__name__}: {error}"[:500]}))
    finally:
        os._exit(code)


def _outcome_of(task: Callable[..., Any], files: Sequence[int], given: Sequence[Any], protection: object) -> bytes:
    """The answer: a line of JSON, and then the bytes if the task returns bytes."""
    try:
        value = task(files, *given)
    except RushesError as error:
        return _line({"error": type(error).__name__, "message": error.message})
    except MemoryError:
        return _line({"out_of_memory": True})
    except OSError as error:
        return _line({"os_error": error.errno or 0, "message": str(error)[:500]})
    except Exception as error:  # noqa: BLE001 - said to the process that asks
        return _line({"failed": f"{type(error).__name__}: {error}"[:500]})
    if isinstance(value, bytes):
        return _line({"bytes": len(value), "protection": protection}) + value
    return _line({"value": value, "protection": protection})


def _line(content: object) -> bytes:
    return json.dumps(content).encode() + b"\n"


def _close_all_but(kept: set[int]) -> None:
    first = 0
    for descriptor in sorted(kept):
        # An empty range would close everything: Python hands its end to the kernel as -1.
        if first < descriptor:
            os.closerange(first, descriptor)
        first = descriptor + 1
    os.closerange(first, max(first + 1, os.sysconf("SC_OPEN_MAX")))


def _report(descriptor: int, content: object) -> None:
    with contextlib.suppress(OSError):
        os.write(descriptor, json.dumps(content).encode())
    os.close(descriptor)


def _nothing(_number: int, _frame: object) -> None:
    """Signals wake the poll by the pipe that is set for them."""


def self_test(_files: Sequence[int]) -> None:
    """A task that does nothing; its answer says which walls stand."""


def _preload() -> None:
    """Load all that decoding imports: a child could not."""
    for name in PRELOADED:
        importlib.import_module(name)
    import av
    from PIL import Image

    # PyAV loads most of its parts when they are first used.
    for module in pkgutil.walk_packages(av.__path__, "av."):
        if module.name != "av.__main__":
            importlib.import_module(module.name)

    # Opening the first image loads the usual formats, and the first metadata of it more.
    Image.preinit()
    Image.new("RGB", (1, 1)).getexif().get_ifd(0x8769)


def main(descriptor: int) -> None:
    """Load the decoders, say that all is ready, and serve."""
    signal.signal(signal.SIGPIPE, signal.SIG_IGN)
    # Python has chosen a locale in it.
    os.environ.clear()  # noqa: TID251 - nothing is read
    with contextlib.suppress(OSError):
        os.nice(NICENESS)
    with socket.socket(fileno=descriptor) as control:
        try:
            _preload()
        except Exception as error:  # noqa: BLE001 - the service says why decoding does not work
            control.send(json.dumps({"failed": f"{type(error).__name__}: {error}"[:500]}).encode())
            return
        gc.collect()
        gc.freeze()
        control.send(b"{}")
        with contextlib.suppress(ConnectionError):
            ForkServer(control).run()
