"""What one account or address holds of the service is bounded, and others go on."""

from __future__ import annotations

import asyncio
import io
from pathlib import Path

import pytest

from rushes.shared_places import BODIES, REQUESTS, TURNS, WEBHOOK_TESTS
from tests.fixtures.fronts import API, QUICK, Front, running_front
from tests.fixtures.receiver import Receiver
from tests.fixtures.service import until

GENERATIONS = f"{API}/videos/generations"
MIB = 1024**2


async def begun_body(front: Front, key: str, size_bytes: int, path: str = GENERATIONS) -> asyncio.StreamWriter:
    """A connection that has sent this much of a body, and does not go on."""
    _, writer = await asyncio.open_connection("127.0.0.1", front.port)
    writer.write(
        f"POST {path} HTTP/1.1\r\nHost: h\r\nAuthorization: Bearer {key}\r\nContent-Type: application/json\r\n"
        f"Content-Length: {60 * MIB}\r\n\r\n".encode()
    )
    writer.write(b"{" + b" " * (size_bytes - 1))
    await writer.drain()
    return writer


@pytest.mark.parametrize("path", [GENERATIONS, f"{API}/videos/quote", "/v1/videos", f"{API}/webhooks"])
async def test_unfinished_bodies_of_one_account_leave_room_for_others(tmp_path: Path, path: str) -> None:
    async with running_front(tmp_path) as front:
        hostile, other = await front.new_account("hostile"), await front.new_account("other")
        place = front.places[BODIES]
        open_ones: list[asyncio.StreamWriter] = []
        while not place.refused.total() and len(open_ones) < 20:
            open_ones.append(await begun_body(front, hostile, 16 * MIB, path))
            await asyncio.sleep(0.1)
        assert place.refused == {"account": 1}
        assert place.held <= BODIES.share
        refused = await front.ask(
            "POST",
            path,
            key=hostile,
            data=io.BytesIO(b'{"x": "' + b"y" * 20 * MIB + b'"}'),
            headers={"Content-Type": "application/json"},
        )
        assert refused.status == 429
        assert int(refused.headers["Retry-After"]) > 0
        assert (await front.ask("POST", GENERATIONS, key=other, json=QUICK)).status == 200
        for writer in open_ones:
            writer.transport.abort()
        await until(lambda: not place.held)


async def test_all_accounts_together_hold_no_more_bodies_than_there_is_room_for(tmp_path: Path) -> None:
    async with running_front(tmp_path) as front:
        keys = [await front.new_account(f"hostile-{number}") for number in range(4)]
        writers = [await begun_body(front, key, 50 * MIB) for key in keys for _ in range(2)]
        place = front.places[BODIES]
        for _ in range(200):
            if place.refused["all"]:
                break
            await asyncio.sleep(0.05)
        assert place.refused["all"] > 0
        assert place.held <= BODIES.most
        assert (await front.ask("GET", f"{API}/models", key=keys[0])).status == 200
        for writer in writers:
            writer.transport.abort()
        await until(lambda: not place.held)


async def test_an_address_without_a_key_is_slowed_down_and_a_key_from_it_is_not(tmp_path: Path) -> None:
    async with running_front(tmp_path, keyless_requests_per_minute=20) as front:
        statuses = [(await front.ask("GET", "/openapi.json", key="")).status for _ in range(30)]
        assert statuses[:20] == [200] * 20
        assert statuses[25:] == [429] * 5
        refused = await front.ask("GET", f"{API}/models", key="rushes_live_wrong")
        assert (refused.status, refused.json["code"]) == (429, "rate_limited")
        assert int(refused.headers["Retry-After"]) > 0
        assert (await front.ask("GET", f"{API}/models")).status == 200
        assert (await front.ask("GET", "/healthz", key="")).status == 200
        envelope = await front.ask("GET", "/v1/models", key="")
        assert envelope.status == 429
        assert envelope.json["error"]["type"] == "rate_limit_error"


async def test_the_address_is_the_one_that_a_trusted_proxy_names(tmp_path: Path) -> None:
    async with running_front(tmp_path, keyless_requests_per_minute=5) as front:
        for number in range(20):
            answer = await front.ask("GET", "/", key="", headers={"X-Forwarded-For": f"192.0.2.{number}"})
            assert answer.status == 200
        statuses = [
            (await front.ask("GET", "/", key="", headers={"X-Forwarded-For": "198.51.100.7"})).status for _ in range(8)
        ]
        assert statuses[-1] == 429


