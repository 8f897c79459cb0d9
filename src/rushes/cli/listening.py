"""Where a process listens: an address, also one of both versions of IP, or a Unix socket."""

from __future__ import annotations

import os
import socket
import stat
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from rushes.errors import StartupError

BACKLOG = 2048
SOCKET_MODE = 0o660
"""The rights of a Unix socket: its owner and its group may connect, and no other user."""


@dataclass(frozen=True, slots=True)
class Address:
    """The address to listen on; port 0 takes a free port. The host `::` takes IPv4 too."""

    host: str
    port: int


@dataclass(frozen=True, slots=True)
class UnixSocket:
    """The path of a Unix socket to listen on."""

    path: Path


Place = Address | UnixSocket


def listening(place: Place) -> socket.socket:
    """A socket that accepts connections there. Raises StartupError."""
    return _at_address(place) if isinstance(place, Address) else _at_path(place.path.absolute())


def url_of(listener: socket.socket) -> str:
    """Where it listens: `http://host:port`, or `unix:/path`."""
    if listener.family == socket.AF_UNIX:
        return f"unix:{listener.getsockname()}"
    host, port = listener.getsockname()[:2]
    return f"http://{f'[{host}]' if ':' in host else host}:{port}"


def leave(listener: socket.socket) -> None:
    """Remove the file of a Unix socket. Called before it is closed: from then on another process may listen there."""
    if listener.family == socket.AF_UNIX and listener.fileno() != -1:
        with suppress(OSError):
            os.unlink(listener.getsockname())


def accept_the_rest(listener: socket.socket) -> list[socket.socket]:
    """The connections that wait to be accepted. When a listener is closed, the kernel resets those that still wait."""
    listener.setblocking(False)
    accepted = []
    with suppress(OSError):
        while True:
            connection, _ = listener.accept()
            connection.setblocking(False)
            accepted.append(connection)
    return accepted


def _at_address(address: Address) -> socket.socket:
    family = socket.AF_INET6 if ":" in address.host else socket.AF_INET
    # Every address, so both versions of IP; a socket of one IPv6 address takes no other.
    both = address.host == "::" and socket.has_dualstack_ipv6()
    try:
        return socket.create_server((address.host, address.port), family=family, backlog=BACKLOG, dualstack_ipv6=both)
    except OSError as exc:
        raise StartupError(
            f"cannot listen on {address.host}:{address.port}: {exc.strerror or exc}; "
            "choose another with --host and --port"
        ) from exc


def _at_path(path: Path) -> socket.socket:
    _remove_left_behind(path)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    # The file has its rights from its first moment on.
    before = os.umask(0o777 & ~SOCKET_MODE)
    try:
        listener.bind(str(path))
        listener.listen(BACKLOG)
    except OSError as exc:
        listener.close()
        raise StartupError(f"cannot listen on '{path}': {exc.strerror or exc}; choose another with --uds") from exc
    finally:
        os.umask(before)
    return listener


def _remove_left_behind(path: Path) -> None:
    """Remove the socket of a process that was killed. Raises StartupError if it is in use, or is no socket."""
    try:
        is_socket = stat.S_ISSOCK(path.lstat().st_mode)
    except OSError:
        # It does not exist, or `bind` says what is wrong.
        return
    if not is_socket:
        raise StartupError(f"cannot listen on '{path}': it exists and is not a socket; choose another with --uds")
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as client:
        try:
            client.connect(str(path))
        except ConnectionRefusedError:
            with suppress(OSError):
                path.unlink()
        except OSError:
            # Not ours to judge: `bind` says that it is in use.
            return
        else:
            raise StartupError(f"cannot listen on '{path}': another process listens there; choose another with --uds")
