"""What a process may no longer do once it holds a stranger's file: open, connect, start, signal, or grow.

Python has no calls for this, so they are made by ctypes. The numbers are those of the kernel's interface, which never
change: `man 2 prctl`, `man 2 seccomp`, `man 7 landlock`.
"""

from __future__ import annotations

import ctypes
import os
import platform
import resource
import struct
import sys
from dataclasses import asdict, dataclass
from typing import Final

from rushes.decoding.system_calls import ALLOWED, ARCHITECTURES

MIB: Final = 1024**2


@dataclass(frozen=True, slots=True)
class Limits:
    """What one process may use: private memory, seconds of computing, seconds in all, bytes written to one file."""

    memory_bytes: int = 512 * MIB
    cpu_s: int = 10
    wall_s: float = 30
    file_bytes: int = 0

    @classmethod
    def for_file(cls, size_bytes: int) -> Limits:
        """What decoding a file of this size may use: 5 s and 1 s for each MiB, but at most 30 s of computing."""
        cpu_s = min(30, 5 + size_bytes // MIB)
        return cls(cpu_s=cpu_s, wall_s=15 + 2 * cpu_s)


@dataclass(frozen=True, slots=True)
class Protection:
    """Which walls of the kernel stand around a decoding process, besides its limits and its empty environment."""

    no_new_privileges: bool
    seccomp: bool
    landlock: bool

    def to_json(self) -> dict[str, bool]:
        """A plain object."""
        return asdict(self)


_PR_SET_PDEATHSIG = 1
_PR_SET_DUMPABLE = 4
_PR_SET_SECCOMP = 22
_PR_SET_NO_NEW_PRIVS = 38
_SECCOMP_MODE_FILTER = 2
_SIGKILL = 9

_LANDLOCK_CREATE_RULESET = 444
_LANDLOCK_RESTRICT_SELF = 446
_LANDLOCK_VERSION = 1
"""The flag that asks for the version of the interface."""
_ADDRESS_SPACE_ROOM_BYTES = 128 * MIB
"""Mapped files and shared memory beside the private memory."""

_LOAD_WORD, _JUMP_EQUAL, _RETURN = 0x20, 0x15, 0x06
_KILL, _REFUSE, _ALLOW = 0x80000000, 0x00050000 | 1, 0x7FFF0000
"""Kill the process; fail the call as "operation not permitted"; go on."""


def enter(limits: Limits) -> Protection:
    """Give up everything but computing on the files that are open. It cannot be undone, and is for a child process.

    A wall that this kernel lacks is left out, and the answer says so. The limits hold everywhere.
    """
    _limit(limits)
    if sys.platform != "linux":
        return Protection(no_new_privileges=False, seccomp=False, landlock=False)
    libc = ctypes.CDLL(None, use_errno=True)
    libc.prctl(_PR_SET_PDEATHSIG, _SIGKILL, 0, 0, 0)
    libc.prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)
    no_new_privileges = libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0
    landlock = _enter_landlock(libc)
    # Only now: a Landlock ruleset is an open file. Seccomp comes last, because it refuses all of these calls.
    resource.setrlimit(resource.RLIMIT_NOFILE, (0, 0))
    return Protection(no_new_privileges=no_new_privileges, landlock=landlock, seccomp=_enter_seccomp(libc))


def _limit(limits: Limits) -> None:
    now_bytes = _address_space_bytes()
    for what, most in (
        (resource.RLIMIT_DATA, limits.memory_bytes),
        (resource.RLIMIT_AS, now_bytes + limits.memory_bytes + _ADDRESS_SPACE_ROOM_BYTES),
        (resource.RLIMIT_FSIZE, limits.file_bytes),
        (resource.RLIMIT_NPROC, 0),
        (resource.RLIMIT_CORE, 0),
    ):
        _, hard = resource.getrlimit(what)
        most = most if hard == resource.RLIM_INFINITY else min(most, hard)
        resource.setrlimit(what, (most, most))
    # A second between the two: the first ends the process by a signal that says why, the second kills it.
    resource.setrlimit(resource.RLIMIT_CPU, (limits.cpu_s, limits.cpu_s + 1))


def _address_space_bytes() -> int:
    try:
        with open("/proc/self/statm", "rb") as file:
            return int(file.read().split()[0]) * os.sysconf("SC_PAGE_SIZE")
    except OSError:
        return 512 * MIB


def _enter_landlock(libc: ctypes.CDLL) -> bool:
    """Refuse every file, port and signal beyond this process."""
    version = libc.syscall(_LANDLOCK_CREATE_RULESET, None, ctypes.c_size_t(0), _LANDLOCK_VERSION)
    if version < 1:
        return False
    # Rights were added with the versions 2, 3 and 5, ports with 4, signals and abstract sockets with 6.
    files = 0x1FFF | (0x2000 if version >= 2 else 0) | (0x4000 if version >= 3 else 0) | (0x8000 if version >= 5 else 0)
    words = [files, *([0x3] if version >= 4 else []), *([0x3] if version >= 6 else [])]
    attributes = struct.pack(f"{len(words)}Q", *words)
    ruleset = libc.syscall(_LANDLOCK_CREATE_RULESET, attributes, ctypes.c_size_t(len(attributes)), 0)
    if ruleset < 0:
        return False
    try:
        return bool(libc.syscall(_LANDLOCK_RESTRICT_SELF, ruleset, 0) == 0)
    finally:
        os.close(ruleset)


def _enter_seccomp(libc: ctypes.CDLL) -> bool:
    """Let only those system calls through that computing on open files takes."""
    architecture = ARCHITECTURES.get(platform.machine())
    if architecture is None:
        return False
    column, audit = architecture
    numbers = [row[column] for row in ALLOWED.values()]
    instructions = [
        _instruction(_LOAD_WORD, 4),
        _instruction(_JUMP_EQUAL, audit, if_true=1),
        _instruction(_RETURN, _KILL),
        _instruction(_LOAD_WORD, 0),
    ]
    for index, number in enumerate(numbers):
        instructions.append(_instruction(_JUMP_EQUAL, number, if_true=len(numbers) - index))
    instructions += [_instruction(_RETURN, _REFUSE), _instruction(_RETURN, _ALLOW)]
    code = ctypes.create_string_buffer(b"".join(instructions))
    program = ctypes.create_string_buffer(struct.pack("HP", len(instructions), ctypes.addressof(code)))
    return bool(libc.prctl(_PR_SET_SECCOMP, _SECCOMP_MODE_FILTER, program, 0, 0) == 0)


def _instruction(code: int, value: int, *, if_true: int = 0) -> bytes:
    return struct.pack("HBBI", code, if_true, 0, value)
