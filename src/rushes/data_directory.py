"""The data directory of a service without a database server: created if it is missing, locked by one service."""

from __future__ import annotations

import contextlib
import fcntl
import os
import secrets
import stat
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
        """Where unfinished work is kept. It may be emptied while no service runs."""
        return self.root / "scratch"

    @property
    def secret_key(self) -> Path:
        """The key that signs links and encrypts secrets."""
        return self.root / "secret.key"

    def create(self) -> None:
        """Create the directory for its owner alone. Raises StartupError if it cannot be created or written."""
        for directory in (self.root, self.storage, self.scratch):
            if directory.exists() and not directory.is_dir():
                raise StartupError(f"'{directory}' is not a directory; move it away, or choose another --data-dir")
        try:
            for directory in (self.root, self.storage, self.scratch):
                directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._close_to_others()
            # Not named by the process id: containers that share the directory can have the same one.
            probe = self.root / f".writable-{secrets.token_hex(4)}"
            probe.touch()
            probe.unlink()
        except OSError as exc:
            raise StartupError(
                f"the data directory '{self.root}' cannot be written: {exc.strerror}; "
                "choose another with --data-dir or correct its rights"
            ) from exc

    def _close_to_others(self) -> None:
        """Take the rights of other users away from the directory, its folders and its files, also from older ones.

        What belongs to another user stays as it is: the operator has arranged that.
        """
        # New files of SQLite and of scratch work get their rights from this.
        os.umask(0o077)
        for directory in (self.root, self.storage, self.scratch):
            _restrict(directory, 0o700)
        for file in (*self.root.glob(f"{self.database.name}*"), self.secret_key, self.root / "rushes.lock"):
            _restrict(file, 0o600)

    def lock(self, *, wait_s: float = 0, shared: bool = False) -> DataDirectory:
        """Lock the directory until `unlock`. Waits up to `wait_s`, for a command that migrates it at this moment.

        Several processes can hold a `shared` lock at once. Raises StartupError if another process holds the lock.
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
                    "stop that one first (if it does not react, end it with kill -9; its jobs continue here), "
                    "or choose another directory with --data-dir"
                )
            threading.Event().wait(0.05)
        # Only people read the process id, so a full disk is no reason to fail here.
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
        """Release the lock."""
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def __enter__(self) -> DataDirectory:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.unlock()


def _restrict(path: Path, mode: int) -> None:
    with contextlib.suppress(FileNotFoundError):
        found = path.stat()
        if found.st_uid == os.geteuid() and stat.S_IMODE(found.st_mode) & 0o077:
            path.chmod(mode)


def _try_lock(descriptor: int, kind: int) -> bool:
    try:
        fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
