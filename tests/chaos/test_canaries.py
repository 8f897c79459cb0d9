"""Secrets that are told from anything else, sent where they belong and where they do not: none may turn up again.

`RUSHES_CHAOS_SEED=...` plays the same requests again, `RUSHES_CHAOS=1` many more.
"""

from __future__ import annotations

import asyncio
import base64
import json
import os
import random
import secrets
from collections.abc import Awaitable, Callable, Iterator
from typing import Any
from urllib.parse import quote, urlsplit

import pytest

from tests.chaos.dose import dose
from tests.e2e.conftest import Start
from tests.fixtures.google import OMNI
from tests.fixtures.service import Answer, Client, Service
from tests.fixtures.upstreams.beside import beside
from tests.fixtures.upstreams.echoing import FORMS, EchoingGemini, EchoingOpenaiShape

REQUESTS = dose(150, 2000)
GENERATIONS = "/api/v1/videos/generations"
JOBS = "/api/v1/videos/jobs"
WEBHOOKS = "/api/v1/webhooks"
FARM = "farm/plain-model"


class Canaries:
    """Secrets of this run: `needles` has what of each would give it away, by the name of what it was used as."""

    def __init__(self) -> None:
        self.needles: dict[bytes, str] = {}

    def new(self, what: str, *, plain: bool = False) -> str:
        """A new secret; unless it is to be `plain`, with characters that every escaping changes."""
        core = f"canary{secrets.token_hex(12)}"
        self.watch(what, core)
        return core if plain else f'{core}+/=%&"<{core[::-1]}'

    def watch(self, what: str, core: str) -> None:
        """Have this text looked for, as it is and as base64 and hexadecimals make it."""
        self.needles[core.encode()] = what
        self.needles[core.encode().hex().encode()] = f"{what}, in hexadecimals"
        for offset in range(3):
            encoded = base64.b64encode(b"\0" * offset + core.encode())
            self.needles[encoded[4:-4]] = f"{what}, in base64"

    def around(self, content: bytes) -> list[bytes]:
        """What stands around each secret that some bytes give away, to find out how it came there."""
        places = [(content.find(needle), len(needle)) for needle in self.needles if needle in content]
        return [content[max(0, place - 100) : place + length + 60] for place, length in places]

    def found_in(self, content: bytes) -> set[str]:
        """Which secrets some bytes give away."""
        return {what for needle, what in self.needles.items() if needle in content}


@pytest.fixture
def gemini() -> Iterator[EchoingGemini]:
    with beside(EchoingGemini()) as upstream:
        yield upstream


@pytest.fixture
def farm() -> Iterator[EchoingOpenaiShape]:
    with beside(EchoingOpenaiShape(models=("plain-model",))) as upstream:
        yield upstream


