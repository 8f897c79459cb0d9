"""Attacks, and how it is measured that another account is answered beside them.

Each attack runs for as long as another account makes a few requests. Their median time is compared with that of a calm
moment of the same run; what stays below `UNNOTICED_S` is calm too. The faults that this would notice took seconds.
"""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import itertools
import json
import statistics
import time
from base64 import b64encode
from collections import Counter
from collections.abc import Awaitable, Callable
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.cost.measure import forget_peak, peak_resident_bytes
from tests.fixtures.media import growing_video, noise
from tests.fixtures.service import QUICK, Service, until

UNNOTICED_S = 0.5
WORST_RATIO = 2.0
ASKED = 5
TRIES = 3
AT_ONCE = 6
LONGEST_S = 5
MOST_GROWTH_BYTES = 500 * 1024**2
"""The bodies that all accounts may have in memory, their decoding, and room."""
MIB = 1024**2


class World:
    """One service, and what attackers need of it."""

    def __init__(self, service: Service, hostile: str, victim: str, receiver: str, *, port: int = 0) -> None:
        """`port` is a proxy's, where one is between."""
        self.service = service
        self.port = port or service.port
        self.hostile = hostile
        self.victim = victim
        self.receiver = receiver
        self.webhook_id = ""
        self.job_id = ""
        self.count = itertools.count()
        self.sent = 0
        """Requests that the service has taken or refused."""
        self.statuses: Counter[int] = Counter()

    def head(self, method: str, path: str, more: str = "", *, key: str | None = None) -> bytes:
        key = self.hostile if key is None else key
        said = f"Authorization: Bearer {key}\r\n" if key else ""
        return f"{method} {path} HTTP/1.1\r\nHost: h\r\n{said}{more}\r\n".encode()

    def post(self, path: str, body: bytes, kind: str = "application/json", more: str = "") -> bytes:
        head = f"Content-Type: {kind}\r\nContent-Length: {len(body)}\r\n{more}"
        return self.head("POST", path, head) + body

    async def send(self, request: bytes, *, reads: bool = True, holds_s: float = 0.0) -> None:
        """Send bytes, read the beginning of what comes back, and hold the connection for a while."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        try:
            # A refusal may come before the last byte is taken.
            with contextlib.suppress(OSError, TimeoutError):
                async with asyncio.timeout(LONGEST_S):
                    writer.write(request)
                    await writer.drain()
                    if reads:
                        self._note(await reader.read(1000))
            self.sent += 1
            await asyncio.sleep(holds_s)
        finally:
            writer.transport.abort()

    def _note(self, answer: bytes) -> None:
        if answer:
            self.statuses[int(answer.split(b" ", 2)[1])] += 1


Attack = Callable[[World], Awaitable[None]]


def sends(make: Callable[[World], bytes], *, reads: bool = True, holds_s: float = 0.0) -> Attack:
    async def attack(world: World) -> None:
        await world.send(make(world), reads=reads, holds_s=holds_s)

    return attack


def forms(world: World, parts: int) -> bytes:
    part = b'--l\r\nContent-Disposition: form-data; name="a"\r\n\r\nx\r\n'
    return world.post("/v1/videos", part * parts, "multipart/form-data; boundary=l")


def job(world: World, **more: object) -> bytes:
    return world.post("/api/v1/videos/generations", json.dumps({**QUICK, "prompt": "A dog", **more}).encode())


def pieces(world: World, count: int) -> bytes:
    head = world.head("POST", QUOTE, "Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n")
    return head + b"1\r\n \r\n" * count + b"2\r\n{}\r\n0\r\n\r\n"


@cache
def picture_in_json() -> dict[str, object]:
    return {"type": "image_url", "image_url": {"url": "data:image/png;base64," + b64encode(PICTURE).decode()}}


@cache
def growing() -> bytes:
    with TemporaryDirectory() as folder:
        return growing_video(Path(folder) / "a.webm", (64, 48), (10_000, 6_000))


PICTURE = noise((512, 512))
BOMB = gzip.compress(b" " * 50 * MIB)
MCP = b'{"jsonrpc":"2.0","id":1,"method":"tools/list"}'
MCP_HEADERS = "Accept: application/json, text/event-stream\r\n"
QUOTE, JOBS = "/api/v1/videos/quote", "/api/v1/videos/jobs"
ATTACKS: dict[str, Attack] = {
    "paths that are scrubbed": sends(lambda w: w.head("GET", "/" + "eyJ-" * 15_000, key="")),
    "errors of many fields": sends(lambda w: w.post(QUOTE, b'{"frame_images":[' + b"1," * 900_000 + b"1]}")),
    "a name of 9 MiB": sends(lambda w: w.post(QUOTE, b'{"' + b"promp" * 1_800_000 + b'":1}')),
    "endless values": sends(lambda w: w.post(QUOTE, b'{"a":[' + b"[]," * 10_000_000 + b"1]}")),
    "deep values": sends(lambda w: w.post(QUOTE, b'{"a":' + b"[" * 5_000_000)),
    "options of 8 MiB": sends(
        lambda w: w.post("/api/v1/videos/generations", b'{"additional_params":{"a":"' + b"a" * 8 * MIB + b'"}}')
    ),
    "heads that do not end": sends(
        lambda w: w.head("GET", "/", "X: " + "a" * 60_000, key="")[:-4], holds_s=1, reads=False
    ),
    "headers without number": sends(lambda w: w.head("GET", "/", "a: b\r\n" * 40_000, key="")),
    "connections without a request": sends(lambda _: b"G", holds_s=1, reads=False),
    "bodies that do not end": sends(lambda w: w.post(QUOTE, b" " * 20 * MIB)[:-1], holds_s=1, reads=False),
    "forms of many parts": sends(lambda w: forms(w, 100_000)),
    "pictures to decode": sends(lambda w: w.post("/api/v1/uploads", PICTURE, "image/png")),
    "tiny uploads": sends(lambda w: w.post("/api/v1/uploads", b"\x89PNG\r\n\x1a\n", "image/png")),
    "event streams": sends(lambda w: w.head("GET", f"{JOBS}/{w.job_id}/events"), holds_s=1),
    "waiting requests": sends(
        lambda w: w.head("GET", f"{JOBS}/{w.job_id}", "Prefer: wait=60\r\n"), holds_s=1, reads=False
    ),
    "tests of a webhook that hangs": sends(lambda w: w.post(f"/api/v1/webhooks/{w.webhook_id}/test", b"")),
    "jobs whose webhooks hang": sends(lambda w: job(w, webhook_url=f"{w.receiver}/hang/{next(w.count)}")),
    "inputs from a host that hangs": sends(
        lambda w: job(w, input_references=[{"type": "image_url", "image_url": {"url": f"{w.receiver}/hang"}}] * 4),
        holds_s=1,
        reads=False,
    ),
    "long idempotency keys": sends(
        lambda w: w.post(QUOTE, b"{}", more=f"Idempotency-Key: {'k' * 30_000}\r\nPrefer: {'a=,' * 8_000}\r\n")
    ),
    "many query parameters": sends(lambda w: w.head("GET", f"{JOBS}?" + "status=pending&" * 4_000)),
    "wrong keys": sends(lambda w: w.head("GET", JOBS, key=f"rushes_live_{next(w.count)}")),
    "the description of the API": sends(lambda w: w.head("GET", "/openapi.json", key="")),
    "prompts in all scripts": sends(lambda w: job(w, prompt="\u202e\u0301\U0001f600\u0e49W" * 300)),
    "pictures within JSON": sends(lambda w: job(w, input_references=[picture_in_json()] * 4)),
    "a number of many digits": sends(lambda w: w.post(QUOTE, b'{"duration":' + b"9" * MIB + b"}")),
    "long requests": sends(lambda w: job(w, additional_params={"values": [[] for _ in range(12_000)]})),
    "bodies in pieces of one byte": sends(lambda w: pieces(w, 100_000)),
    "bodies that unfold": sends(lambda w: w.post(QUOTE, BOMB, more="Content-Encoding: gzip\r\n")),
    "answers that nobody reads": sends(lambda w: w.head("GET", "/api/v1/models") * 50, reads=False, holds_s=1),
    "long lists": sends(lambda w: w.head("GET", f"{JOBS}?limit=1000")),
    "searches": sends(lambda w: w.head("GET", f"{JOBS}?prompt=zebra&limit=100")),
    "far pages": sends(lambda w: w.head("GET", f"{JOBS}?skip=100000&limit=100")),
    "cursors that are none": sends(lambda w: w.head("GET", f"{JOBS}?cursor={next(w.count)}{'A' * 8_000}")),
    "ever more keys": sends(lambda w: w.post("/api/v1/user/api-keys", b'{"name":"more"}')),
    "ever more webhooks": sends(lambda w: w.post("/api/v1/webhooks", b'{"url":"https://example.com/hook"}')),
    "creates": sends(job),
    "tools for agents": sends(lambda w: w.post("/mcp", MCP, more=MCP_HEADERS)),
    "videos whose frames grow": sends(lambda w: w.post("/api/v1/uploads", growing(), "video/webm")),
}


async def median_s(ask: Callable[[], Awaitable[None]]) -> float:
    """What one of a few requests takes."""
    taken = []
    for _ in range(ASKED):
        began = time.monotonic()
        await ask()
        taken.append(time.monotonic() - began)
    return statistics.median(taken)


async def check_answered_beside(name: str, world: World, ask: Callable[[], Awaitable[None]]) -> None:
    """Fail if another account's request takes longer beside this attack, or the service holds too much memory."""

    async def attack() -> None:
        while True:
            await ATTACKS[name](world)

    forget_peak(world.service.process_id)
    before = peak_resident_bytes(world.service.process_id)
    world.statuses.clear()
    slow: list[tuple[float, float]] = []
    for _ in range(TRIES):
        calm_s = await median_s(ask)
        world.sent = 0
        attackers = [asyncio.create_task(attack()) for _ in range(AT_ONCE)]
        await until(lambda: world.sent >= AT_ONCE)
        attacked_s = await median_s(ask)
        for task in attackers:
            task.cancel()
        ended = await asyncio.gather(*attackers, return_exceptions=True)
        assert all(isinstance(error, asyncio.CancelledError) for error in ended), ended
        if attacked_s <= max(UNNOTICED_S, WORST_RATIO * calm_s):
            break
        slow.append((calm_s, attacked_s))
    assert len(slow) < TRIES, slow
    assert not world.statuses[500]
    assert peak_resident_bytes(world.service.process_id) - before < MOST_GROWTH_BYTES
