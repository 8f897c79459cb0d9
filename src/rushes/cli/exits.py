"""The exit codes of all commands."""

from __future__ import annotations

from enum import IntEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rushes.client import ClientError


class Exit(IntEnum):
    """What an exit code says to a script."""

    OK = 0
    FAILED = 1
    USAGE = 2
    NOT_ALLOWED = 3
    NOT_FOUND = 4
    UNAVAILABLE = 5
    CONFLICT = 6
    LIMITED = 7
    WAITED_TOO_LONG = 124
    INTERRUPTED = 130


MEANING = {
    Exit.OK: "done",
    Exit.FAILED: "the job failed, or its video could not be saved",
    Exit.USAGE: "wrong usage, or a request that the service refuses (400, 413, 415, 422)",
    Exit.NOT_ALLOWED: "no API key, or a key that is not accepted (401, 403)",
    Exit.NOT_FOUND: "no such job, model or video (404, 410)",
    Exit.UNAVAILABLE: "the service cannot be reached or cannot serve now (5xx)",
    Exit.CONFLICT: "the job was cancelled, or its status does not allow this (409)",
    Exit.LIMITED: "a spend or rate limit (402, 429)",
    Exit.WAITED_TOO_LONG: "--timeout has passed; the job continues",
    Exit.INTERRUPTED: "interrupted (Ctrl-C)",
}

EPILOG = "Exit codes:\n" + "\n".join(f"{code:>3}  {meaning}" for code, meaning in MEANING.items())


def exit_of(error: ClientError) -> Exit:
    """The exit code for an error of the client."""
    from rushes import client

    match error:
        case client.BadRequest() | client.AlreadyThere():
            return Exit.USAGE
        case client.NotAllowed():
            return Exit.NOT_ALLOWED
        case client.NotFound():
            return Exit.NOT_FOUND
        case client.Conflict():
            return Exit.CONFLICT
        case client.LimitReached():
            return Exit.LIMITED
        case client.WaitedTooLong():
            return Exit.WAITED_TOO_LONG
        case _:
            return Exit.UNAVAILABLE
