"""The data directory of an embedded service: made if need be, and locked, so that only one service uses it."""

from __future__ import annotations

import contextlib
import fcntl
import os
import secrets
import threading
import time
from pathlib import Path
from types import TracebackType

from rushes.errors import StartupError


class DataDirectory:
    """Paths inside one data directory, and its lock."""

    def __init__(self, root: Path) -> None:
        self.root = root.absolute()
        self._lock: int | None = None

    @property
    def database(self) -> Path:
        """The SQLite file."""
        return self.root / "rushes.db"

    @property
    def storage(self) -> Path:
        """Where videos are kept."""
        return self.root / "storage"

    @property
    def scratch(self) -> Path:
        """Where unfinished work is put; may be emptied while nothing runs."""
        return self.root / "scratch"

    @property
    def secret_key(self) -> Path:
        """The key that signs links and encrypts secrets."""
        return self.root / "secret.key"

    def create(self) -> None:
        """Make the directory, readable by its owner alone. Raises StartupError if it cannot be made or written."""
        for directory in (self.root, self.storage, self.scratch):
            if directory.exists() and not directory.is_dir():
                raise StartupError(f"'{directory}' is not a directory; move it away, or choose another --data-dir")
        try:
            for directory in (self.root, self.storage, self.scratch):
                directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            # Not by our process id: in containers that share the directory we may all have the same.
            probe = self.root / f".writable-{secrets.token_hex(4)}"
            probe.touch()
            probe.unlink()
        except OSError as exc:
            raise StartupError(
                f"the data directory '{self.root}' cannot be written: {exc.strerror}; "
                "choose another with --data-dir or correct its rights"
            ) from exc

    def lock(self, *, wait_s: float = 0, shared: bool = False) -> DataDirectory:
        """Hold the directory until `unlock`, waiting up to `wait_s` for a command that is just migrating it.

        `shared` lets others hold it that say so too.

        Raises StartupError if another process holds it.
        """
        path = self.root / "rushes.lock"
        try:
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as exc:
            raise StartupError(f"the lock file '{path}' cannot be opened: {exc.strerror}") from exc
        give_up = time.monotonic() + wait_s
        while not _try_lock(descriptor, fcntl.LOCK_SH if shared else fcntl.LOCK_EX):
            if time.monotonic() >= give_up:
                holder = os.pread(descriptor, 20, 0).decode("ascii", "replace").strip()
                os.close(descriptor)
                process = f", process {holder}" if holder.isdigit() else ""
                raise StartupError(
                    f"the data directory '{self.root}' is in use by another rushes{process}; "
                    "stop that one first (if it does not react, end it with kill -9: its jobs go on here), "
                    "or choose another directory with --data-dir"
                )
            threading.Event().wait(0.05)
        # For people alone; a full disk is told of by whatever needs room first.
        with contextlib.suppress(OSError):
            os.ftruncate(descriptor, 0)
            os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
        self._lock = descriptor
        return self

    def is_locked(self) -> bool:
        """Whether a process holds the directory."""
        try:
            with DataDirectory(self.root).lock():
                return False
        except StartupError:
            return True

    def unlock(self) -> None:
        """Let the lock go."""
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def __enter__(self) -> DataDirectory:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.unlock()


def _try_lock(descriptor: int, kind: int) -> bool:
    try:
        fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
