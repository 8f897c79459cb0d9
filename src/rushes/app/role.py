"""Which part of the service a process is."""

from __future__ import annotations

from enum import StrEnum

from rushes.errors import StartupError
from rushes.settings import Settings


class Role(StrEnum):
    """What a process does: all of it, answering callers alone, or carrying jobs out alone."""

    ALL = "all"
    API = "api"
    WORKER = "worker"

    @property
    def answers(self) -> bool:
        """Whether it answers callers."""
        return self is not Role.WORKER

    @property
    def works(self) -> bool:
        """Whether it carries jobs out, delivers webhooks and tidies up."""
        return self is not Role.API


COMMANDS = {Role.ALL: "rushes serve", Role.API: "rushes serve --no-worker", Role.WORKER: "rushes worker"}


def check_role(settings: Settings, role: Role) -> None:
    """Raises StartupError if these settings do not let a process be no more than this part."""
    if role is Role.ALL:
        return
    if settings.database_url is None:
        raise StartupError(
            f"`{COMMANDS[role]}` needs Postgres, because SQLite is for one process: set RUSHES_DATABASE_URL, or run "
            "`rushes serve`, which does everything"
        )
    if role is Role.WORKER and settings.public_url is None:
        raise StartupError(
            "`rushes worker` needs RUSHES_PUBLIC_URL, the address that callers use: links in webhooks are made from "
            "it, and a worker has no request that would tell"
        )