class Caller:
    """Somebody who sends requests of every kind, secrets among them; what is answered must give none away."""

    def __init__(self, client: Client, key: str, canaries: Canaries, chance: random.Random, other_url: str) -> None:
        self._client = client
        self._key = key
        self._canaries = canaries
        self._chance = chance
        self._other_url = other_url
        self.job_ids: list[str] = []
        self.kinds: tuple[Callable[[], Awaitable[Answer]], ...] = (
            self.generate, self.generate, self.generate, self.generate_wrongly, self.with_media, self.without_right,
            self.look, self.look, self.exchange, self.follow_a_link, self.misplaced, self.as_an_id, self.malformed,
            self.be_told, self.register,
        )  # fmt: skip

    async def generate(self) -> Answer:
        fields: dict[str, Any] = {"model": self._chance.choice((OMNI, FARM)), "prompt": "a red kite"}
        fields["prompt"] += self._chance.choice(("", " #echo:submit", " #echo:submit", " #echo:poll", " #echo:poll"))
        if self._chance.random() < 0.5:
            fields["byok_api_key"] = self._canaries.new("a caller's own provider key")
        answer = await self._client.generate(**fields)
        self.job_ids.append(answer.ok()["job_id"])
        return answer

    async def be_told(self) -> Answer:
        token = self._canaries.new("a token in a webhook_url", plain=True)
        url = f"{self._other_url}/hook?token={token}"
        answer = await self._client.generate(model=FARM, prompt="a red kite", webhook_url=url)
        self.job_ids.append(answer.ok()["job_id"])
        return answer

    async def register(self) -> Answer:
        made = await self._client.post(WEBHOOKS, json={"url": f"{self._other_url}/hook"})
        signing = await self._client.get(f"{WEBHOOKS}/signing-secret")
        for what, answer in (("a webhook's secret", made), ("the secret that signs", signing)):
            self._canaries.watch(what, answer.json()["secret"].removeprefix("whsec_"))
        await self._client.post(f"{WEBHOOKS}/{made.json()['id']}/test")
        seen = await self._client.get(f"{WEBHOOKS}/{made.json()['id']}")
        await self._client.call("DELETE", f"{WEBHOOKS}/{made.json()['id']}")
        return seen

    async def generate_wrongly(self) -> Answer:
        own = self._canaries.new("a caller's own provider key")
        wrong: dict[str, Any] = self._chance.choice(
            (
                {"byok_api_key": own, "duration": 99},
                {"byok_api_key": own, "model": "nothing-such"},
                {"byok_api_key": [own]},
                {"byok_api_key": {"key": own}},
                {"byok_api_key": own + " with spaces"},
                {"byok_api_key": json.dumps({"type": "service_account", "private_key": own})},
                {"byok_api_key": json.dumps({"type": "authorized_user", "refresh_token": own})},
                {"byok_api_key": own, "additional_params": {"byok_api_key": own + "2"}},
                {"additional_params": {"byok_api_key": [own]}},
                {"additional_params": {"api_key": own}},
                {"additional_params": {"headers": {"Authorization": f"Bearer {own}"}}},
                {"api_key": own},
                {"byok_apikey": own},
                {"byok_api_key": own, "model": "animatic/storyboard", "seed": own},
                {"byok_api_key": own, "fallback_models": ["nothing-such"]},
            )
        )
        return await self._client.generate(**{"prompt": "x", "model": OMNI, **wrong})

    async def with_media(self) -> Answer:
        secret = quote(self._canaries.new("a secret in a media URL"), safe="")
        host = urlsplit(self._other_url).netloc
        url = self._chance.choice(
            (
                f"https://user:{secret}@media.example/x.png", f"http://{secret}@127.0.0.1/x.png",
                f"http://{host}/x.png?X-Amz-Signature={secret}", f"http://{host}/404?token={secret}",
                f"ftp://media.example/?sig={secret}", f"http://10.0.0.1/?key={secret}", f"http://[::1/?{secret}",
            )
        )  # fmt: skip
        return await self._client.generate(prompt="x", model=OMNI, input_image=url)

    async def without_right(self) -> Answer:
        forged = self._canaries.new("a key that is not one of ours", plain=True)
        headers = self._chance.choice(
            (
                {"Authorization": f"Bearer rushes_live_{forged}"},
                {"Authorization": f"Bearer {forged}"},
                {"Authorization": f"Basic {base64.b64encode(f'user:{forged}'.encode()).decode()}"},
                {"Authorization": forged},
                {"X-API-Key": forged},
                {"Cookie": f"access_token={forged}"},
                {"Authorization": f"Bearer {forged}.{forged}.{forged}"},
            )
        )
        path = self._chance.choice((JOBS, f"{JOBS}/job_none", "/api/v1/models", "/api/v1/user/usage"))
        return await self._client.get(path, plain=True, headers=headers)

    async def look(self) -> Answer:
        job_id = self._chance.choice(self.job_ids or ["job_none"])
        method, path = self._chance.choice(
            (
                ("GET", f"{JOBS}/{job_id}"), ("GET", JOBS), ("GET", f"{JOBS}/{job_id}/content"), ("GET", "/readyz"),
                ("POST", f"{JOBS}/{job_id}/cancel"), ("GET", "/metrics"), ("GET", "/api/v1/models"),
                ("GET", f"{JOBS}/{job_id}/timeline"), ("GET", f"{WEBHOOKS}/deliveries"),
                ("GET", "/api/v1/user/usage"), ("GET", "/openapi.json"),
            )
        )  # fmt: skip
        return await self._client.call(method, path)

    async def exchange(self) -> Answer:
        if self._chance.random() < 0.5:
            forged = self._canaries.new("a key that is not one of ours", plain=True)
            return await self._client.post(
                "/api/v1/auth/token", plain=True, data={"username": forged, "password": forged}
            )
        given = await self._client.post("/api/v1/auth/api-key", plain=True, headers={"X-API-Key": self._key})
        token = given.ok()["access_token"]
        self._canaries.watch("an access token", token[-24:])
        return await self._client.get(JOBS, plain=True, headers={"Authorization": f"Bearer {token}"})

    async def follow_a_link(self) -> Answer:
        for job_id in self._chance.sample(self.job_ids, min(len(self.job_ids), 5)):
            job = await self._client.job(job_id)
            if job["result"] is not None:
                url = job["result"]["url"]
                self._canaries.watch("the signature of a link", url.rpartition("=")[2])
                await self._client.get(url, plain=True)
                return await self._client.get(url.replace("0.mp4", "1.mp4"), plain=True)
        return await self._client.get(JOBS)

    async def misplaced(self) -> Answer:
        key = quote(self._key, safe="")
        path = self._chance.choice(
            (
                f"{JOBS}?api_key={key}", f"{JOBS}?key={key}&limit=1", f"{JOBS}?cursor={key}", f"{JOBS}?limit={key}",
                f"{JOBS}?status={key}", f"{JOBS}?created_after={key}", f"/nothing?access_token={key}",
                f"{GENERATIONS}?key={key}", f"/media/job_none/0.mp4?expires=1&signature={key}", f"/docs?key={key}",
            )
        )  # fmt: skip
        return await self._client.get(
            path, headers={"Referer": f"https://x.example/?key={key}", "User-Agent": self._key}
        )

    async def as_an_id(self) -> Answer:
        key = quote(self._key, safe="")
        path = self._chance.choice(
            (f"{JOBS}/{key}", f"{JOBS}/{key}/content", f"/api/v1/models/google/{key}", f"/{key}")
        )
        return await self._client.get(path)

    async def malformed(self) -> Answer:
        own = self._canaries.new("a secret in a body that cannot be read")
        text = json.dumps({"prompt": "x", "byok_api_key": own})
        body, kind = self._chance.choice(
            (
                (text[:-3], "application/json"),
                (text.replace(":", " ", 1), "application/json"),
                (f"[{text}]", "a/b+json"),
                (f"byok_api_key={own}", "application/x-www-form-urlencoded"),
                (text, "text/plain"),
                (json.dumps(own), "a/b+json"),
                (text.encode("utf-16"), "application/json"),
                (f"{own}: x", "application/json"),
            )
        )
        return await self._client.post(GENERATIONS, data=body, headers={"Content-Type": kind})


