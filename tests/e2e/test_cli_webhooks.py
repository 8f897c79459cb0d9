"""`rushes webhooks` as scripts use it, against the real service and a real receiver."""

from __future__ import annotations

import json
import os
import subprocess

import pytest

from tests.e2e.conftest import Start
from tests.fixtures.receiver import ALLOWED, receiving
from tests.fixtures.service import Client, Service, until
from tests.fixtures.time_limits import GENEROUS_S
from tests.fixtures.warm import run_warm


@pytest.fixture
def telling(start: Start) -> Service:
    return start(**ALLOWED, RUSHES_WEBHOOK_RETRIES_S="0.01", RUSHES_TEST_HOLD_S=3600)


async def test_a_receiver_is_registered_tested_and_its_dead_message_sent_again(telling: Service) -> None:
    key = telling.key().text

    def rushes(*arguments: str) -> subprocess.CompletedProcess[str]:
        env = {"PATH": os.defpath, "RUSHES_BASE_URL": telling.url, "RUSHES_API_KEY": key}
        return run_warm(["webhooks", *arguments], cwd=telling.folder, env=env, timeout_s=GENEROUS_S)

    with receiving() as receiver:
        made = rushes("create", f"{receiver.url}/500", "--event", "video.cancelled")
        assert made.stdout.startswith("whsec_")
        (listed,) = json.loads(rushes("list", "--json").stdout)["webhooks"]
        webhook_id = listed["id"]
        tested = rushes("test", webhook_id)
        assert (tested.returncode, "the receiver answered 500" in tested.stdout) == (1, True)
        async with Client(telling, key) as client:
            job = await client.create()
            assert (await client.cancel(job["job_id"])).status == 200
        await until(lambda: telling.rows("SELECT state FROM webhook_deliveries") == [("dead",)])
        dead = rushes("deliveries", "--status", "dead")
        delivery_id = dead.stdout.splitlines()[1].split()[0]
        assert "video.cancelled" in dead.stdout
        assert "2 failed" in rushes("list").stdout
        telling.change("UPDATE webhook_endpoints SET url = ?", f"{receiver.url}/ok")
        assert rushes("redeliver", delivery_id).stdout == f"sending {delivery_id} again\n"
        await until(lambda: telling.rows("SELECT state FROM webhook_deliveries") == [("delivered",)])
        assert rushes("redeliver", "msg_none").returncode == 4
