"""What a service manager such as systemd is told, over a real socket."""

from __future__ import annotations

import asyncio
import os
import secrets
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from rushes.cli.service_manager import ServiceManager
from tests.fixtures.time_limits import GENEROUS_S


@contextmanager
def manager(address: str) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
        listener.settimeout(GENEROUS_S)
        listener.bind(address.replace("@", "\0", 1))
        yield listener


@pytest.mark.parametrize("abstract", [False, True])
def test_it_is_told_that_the_service_is_ready_and_that_it_stops(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, abstract: bool
) -> None:
    address = f"@rushes-{secrets.token_hex(8)}" if abstract else str(tmp_path / "notify")
    monkeypatch.setenv("NOTIFY_SOCKET", address)
    with manager(address) as listener:
        told = ServiceManager()
        told.ready()
        told.stopping()
        assert [listener.recv(100), listener.recv(100)] == [b"READY=1", b"STOPPING=1"]
    # Children are not ours to speak for.
    assert "NOTIFY_SOCKET" not in os.environ
    told.ready()


async def test_it_is_told_again_and_again_that_the_service_is_alive(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    address = str(tmp_path / "notify")
    monkeypatch.setenv("NOTIFY_SOCKET", address)
    monkeypatch.setenv("WATCHDOG_USEC", "20000")
    monkeypatch.setenv("WATCHDOG_PID", str(os.getpid()))
    with manager(address) as listener:
        alive = asyncio.create_task(ServiceManager().keep_alive())
        for _ in range(3):
            assert await asyncio.to_thread(listener.recv, 100) == b"WATCHDOG=1"
        alive.cancel()


@pytest.mark.parametrize(
    "environment",
    [{}, {"NOTIFY_SOCKET": ""}, {"NOTIFY_SOCKET": "/nowhere/at/all"}, {"WATCHDOG_USEC": "1000"}],
)
async def test_without_a_manager_nothing_happens(monkeypatch: pytest.MonkeyPatch, environment: dict[str, str]) -> None:
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    told = ServiceManager()
    told.ready()
    told.stopping()
    await told.keep_alive()


@pytest.mark.parametrize("other", [{"WATCHDOG_PID": "1"}, {"WATCHDOG_USEC": "soon"}])
async def test_a_watchdog_of_another_process_is_not_ours(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, other: dict[str, str]
) -> None:
    monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
    for name, value in ({"WATCHDOG_USEC": "1000"} | other).items():
        monkeypatch.setenv(name, value)
    await ServiceManager().keep_alive()
