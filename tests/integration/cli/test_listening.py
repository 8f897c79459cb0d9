from __future__ import annotations

import socket
import stat
from pathlib import Path

import pytest

from rushes.cli.listening import Address, UnixSocket, accept_the_rest, leave, listening, url_of
from rushes.errors import StartupError


def test_it_listens_where_it_is_told_to() -> None:
    with listening(Address("127.0.0.1", 0)) as listener:
        host, port = listener.getsockname()
        assert host == "127.0.0.1"
        socket.create_connection((host, port)).close()


def test_a_taken_port_is_a_start_up_error_that_says_what_to_do() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(StartupError, match=f"cannot listen on 127.0.0.1:{port}: .*--port"):
            listening(Address("127.0.0.1", port))


def test_an_address_that_is_not_ours_is_a_start_up_error() -> None:
    with pytest.raises(StartupError, match=r"cannot listen on 192\.0\.2\.1:8080"):
        listening(Address("192.0.2.1", 8080))


@pytest.mark.skipif(not socket.has_dualstack_ipv6(), reason="there is no IPv6 here")
def test_every_ipv6_address_is_every_ipv4_address_too() -> None:
    with listening(Address("::", 0)) as listener:
        port = listener.getsockname()[1]
        for host in ("127.0.0.1", "::1"):
            socket.create_connection((host, port)).close()


def test_a_unix_socket_is_for_its_owner_and_group_and_goes_when_it_is_left(tmp_path: Path) -> None:
    path = tmp_path / "rushes.sock"
    with listening(UnixSocket(path)) as listener:
        assert stat.S_IMODE(path.lstat().st_mode) == 0o660
        assert url_of(listener) == f"unix:{path}"
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(str(path))
        leave(listener)
    assert not path.exists()


def test_the_unix_socket_of_a_killed_process_is_replaced(tmp_path: Path) -> None:
    path = tmp_path / "rushes.sock"
    listening(UnixSocket(path)).close()
    with listening(UnixSocket(path)), socket.socket(socket.AF_UNIX) as client:
        client.connect(str(path))


def test_a_unix_socket_that_cannot_be_had_is_a_start_up_error(tmp_path: Path) -> None:
    path = tmp_path / "rushes.sock"
    with listening(UnixSocket(path)), pytest.raises(StartupError, match="another process listens there"):
        listening(UnixSocket(path))
    file = tmp_path / "notes.txt"
    file.write_text("mine")
    with pytest.raises(StartupError, match=r"is not a socket.*--uds"):
        listening(UnixSocket(file))
    assert file.read_text() == "mine"
    for wrong in (tmp_path / "missing" / "a.sock", tmp_path / ("x" * 200)):
        with pytest.raises(StartupError, match=r"cannot listen on .*--uds"):
            listening(UnixSocket(wrong))


def test_connections_that_wait_are_accepted_before_the_listener_is_closed() -> None:
    with listening(Address("127.0.0.1", 0)) as listener:
        clients = [socket.create_connection(listener.getsockname()) for _ in range(3)]
        accepted = accept_the_rest(listener)
        assert {one.getpeername() for one in accepted} == {one.getsockname() for one in clients}
        assert accept_the_rest(listener) == []
        for one in (*clients, *accepted):
            one.close()
