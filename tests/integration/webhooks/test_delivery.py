"""One try, against a real receiver over a real socket."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator

import pytest
from standardwebhooks.webhooks import Webhook

from rushes.clock import SystemClock
from rushes.net.client import HttpClient, Sink
from rushes.webhooks.delivery import Sender
from rushes.webhooks.signing import new_secret
from tests.fixtures.receiver import Receiver

SECRET = new_secret()
BODY = b'{"type":"video.completed"}'


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    one = Receiver()
    await one.start()
    yield one
    await one.stop()


@pytest.fixture
async def sender() -> AsyncIterator[Sender]:
    client = HttpClient(allow={Sink.WEBHOOKS: ["127.0.0.0/8"]})
    yield Sender(client, SystemClock())
    await client.close()


async def test_a_message_arrives_as_it_was_signed(sender: Sender, receiver: Receiver) -> None:
    result = await sender.send(f"{receiver.url}/ok?token=t", "msg_1", BODY, [SECRET], account_id="acc_1")
    assert (result.status, result.error, result.is_success) == (200, None, True)
    (received,) = receiver.received
    assert Webhook(SECRET).verify(received.body, dict(received.headers)) == json.loads(BODY)
    assert (received.id, received.query) == ("msg_1", {"token": "t"})


@pytest.mark.parametrize("status", [301, 302, 307, 308, 400, 404, 410, 429, 500, 503])
async def test_anything_but_2xx_is_a_failure_and_no_redirect_is_followed(
    sender: Sender, receiver: Receiver, status: int
) -> None:
    result = await sender.send(f"{receiver.url}/{status}", "msg_1", BODY, [SECRET], account_id="acc_1")
    assert result.status == status
    assert f"the receiver answered {status}" in (result.error or "")
    assert [one.path for one in receiver.received] == [f"/{status}"]


@pytest.mark.parametrize(
    ("path", "complaint"),
    [
        ("/cut", "closed the connection without an answer"),
        ("/garbage", "is not HTTP"),
    ],
)
async def test_a_receiver_that_gives_no_answer_is_a_failure_that_says_so(
    sender: Sender, receiver: Receiver, path: str, complaint: str
) -> None:
    result = await sender.send(f"{receiver.url}{path}?token=hush", "msg_1", BODY, [SECRET], account_id="acc_1")
    assert result.status is None
    assert complaint in (result.error or "")
    assert "hush" not in str(result)


async def test_a_receiver_that_hangs_is_left_after_its_time(receiver: Receiver) -> None:
    client = HttpClient(allow={Sink.WEBHOOKS: ["127.0.0.0/8"]})
    result = await Sender(client, SystemClock(), attempt_s=0.3).send(
        f"{receiver.url}/hang", "msg_1", BODY, [SECRET], account_id="acc_1"
    )
    assert (result.status, result.error) == (None, "the receiver did not answer within 0.3 s")
    await client.close()


async def test_an_answer_without_end_is_taken_for_its_status(sender: Sender, receiver: Receiver) -> None:
    result = await sender.send(f"{receiver.url}/huge", "msg_1", BODY, [SECRET], account_id="acc_1")
    assert result.is_success


async def test_nobody_listening_is_a_failure(sender: Sender, receiver: Receiver) -> None:
    await receiver.stop()
    result = await sender.send(f"{receiver.url}/ok", "msg_1", BODY, [SECRET], account_id="acc_1")
    assert (result.status, result.error, result.refused) == (None, "the receiver could not be reached", False)
    await receiver.start()


async def test_an_address_that_is_not_allowed_is_refused_before_it_is_called(receiver: Receiver) -> None:
    client = HttpClient()
    sender = Sender(client, SystemClock())
    for host in ("127.0.0.1", "localhost", "nowhere.invalid"):
        result = await sender.send(
            f"http://{host}:{receiver.url.rpartition(':')[2]}/ok", "msg_1", BODY, [SECRET], account_id="acc_1"
        )
        # A name may lead elsewhere tomorrow, so its message is tried again.
        assert result.refused == (host == "127.0.0.1")
        assert result.error == f"'{host}' is refused: it does not lead to a public internet address"
    assert receiver.received == []
    await client.close()


@pytest.mark.parametrize(
    ("given", "seconds"),
    [("120", 120), ("0", 0), ("soon", None), ("-1", 0), ("9" * 30, 86_400), (None, None)],
)
async def test_what_the_receiver_asks_for_is_understood(
    sender: Sender, receiver: Receiver, given: str | None, seconds: float | None
) -> None:
    receiver.retry_after = given
    result = await sender.send(f"{receiver.url}/503", "msg_1", BODY, [SECRET], account_id="acc_1")
    assert result.retry_after_s == seconds


async def test_a_date_to_wait_for_is_understood(sender: Sender, receiver: Receiver) -> None:
    receiver.retry_after = "Fri, 31 Dec 9999 23:59:59 GMT"
    assert (
        await sender.send(f"{receiver.url}/503", "msg_1", BODY, [SECRET], account_id="acc_1")
    ).retry_after_s == 86_400
    receiver.retry_after = "Fri, 31 Dec 1999 23:59:59 GMT"
    assert (await sender.send(f"{receiver.url}/503", "msg_1", BODY, [SECRET], account_id="acc_1")).retry_after_s == 0