async def test_a_client_that_leaves_in_the_middle_of_its_body_is_not_counted_as_our_error(tmp_path: Path) -> None:
    async with running_front(tmp_path) as front:
        for path, content_type in (
            (GENERATIONS, "application/json"),
            (f"{API}/uploads", "image/png"),
            ("/v1/videos", "multipart/form-data; boundary=x"),
        ):
            _, writer = await asyncio.open_connection("127.0.0.1", front.port)
            writer.write(
                f"POST {path} HTTP/1.1\r\nHost: h\r\nAuthorization: Bearer {front.key}\r\n"
                f"Content-Type: {content_type}\r\nContent-Length: 5000\r\n\r\n--x\r\n".encode()
            )
            await writer.drain()
            await asyncio.sleep(0.3)
            writer.transport.abort()
        await asyncio.sleep(0.5)
        metrics = (await front.ask("GET", "/metrics")).body.decode()
        assert 'status="499"' in metrics
        assert 'status="500"' not in metrics


async def test_webhook_tests_of_one_account_leave_those_of_another_alone(tmp_path: Path) -> None:
    receiver = Receiver()
    await receiver.start()
    allowed = {"webhooks": ("127.0.0.0/8",)}
    async with running_front(tmp_path, net_allow=allowed) as front:
        hostile, other = await front.new_account("hostile"), await front.new_account("other")

        async def test_of(key: str, path: str) -> str:
            made = await front.ask("POST", f"{API}/webhooks", key=key, json={"url": f"{receiver.url}{path}"})
            return f"{API}/webhooks/{made.json['id']}/test"

        hanging, fine = await test_of(hostile, "/hang"), await test_of(other, "/ok")
        share = WEBHOOK_TESTS.share
        tests = [asyncio.create_task(front.ask("POST", hanging, key=hostile)) for _ in range(share)]
        await until(lambda: front.places[WEBHOOK_TESTS].held == share)
        refused = await front.ask("POST", hanging, key=hostile)
        assert (refused.status, refused.json["code"]) == (429, "account_busy")
        assert int(refused.headers["Retry-After"]) > 0
        assert (await front.ask("POST", fine, key=other)).json["status_code"] == 200
        for task in tests:
            task.cancel()
        await asyncio.gather(*tests, return_exceptions=True)
    await receiver.stop()


async def test_metrics_with_a_port_of_their_own_are_not_on_the_main_one(tmp_path: Path) -> None:
    async with running_front(tmp_path, metrics_port=9) as front:
        assert (await front.ask("GET", "/metrics")).status == 404
        assert "/metrics" not in (await front.ask("GET", "/openapi.json")).json["paths"]


async def test_shared_places_are_metrics(tmp_path: Path) -> None:
    async with running_front(tmp_path) as front:
        metrics = (await front.ask("GET", "/metrics")).body.decode()
        for name in ("heads", "bodies", "uploads", "streams"):
            assert f'rushes_shared_place_held{{place="{name}"}} 0' in metrics
            assert f'rushes_shared_place_refusals_total{{place="{name}",reason="account"}} 0' in metrics


@pytest.mark.parametrize("path", ["/videos/jobs?limit=100", "/models"])
async def test_a_flood_of_one_account_is_answered_between_requests_of_others(tmp_path: Path, path: str) -> None:
    async with running_front(tmp_path) as front:
        hostile, other = await front.new_account("hostile"), await front.new_account("other")
        turns = front.places[TURNS]
        answered: list[str] = []

        async def ask(key: str, name: str) -> None:
            assert (await front.ask("GET", f"{API}{path}", key=key)).status == 200
            answered.append(name)

        # Nobody has a turn until the flood and the other's request are all there, in this order.
        held = [turns.take(f"holder-{number}") for number in range(TURNS.most)]
        flooding = [asyncio.create_task(ask(hostile, "hostile")) for _ in range(80)]
        await until(lambda: turns.waiting == 80)
        asking = asyncio.create_task(ask(other, "other"))
        await until(lambda: turns.waiting == 81)
        for holding in held:
            holding.release()
        await asyncio.gather(asking, *flooding)
        # First come, first served would answer the whole flood before.
        assert answered.index("other") < 40
        await until(lambda: not front.places[REQUESTS].held)
        assert not turns.held
