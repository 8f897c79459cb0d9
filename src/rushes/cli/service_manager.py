"""Messages to systemd, or another service manager of its kind: ready, stopping, and still alive.

The protocol is one datagram for each message (sd_notify(3)). Without a manager nothing is sent.
"""

from __future__ import annotations

import asyncio
import os
import socket
from contextlib import suppress


class ServiceManager:
    """The manager that has started this process, if there is one."""

    def __init__(self) -> None:
        # Not settings: a manager sets these for the process that it starts, and children must not inherit them.
        self._address = os.environ.pop("NOTIFY_SOCKET", "")  # noqa: TID251
        watchdog_us = os.environ.pop("WATCHDOG_USEC", "")  # noqa: TID251
        meant_for = os.environ.pop("WATCHDOG_PID", "")  # noqa: TID251
        is_ours = meant_for in ("", str(os.getpid()))
        self._watchdog_s = int(watchdog_us) / 1_000_000 if watchdog_us.isdecimal() and is_ours else 0.0

    def ready(self) -> None:
        """Requests are answered, or jobs are run."""
        self._tell("READY=1")

    def stopping(self) -> None:
        """The process has begun to stop."""
        self._tell("STOPPING=1")

    async def keep_alive(self) -> None:
        """Say that the event loop runs, twice in the manager's limit. Never returns if it has one."""
        while self._address and self._watchdog_s > 0:
            self._tell("WATCHDOG=1")
            await asyncio.sleep(self._watchdog_s / 2)

    def _tell(self, message: str) -> None:
        if not self._address:
            return
        # An abstract address begins with a NUL, which the variable writes as @.
        address = f"\0{self._address[1:]}" if self._address.startswith("@") else self._address
        # A manager that does not listen is no reason to stop.
        with suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as manager:
            manager.setblocking(False)
            manager.sendto(message.encode(), address)
