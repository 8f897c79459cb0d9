from __future__ import annotations

import socket

import pytest

from rushes.cli.process import Address, listening
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