@pytest.mark.timeout(dose(900, 3600))
async def test_no_secret_turns_up_where_it_does_not_belong(
    start: Start, gemini: EchoingGemini, farm: EchoingOpenaiShape
) -> None:
    canaries = Canaries()
    seed = os.environ.get("RUSHES_CHAOS_SEED", "rushes")
    print(f"RUSHES_CHAOS_SEED={seed}")
    service = start(**settings(canaries, gemini, farm))
    key = service.key(test=False).text
    canaries.watch("a key of ours", key.rpartition("_")[2])
    async with Client(service, key) as client:
        caller = Caller(client, key, canaries, random.Random(seed), gemini.stranger_url)
        for number in range(REQUESTS):
            kind = caller.kinds[number % len(caller.kinds)]
            answer = await kind()
            assert answer.status < 500 or answer.status == 503, (kind.__name__, answer.body)
            shown = f"{dict(answer.headers)}".encode() + answer.body
            assert canaries.found_in(shown) <= may_show(kind.__name__), (
                kind.__name__,
                answer.status,
                canaries.around(shown),
            )
        for job_id in caller.job_ids:
            ended = json.dumps({**await client.reached(job_id), "result": None}).encode()
            assert canaries.found_in(ended) == set(), canaries.around(ended)
        await provoke_the_server(service, canaries)
    service.stop()

    assert gemini.echoes + farm.echoes > len(FORMS)
    kept = {path: path.read_bytes() for path in service.data_dir.rglob("*") if path.is_file()}
    assert any(path.name.startswith("rushes.db") for path in kept)
    for path, content in {**kept, service.log: service.log.read_bytes()}.items():
        assert canaries.found_in(content) == set(), (path, canaries.around(content))
    for one in gemini.stranger.requests:
        seen = f"{one.path} {one.query} {one.headers}".encode() + one.body
        # A stranger is told what the caller's own URL says, and who hears of a job how to see its videos.
        told = {"a token in a webhook_url", "the signature of a link"} if one.path == "/hook" else set()
        assert canaries.found_in(seen) <= {"a secret in a media URL", *told}, seen
    assert any(one.path == "/hook" for one in gemini.stranger.requests)


