"""A storm of messages to receivers that misbehave in every way, with the service killed in its midst."""

from __future__ import annotations

import asyncio
import time
from contextlib import ExitStack
from typing import Any

from rushes.webhooks.outbox import OWED, UNNOTIFIED
from tests.chaos.dose import dose
from tests.e2e.conftest import Start
from tests.fixtures.receiver import ALLOWED, Receiver, receiving
from tests.fixtures.service import Client, Service

MESSAGES = dose(150, 2000)
GIVE_UP_S = dose(60, 600)
AT_ONCE = 50
TRIES = 5
TAKEN = ("/ok", "/flaky/1", "/flaky/2", "/huge", "/ok")
REFUSED = ("/500", "/307", "/410", "/hang", "/cut", "/garbage", "/404")
SETTINGS: dict[str, Any] = {
    **ALLOWED,
    "RUSHES_WEBHOOK_RETRIES_S": "0.05,0.2,0.5,1",
    "RUSHES_WEBHOOK_TIMEOUT_S": "1",
    "RUSHES_TEST_HOLD_S": "3600",
}


async def test_every_message_of_a_storm_is_delivered_or_given_up(start: Start) -> None:
    service = start(**SETTINGS)
    with ExitStack() as stack:
        receivers = [stack.enter_context(receiving()) for _ in range(3)]
        paths = (*TAKEN, *REFUSED)
        addresses = [
            f"{receivers[number // len(paths) % len(receivers)].url}{paths[number % len(paths)]}"
            for number in range(MESSAGES)
        ]
        key = service.key().text
        for first in range(0, MESSAGES, AT_ONCE):
            async with Client(service, key) as client:
                await asyncio.gather(*(_change(client, url) for url in addresses[first : first + AT_ONCE]))
            if first == MESSAGES // 2 // AT_ONCE * AT_ONCE:
                # In its midst: some are delivered, some under way, some not yet messages.
                service.kill()
                service.start()
        await _all_settled(service)
        _check(service, receivers)


async def _change(client: Client, url: str) -> None:
    """A change to tell of, without a video to draw."""
    job_id = (await client.create(webhook_url=url))["job_id"]
    assert (await client.cancel(job_id)).status == 200


async def _all_settled(service: Service) -> None:
    give_up = time.monotonic() + GIVE_UP_S
    while owed := service.rows(OWED):
        assert time.monotonic() < give_up, f"{len(owed)} of {MESSAGES} messages are still owed"
        await asyncio.sleep(0.1)


def _check(service: Service, receivers: list[Receiver]) -> None:
    assert service.rows(UNNOTIFIED) == []
    found = service.rows("SELECT id, shown_url, state, attempts, job_id FROM webhook_deliveries")
    assert len({job_id for *_, job_id in found}) == len(found) == MESSAGES
    taken = {one.id for receiver in receivers for one in tuple(receiver.received) if one.status == 200
             and one.path.startswith(("/ok", "/flaky", "/huge"))}  # fmt: skip
    for message_id, url, state, attempts, _ in found:
        path = "/" + url.partition("//")[2].partition("/")[2]
        assert state == ("delivered" if path in TAKEN else "dead"), (url, state)
        assert (message_id in taken) == (state == "delivered")
        if path in REFUSED and path != "/410":
            assert attempts == TRIES, (url, attempts)
