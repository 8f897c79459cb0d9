"""Who acts: set once where a request or command is let in, read where an act is recorded."""

from __future__ import annotations

import os
import pwd
import socket
from contextvars import ContextVar
from dataclasses import dataclass
from enum import StrEnum

from rushes import origin


class ActorKind(StrEnum):
    """What an act was done with."""

    KEY = "key"
    """An API key, by the API or the console."""
    PERSON = "person"
    """A person who has signed in through the identity provider."""
    OPERATOR = "operator"
    """A command on the machine of the service."""
    SERVICE = "service"
    """The service itself, by its settings or its schedule."""


@dataclass(frozen=True, slots=True)
class Actor:
    """Who acts. `id` is a key's id or a user of the machine; `is_test`: with a test key."""

    kind: ActorKind
    id: str
    account_id: str | None = None
    name: str | None = None
    is_test: bool = False
    address: str | None = None
    request_id: str | None = None


SERVICE = Actor(ActorKind.SERVICE, "service")

_current: ContextVar[Actor] = ContextVar("actor", default=SERVICE)


def actor() -> Actor:
    """Who acts in this task. Read it before a transaction, which may run in another thread."""
    return _current.get()


def act_as(who: Actor) -> None:
    """Record what this task does from now on as done by `who`."""
    _current.set(who)


def act_as_key(key_id: str, account_id: str, *, is_test: bool, address: str | None) -> None:
    """The same for a request with an API key from this network address."""
    request = origin.current.get()
    request_id = None if request is None else request.request_id
    _current.set(Actor(ActorKind.KEY, key_id, account_id, is_test=is_test, address=address, request_id=request_id))


def act_as_operator() -> None:
    """The same for a command of this machine: the user that runs it, and the machine's name."""
    number = os.getuid()
    try:
        user = pwd.getpwuid(number).pw_name
    except KeyError:
        # Containers often run under a number that has no name.
        user = str(number)
    _current.set(Actor(ActorKind.OPERATOR, user, name=f"{user}@{socket.gethostname()}"))
