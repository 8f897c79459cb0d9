"""One account's backlog and a provider that hangs, and somebody else's jobs beside them."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from tests.e2e.conftest import Start
from tests.fixtures.service import Client, until
from tests.fixtures.upstreams.openai_shape import OpenaiShape

BACKLOG = 10_000
HUNG = 40
"""More than the worker has room for."""
COPIES = """
WITH RECURSIVE number(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM number WHERE n < ?)
INSERT INTO jobs ({columns}) SELECT {values} FROM jobs, number WHERE jobs.id = ?
"""


@asynccontextmanager
async def hanging() -> AsyncIterator[str]:
    """The URL of a server that takes every connection and never says a word."""
    writers: list[asyncio.StreamWriter] = []

    async def never(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writers.append(writer)

    server = await asyncio.start_server(never, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        server.close()
        for writer in writers:
            writer.close()


def own_server(name: str, url: str, **model: Any) -> dict[str, str]:
    at = f"RUSHES_PROVIDERS__{name.upper()}__"
    return {
        f"{at}KIND": "openai",
        f"{at}FLAVOR": "openai",
        f"{at}BASE_URL": f"{url}/v1",
        f"{at}MODELS": json.dumps([{"id": "wan-2.2", **model}]),
    }


async def test_neither_a_backlog_nor_a_hung_provider_delays_others(start: Start) -> None:
    async with OpenaiShape() as upstream, hanging() as hung_url:
        service = start(
            RUSHES_MOST_IN_FLIGHT=16,
            **own_server("hung", hung_url),
            **own_server("gpu", upstream.base_url, concurrency=1),
        )
        many, few = service.key(account="many", test=False), service.key(account="few", test=False)
        async with Client(service, many.text) as client:
            hangs = {"prompt": "a lighthouse", "provider": "hung", "model": "wan-2.2"}
            for answer in await asyncio.gather(*(client.generate(**hangs) for _ in range(HUNG))):
                answer.ok()
            await until(lambda: at_work(service, "hung") == 14)
            first = (await client.generate(prompt="a lighthouse", provider="gpu", model="wan-2.2")).ok()["job_id"]
            copy_into_queue(service, first)
        async with Client(service, few.text) as client:
            asked = [{"prompt": "a boat", "provider": "gpu", "model": "wan-2.2"}] * 3
            job_ids = [(await client.generate(**fields)).ok()["job_id"] for fields in asked]
            await client.completed(job_ids)
        begun = begun_since(service, job_ids[0])
        # The last of three begins when at most one more of the others has begun than they have themselves.
        assert begun.index(job_ids[2]) <= 2 + 4, begun
        assert at_work(service, "hung") == 14


def at_work(service: Any, provider: str) -> int:
    ((count,),) = service.rows(f"SELECT COUNT(*) FROM jobs WHERE served_provider = '{provider}' AND lease IS NOT NULL")
    return int(count)


def begun_since(service: Any, job_id: str) -> list[str]:
    """The jobs of one server in the order in which they were begun after this one was accepted."""
    return [
        row[0]
        for row in service.rows(
            "SELECT job_id FROM job_events JOIN jobs ON jobs.id = job_id"
            " WHERE job_events.state = 'submitting' AND served_provider = 'gpu' AND job_events.seq >"
            f" (SELECT MIN(seq) FROM job_events WHERE job_id = '{job_id}') ORDER BY job_events.seq"
        )
    ]


def copy_into_queue(service: Any, job_id: str) -> None:
    """Let 10,000 jobs like this one wait behind it, as if they had been asked for."""
    columns = [row[1] for row in service.rows("PRAGMA table_info(jobs)") if row[1] != "seq"]
    fresh = {
        "id": "'job_' || printf('%024d', n)", "turn": "turn + n", "state": "'queued'", "status": "'pending'",
        "lease": "NULL", "worker_id": "NULL", "in_slot": "0", "started_at": "NULL", "completed_at": "NULL",
        "outputs": "NULL", "provider_video_id": "NULL", "reserved_microusd": "0", "spent_microusd": "NULL",
    }  # fmt: skip
    values = ", ".join(fresh.get(column, column) for column in columns)
    service.change(COPIES.format(columns=", ".join(columns), values=values), BACKLOG, job_id)
    service.change("UPDATE lanes SET ready = ready + ? WHERE lane LIKE 'gpu/%'", BACKLOG)
    service.change(
        "UPDATE job_counts SET jobs = jobs + ? WHERE status = 'pending'"
        " AND account_id = (SELECT account_id FROM jobs WHERE id = ?)",
        BACKLOG, job_id,
    )  # fmt: skip
