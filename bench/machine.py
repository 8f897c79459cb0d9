"""The machine that a run is measured on: its cores, its disk, its versions, and how much memory a process takes."""

from __future__ import annotations

import os
import platform
import sys
import time
from contextlib import suppress
from importlib.metadata import version
from pathlib import Path

PACKAGES = ("rushes", "fastapi", "starlette", "uvicorn", "uvloop", "httptools", "pydantic")
PEAK_IS_NOW = "5"
"""Written to a process's clear_refs, it lets the peak of its memory start again from what it uses now."""

_CORES = sorted(os.sched_getaffinity(0))
SERVER_CORE = _CORES[0]
LOAD_CORE = _CORES[-1]


def use_load_core() -> None:
    """Keep this process, which makes the load, off the server's core."""
    os.sched_setaffinity(0, {LOAD_CORE})


def describe() -> dict[str, str]:
    """What a reader must know to compare two runs."""
    processor = next(
        (line.partition(":")[2].strip() for line in _lines("/proc/cpuinfo") if line.startswith("model name")),
        platform.machine(),
    )
    busy = ", ".join(f"{load:.1f}" for load in os.getloadavg())
    return {
        "processor": f"{processor}, {len(_CORES)} cores to use (server on {SERVER_CORE}, load on {LOAD_CORE})",
        "system": f"{platform.system()} {platform.release()}",
        "load before the run": f"{busy} (1, 5 and 15 minutes)",
        "Python": sys.version.split()[0],
        **{name: version(name) for name in PACKAGES},
    }


def file_system(folder: Path) -> str:
    """The kind of file system that `folder` is on."""
    mounts = [line.split()[1:3] for line in _lines("/proc/mounts")]
    holding = [(point, kind) for point, kind in mounts if folder.resolve().is_relative_to(point)]
    return max(holding, key=lambda mount: len(mount[0]))[1]


def fsync_times_s(folder: Path, count: int) -> list[float]:
    """How long each of `count` appended and synced pages took: what no durable write can be faster than."""
    path = folder / "fsync-probe"
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    page = bytes(4096)
    times = []
    try:
        for _ in range(count):
            began = time.perf_counter()
            os.write(descriptor, page)
            os.fsync(descriptor)
            times.append(time.perf_counter() - began)
    finally:
        os.close(descriptor)
        path.unlink()
    return times


def computed_s(process_id: int) -> float:
    """How long the process has computed so far, user and system, all of its threads; known to 10 ms."""
    # The name stands in brackets and may hold anything; what follows it is fixed.
    fields = _lines(f"/proc/{process_id}/stat")[0].rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def computed_with_children_s(process_id: int) -> float:
    """The same for the process and those that it has started."""
    total_s = computed_s(process_id)
    for child in children(process_id):
        with suppress(FileNotFoundError):  # it has just ended
            total_s += computed_s(child)
    return total_s


def core_busy_s(core: int) -> float:
    """How long this core has computed so far, for whomever."""
    (line,) = (line for line in _lines("/proc/stat") if line.startswith(f"cpu{core} "))
    user, nice, system, _idle, _io, interrupts, soft_interrupts, *_ = (int(field) for field in line.split()[1:])
    return (user + nice + system + interrupts + soft_interrupts) / os.sysconf("SC_CLK_TCK")


def children(process_id: int) -> list[int]:
    """The processes that this one has started and that still run."""
    return [int(child) for child in Path(f"/proc/{process_id}/task/{process_id}/children").read_text().split()]


def resident_mb(process_id: int) -> float:
    """How much memory the process uses now, in MB."""
    return _status_mb(process_id, "VmRSS")


def peak_mb(process_id: int) -> float:
    """The most it has used since `forget_peak`, in MB."""
    return _status_mb(process_id, "VmHWM")


def forget_peak(process_id: int) -> None:
    """Let the peak start again from what the process uses now."""
    Path(f"/proc/{process_id}/clear_refs").write_text(PEAK_IS_NOW)


def _status_mb(process_id: int, field: str) -> float:
    for line in _lines(f"/proc/{process_id}/status"):
        name, _, value = line.partition(":")
        if name == field:
            return int(value.split()[0]) * 1024 / 1e6
    raise LookupError(f"process {process_id} has no {field}")


def _lines(path: str) -> list[str]:
    return Path(path).read_text().splitlines()