def settings(canaries: Canaries, gemini: EchoingGemini, farm: EchoingOpenaiShape) -> dict[str, Any]:
    """A service with a secret in every place that takes one."""
    return {
        "RUSHES_LOG_LEVEL": "debug",
        "RUSHES_POLL_INTERVAL_S": 0.03,
        "RUSHES_NET_ALLOW__RESULTS": "127.0.0.1/32",
        "RUSHES_NET_ALLOW__INPUTS": "127.0.0.1/32",
        "RUSHES_NET_ALLOW__WEBHOOKS": "127.0.0.1/32",
        "RUSHES_SECRET_KEYS": canaries.new("our secret key", plain=True) + "0" * 32,
        "GEMINI_API_KEY": canaries.new("the operator's key at Google"),
        "RUSHES_PROVIDERS__GOOGLE__BASE_URL": gemini.base_url,
        "RUSHES_PROVIDERS__FARM__KIND": "openai",
        "RUSHES_PROVIDERS__FARM__BASE_URL": f"{farm.base_url}/v1",
        "RUSHES_PROVIDERS__FARM__API_KEY": canaries.new("the operator's key for a server of their own"),
        "RUSHES_PROVIDERS__FARM__MODELS": json.dumps([{"id": "plain-model"}]),
    }


def may_show(kind: str) -> set[str]:
    """What an answer may show: jobs their links, a refusal the id that it was asked for."""
    if kind == "as_an_id":
        return {"a key of ours"}
    return {"the signature of a link"} if kind in ("look", "follow_a_link", "exchange") else set()


async def provoke_the_server(service: Service, canaries: Canaries) -> None:
    """Requests that no HTTP client sends: what the server itself says of them is seen in its log."""
    secret = canaries.new("a secret in a request that is not HTTP", plain=True)
    for request in (
        f"GET /?key={secret} HTTP/9.9\r\n\r\n",
        f"GET {JOBS} HTTP/1.1\r\nHost: x\r\nAuthorization Bearer {secret}\r\n\r\n",
        f"POST {GENERATIONS} HTTP/1.1\r\nHost: x\r\nContent-Length: x{secret}\r\n\r\n",
        f"{secret}\r\n\r\n",
    ):
        reader, writer = await asyncio.open_connection("127.0.0.1", service.port)
        writer.write(request.encode())
        writer.write_eof()
        answer = await reader.read()
        writer.close()
        assert canaries.found_in(answer) == set(), answer
