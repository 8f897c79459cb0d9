from __future__ import annotations

import aiohttp
import pytest

from rushes.errors import RefusedAddress
from rushes.net.guard import AddressGuard, GuardedResolver
from tests.fixtures.resolving import Answers


@pytest.mark.parametrize("url", ["http://localhost/", "http://LOCALHOST./", "http://ip6-localhost/"])
async def test_a_name_for_this_machine_is_refused_when_it_is_resolved(url: str) -> None:
    guard = AddressGuard()
    host = guard.check_url(url).raw_host or ""
    with pytest.raises((RefusedAddress, OSError)):
        await GuardedResolver(guard).resolve(host, 80)


async def test_a_name_is_resolved_once_a_connection_so_there_is_no_second_answer_to_connect_to() -> None:
    answers = Answers(["127.0.0.1"], ["10.0.0.1"])
    connector = AddressGuard(["127.0.0.1/32"]).connector(answers)
    async with aiohttp.ClientSession(connector=connector) as session:
        with pytest.raises(aiohttp.ClientConnectorError):
            # Nobody listens on port 1; what counts is where it tried to go.
            await session.get("http://rebound.example:1/")
    assert answers.asked == 1
