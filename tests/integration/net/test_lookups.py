"""Names whose name servers never answer hold threads of their own, and those of one account alone."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from rushes.errors import AccountBusy
from rushes.net import lookups as module
from rushes.net.lookups import NameLookups, account
from rushes.shared_places import Declaration, SharedPlace

PLACE = Declaration("names", "Names", "names", most=20, share=10, queue=100)


@pytest.fixture
def answers(monkeypatch: pytest.MonkeyPatch) -> Iterator[threading.Event]:
    """Names that begin with `hang` are answered once this is set."""
    answered = threading.Event()

    def getaddrinfo(host: str, port: int, *_: Any, **__: Any) -> list[Any]:
        if host.startswith("hang"):
            answered.wait()
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("192.0.2.1", port))]

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    monkeypatch.setattr(module, "LONGEST_TURN_S", 0.1)
    yield answered
    answered.set()


async def resolve(lookups: NameLookups, account_id: str, host: str) -> str:
    account.set(account_id)
    return (await lookups.resolve(host, 443))[0]["host"]


async def test_names_that_hang_hold_the_share_of_their_account(answers: threading.Event) -> None:
    place = SharedPlace(PLACE)
    lookups = NameLookups(place)
    hanging = [asyncio.create_task(resolve(lookups, "hostile", f"hang-{number}")) for number in range(10)]
    await asyncio.sleep(0)
    with pytest.raises(AccountBusy, match="are being resolved"):
        await asyncio.create_task(resolve(lookups, "hostile", "fine.example"))
    assert await asyncio.create_task(resolve(lookups, "other", "fine.example")) == "192.0.2.1"
    # The threads that read files are others.
    assert await asyncio.to_thread(lambda: 1) == 1
    for task in hanging:
        task.cancel()
    await asyncio.gather(*hanging, return_exceptions=True)
    # A lookup that was given up still blocks its thread, so it still counts.
    assert place.held_by("hostile") == 10
    answers.set()
    while place.held:  # noqa: ASYNC110 - the threads end in their own time
        await asyncio.sleep(0.01)
    assert await asyncio.create_task(resolve(lookups, "hostile", "fine.example")) == "192.0.2.1"
    await lookups.close()
