"""MCP at /mcp and over stdio, with the official client of both generations of the protocol."""

from __future__ import annotations

import asyncio
import base64
import io
import json
import sys
import uuid
from pathlib import Path
from typing import Any, Literal

import httpx2
import pytest
from mcp import Client as McpClient
from mcp import StdioServerParameters
from mcp.client.extension import ClaimContext, ClientExtension, ResultClaim
from mcp.shared.exceptions import MCPError
from mcp_types import CallToolResult, Result, Tool

from rushes.api.mcp.tools import TOOLS
from tests.e2e.conftest import Start
from tests.fixtures.google import DEFAULT, submits
from tests.fixtures.mcp import ACCEPT, REVISIONS, TASKS, called, losing, opened, said, text_of
from tests.fixtures.media import image
from tests.fixtures.service import QUICK, Client, Key, Service
from tests.fixtures.time_limits import GENEROUS_S
from tests.fixtures.upstreams.gemini import Gemini

RUSHES = Path(sys.executable).with_name("rushes")
CALM: dict[str, Any] = {"prompt": "a lighthouse", **QUICK}


@pytest.mark.parametrize("mode", REVISIONS)
async def test_an_agent_makes_waits_for_and_shows_a_video(
    service: Service, key: Key, client: Client, mode: str
) -> None:
    async with opened(service.url, key.text, mode=mode) as agent:
        assert agent.protocol_version == REVISIONS[mode]
        listed = (await agent.list_tools()).tools
        assert [tool.name for tool in listed] == [tool.name for tool in TOOLS]
        assert listed[0].annotations is not None
        assert listed[0].annotations.read_only_hint
        models = await agent.call_tool("list_models", {"capability": "image_to_video"})
        assert "animatic/storyboard" in {one["id"] for one in models.structured_content["models"]}
        one = await agent.call_tool("list_models", {"model": "animatic/storyboard"})
        assert "360p" in one.structured_content["models"][0]["allowed"]["resolution"]
        quote = await agent.call_tool("quote_video", CALM)
        assert quote.structured_content["cost"] == 0
        started = await agent.call_tool("generate_video", CALM)
        job_id = started.structured_content["job_id"]
        while (shown := await agent.call_tool("get_video", {"job_id": job_id, "wait_s": 50})).structured_content[
            "status"
        ] != "completed":
            assert not shown.is_error
        page = await agent.call_tool("list_videos", {"limit": 1})
    text, link, poster = shown.content
    assert link.type == "resource_link"
    assert link.mime_type == "video/mp4"
    assert text.type == "text"
    assert link.uri in text.text
    film = await client.get(link.uri, plain=True)
    assert (film.status, film.body[4:8]) == (200, b"ftyp")
    assert poster.type == "image"
    assert base64.b64decode(poster.data).startswith(b"\xff\xd8")
    assert shown.structured_content.keys() == (await client.job(job_id)).keys()
    assert [job["job_id"] for job in page.structured_content["jobs"]] == [job_id]
    following = await called(client, "list_videos", limit=1, cursor=page.structured_content["next_cursor"])
    assert job_id not in json.dumps(following)


async def test_a_client_of_2025_03_reads_the_link_in_the_text(client: Client) -> None:
    job_id = (await client.create())["job_id"]
    params = {"name": "get_video", "arguments": {"job_id": job_id, "wait_s": 50}}
    message = {"jsonrpc": "2.0", "id": 7, "method": "tools/call", "params": params}
    await client.reached(job_id)
    headers = {**ACCEPT, "MCP-Protocol-Version": "2025-03-26"}
    result = (await client.post("/mcp", json=message, headers=headers)).ok()["result"]
    assert {one["type"] for one in result["content"]} == {"text", "image"}
    assert "/media/" in result["content"][0]["text"]


class Task(Result):
    """What `generate_video` answers a client that takes tasks."""

    result_type: Literal["task"] = "task"
    task_id: str
    status: str


class Tasks(ClientExtension):
    """A client that takes tasks, and keeps the first it gets."""

    identifier = TASKS

    def __init__(self) -> None:
        self.task: Task | None = None

    def claims(self) -> list[ResultClaim[Task]]:
        return [ResultClaim(result_type="task", model=Task, resolve=self._keep)]

    async def _keep(self, task: Task, _context: ClaimContext) -> CallToolResult:
        self.task = task
        return CallToolResult(
            content=[], structured_content={"job_id": "", "status": "pending", "progress": 0, "usage": {"cost": 0}}
        )


async def test_a_client_that_takes_tasks_gets_the_job_as_one(service: Service, key: Key, client: Client) -> None:
    tasks = Tasks()
    async with opened(service.url, key.text, extensions=[tasks]) as agent:
        await agent.call_tool("generate_video", CALM)
    assert tasks.task is not None
    job_id = tasks.task.task_id
    assert (await client.job(job_id))["job_id"] == job_id
    while (answer := (await said(client, "tasks/get", tasks=True, taskId=job_id)).ok()["result"])[
        "status"
    ] == "working":
        assert answer["resultType"] == "complete"
        await asyncio.sleep(0.05)
    assert answer["status"] == "completed"
    assert {one["type"] for one in answer["result"]["content"]} == {"text", "resource_link", "image"}
    assert answer["result"]["isError"] is False
    assert answer["result"]["structuredContent"]["job_id"] == job_id
    # What has ended cannot be cancelled; the specification has that acknowledged, and the status says so.
    assert (await said(client, "tasks/cancel", tasks=True, taskId=job_id)).ok()["result"]["resultType"] == "complete"
    assert (await said(client, "tasks/get", tasks=True, taskId=job_id)).ok()["result"]["status"] == "completed"


async def test_a_task_can_be_cancelled_and_a_failed_job_is_a_result_that_is_an_error(
    held: Service, service: Service, client: Client
) -> None:
    async with Client(held, held.key().text) as waiting:
        task_id = (await called(waiting, "generate_video", tasks=True, **CALM))["taskId"]
        await said(waiting, "tasks/cancel", tasks=True, taskId=task_id)
        cancelled = (await said(waiting, "tasks/get", tasks=True, taskId=task_id)).ok()["result"]
        assert (cancelled["status"], (await waiting.job(task_id))["error_code"]) == ("cancelled", "cancelled")
    job_id = (await client.create(model="animatic/filtered", resolution="720p"))["job_id"]
    await client.reached(job_id)
    failed = (await said(client, "tasks/get", tasks=True, taskId=job_id)).ok()["result"]
    assert (failed["status"], failed["result"]["isError"]) == ("completed", True)
    assert "content_filtered" in failed["result"]["content"][0]["text"]


async def test_tasks_are_for_clients_that_declare_them_and_for_known_ids(client: Client) -> None:
    job_id = (await client.create())["job_id"]
    assert "job_id" in (await called(client, "generate_video", **CALM))["structuredContent"]
    for method in ("tasks/get", "tasks/update", "tasks/cancel"):
        undeclared = await said(client, method, taskId=job_id)
        assert (undeclared.status, undeclared.json()["error"]["code"]) == (400, -32021)
        unknown = await said(client, method, tasks=True, taskId="job_000000000000000000000000")
        assert (unknown.status, unknown.json()["error"]["code"]) == (400, -32602)
    assert (await said(client, "tasks/update", tasks=True, taskId=job_id, inputResponses={})).status == 200


class Agent:
    """A script that knows a service by the list of its tools alone: their fields, hints and results."""

    def __init__(self, tools: list[Tool]) -> None:
        self.tools = tools

    def buying(self) -> str:
        """The tool with a bound on its cost and a key against buying twice."""
        return self._the_one(lambda tool: {"max_cost_usd", "idempotency_key"} <= self._fields(tool))

    def pricing(self) -> str:
        """The tool that takes the same and only reads."""
        wanted = self._fields(next(tool for tool in self.tools if tool.name == self.buying()))
        wanted = wanted - {"max_cost_usd", "idempotency_key"}
        return self._the_one(
            lambda tool: (
                self._fields(tool) == wanted and tool.annotations is not None and tool.annotations.read_only_hint
            )
        )

    def waiting(self) -> tuple[str, int]:
        """The tool that waits, and for how long at most."""
        name = self._the_one(lambda tool: "wait_s" in self._fields(tool))
        tool = next(tool for tool in self.tools if tool.name == name)
        return name, tool.input_schema["properties"]["wait_s"]["maximum"]

    def _the_one(self, wanted: Any) -> str:
        (found,) = [tool.name for tool in self.tools if wanted(tool)]
        return found

    @staticmethod
    def _fields(tool: Tool) -> set[str]:
        return set(tool.input_schema["properties"])


@pytest.mark.parametrize("mode", REVISIONS)
async def test_an_agent_learns_the_price_first_and_never_buys_twice_after_a_lost_answer(
    google: Service, fake: Gemini, live_key: str, live: Client, mode: str
) -> None:
    words = f"a paper boat {uuid.uuid4().hex}"
    lost: list[dict[str, Any]] = []

    def loses(message: dict[str, Any]) -> bool:
        if message.get("params", {}).get("name") == agent.buying() and len(lost) < 2:
            lost.append(message)
            return True
        return False

    async with opened(google.url, live_key, mode=mode) as client:
        agent = Agent((await client.list_tools()).tools)
    wish = {"prompt": words, "model": DEFAULT}
    key = uuid.uuid4().hex
    async with losing(google.url, loses) as address:
        while True:
            try:
                async with opened(address, live_key, mode=mode) as client:
                    price = (await client.call_tool(agent.pricing(), wish)).structured_content["cost"]
                    assert price > 0
                    assert submits(fake, words) == [] or lost
                    bought = await client.call_tool(
                        agent.buying(), {**wish, "max_cost_usd": price, "idempotency_key": key}
                    )
            except (MCPError, httpx2.TransportError):
                continue
            break
        name, longest_s = agent.waiting()
        job_id = bought.structured_content["job_id"]
        async with opened(address, live_key, mode=mode) as client:
            while True:
                shown = await client.call_tool(name, {"job_id": job_id, "wait_s": longest_s})
                if shown.structured_content["status"] == "completed":
                    break
        (link,) = [one for one in shown.content if one.type == "resource_link"]
        assert (await live.get(link.uri, plain=True)).status == 200
    assert len(lost) == 2
    assert len(submits(fake, words)) == 1
    assert "nothing new was started" in text_of(bought)


async def test_what_costs_money_is_started_only_for_an_agreed_price(live: Client, fake: Gemini) -> None:
    words = f"a kite {uuid.uuid4().hex}"
    wish: dict[str, Any] = {"prompt": words, "model": DEFAULT}
    price = (await called(live, "quote_video", **wish))["structuredContent"]["cost"]
    for agreed in (None, price / 2):
        refused = await called(live, "generate_video", **wish, max_cost_usd=agreed)
        assert refused["isError"]
        assert f"{price:g} USD" in refused["content"][0]["text"]
        assert refused["_meta"]["rushes/error"]["code"] == "over_budget"
    assert submits(fake, words) == []
    started = await called(live, "generate_video", **wish, max_cost_usd=price)
    await live.completed([started["structuredContent"]["job_id"]])


async def test_an_idempotency_key_is_for_one_video(client: Client) -> None:
    key = uuid.uuid4().hex
    first = await called(client, "generate_video", **CALM, idempotency_key=key)
    job_id = first["structuredContent"]["job_id"]
    again = await asyncio.gather(
        *(called(client, "generate_video", **CALM, idempotency_key=key, max_cost_usd=n) for n in range(8))
    )
    assert {one["structuredContent"]["job_id"] for one in again} == {job_id}
    other = await called(client, "generate_video", **{**CALM, "prompt": "another"}, idempotency_key=key)
    assert other["_meta"]["rushes/error"]["code"] == "idempotency_mismatch"
    await client.reached(job_id)
    await client.call("DELETE", f"/api/v1/videos/jobs/{job_id}")
    gone = await called(client, "generate_video", **CALM, idempotency_key=key)
    assert "was deleted" in gone["content"][0]["text"]


@pytest.mark.parametrize(
    ("tool", "arguments", "code", "words"),
    [
        ("generate_video", {**CALM, "model": "animatic/storybord"}, "model_not_found", "mean 'animatic/storyboard'"),
        ("generate_video", {**CALM, "resolution": "9k"}, "unsupported_option", "resolution '9k' is not offered"),
        ("generate_video", {**CALM, "negativ_prompt": "x"}, "unknown_field", "did you mean 'negative_prompt'"),
        ("generate_video", {**CALM, "webhook_url": "https://example.com"}, "unknown_field", "webhook_url"),
        ("generate_video", {**CALM, "duration": "long"}, "invalid_request", "duration: Input should be"),
        ("generate_video", {"model": "animatic/storyboard"}, "invalid_request", "prompt: is required"),
        ("generate_video", {**CALM, "input_image": "http://127.0.0.1/a.png"}, "refused_address", "input_image"),
        ("quote_video", {**CALM, "n": 99}, "invalid_request", "n: "),
        ("get_video", {"job_id": "job_000000000000000000000000"}, "job_not_found", "not found"),
        ("get_video", {"job_id": "job_1", "wait_s": 51}, "invalid_request", "from 0 to 50"),
        ("cancel_video", {"job_id": "job_000000000000000000000000"}, "job_not_found", "not found"),
        ("list_videos", {"cursor": "x"}, "invalid_request", "cursor"),
        ("list_videos", {"status": "done"}, "invalid_request", "'pending', 'in_progress', 'completed', 'failed'"),
        ("list_models", {"provider": "nobody"}, "provider_not_found", "Provider 'nobody' not found"),
        ("list_models", {"capability": "telepathy"}, "invalid_request", "'image_to_video'"),
        ("upload_media", {"url": "http://10.0.0.1/a.png"}, "refused_address", "url"),
    ],
)  # fmt: skip
async def test_an_error_of_a_tool_names_the_argument_and_what_is_allowed(
    client: Client, tool: str, arguments: dict[str, Any], code: str, words: str
) -> None:
    result = await called(client, tool, **arguments)
    assert result["isError"]
    assert words in result["content"][0]["text"]
    assert result["_meta"]["rushes/error"]["code"] == code
    assert "structuredContent" not in result


async def test_limits_and_scopes_hold_as_everywhere(service: Service) -> None:
    made = service.run("keys", "create", "--test", "--account", "reader", "--scope", "read")
    async with Client(service, made.stdout.strip()) as reader:
        refused = await called(reader, "generate_video", **CALM)
        assert refused["_meta"]["rushes/error"]["code"] == "scope_missing"
        assert "generate" in refused["content"][0]["text"]
        assert not (await called(reader, "quote_video", **CALM)).get("isError")
    limited = service.key(account="limited")
    assert service.run("limits", "set", "--account", "limited", "--requests-per-minute", "2").returncode == 0
    async with Client(service, limited.text) as agent:
        answers = [await said(agent, "tools/list") for _ in range(3)]
    assert [answer.status for answer in answers] == [200, 200, 429]
    assert int(answers[2].headers["Retry-After"]) >= 1
    assert answers[2].json()["error"]["data"]["code"] == "rate_limited"


async def test_a_spend_limit_refuses_and_says_what_is_left(google: Service) -> None:
    poor = google.key(account="poor", test=False)
    assert google.run("limits", "set", "--account", "poor", "--spend-day", "0.01").returncode == 0
    async with Client(google, poor.text) as agent:
        refused = await called(agent, "generate_video", prompt="x", model=DEFAULT, max_cost_usd=100)
        assert refused["_meta"]["rushes/error"]["code"] == "spend_limit_reached"
        quote = await called(agent, "quote_video", prompt="x", model=DEFAULT)
    assert quote["structuredContent"]["within_limits"] is False
    assert "spend_limit_reached" in quote["content"][0]["text"]


async def test_without_a_good_key_the_answer_is_401_and_says_how_to_send_one(service: Service, client: Client) -> None:
    for key in (None, "rushes_test_" + "x" * 40):
        async with Client(service, key) as stranger:
            answer = await said(stranger, "tools/list")
        assert (answer.status, answer.headers["WWW-Authenticate"]) == (401, "Bearer")
        error = answer.json()["error"]
        assert error["data"]["code"] == "unauthenticated"
    with pytest.raises(MCPError, match="API key is not valid"):
        async with opened(service.url, "rushes_test_" + "x" * 40, mode="legacy"):
            pass


async def test_an_answer_that_waits_ends_once_its_key_is_revoked(held: Service) -> None:
    key = held.key()
    async with Client(held, key.text) as agent:
        job_id = (await agent.create())["job_id"]
        waiting = asyncio.create_task(called(agent, "get_video", job_id=job_id, wait_s=50))
        # By the time of this answer the wait has begun.
        assert (await called(agent, "get_video", job_id=job_id))["structuredContent"]["status"] == "pending"
        assert (await asyncio.to_thread(held.run, "keys", "revoke", key.id)).returncode == 0
        assert (await waiting)["_meta"]["rushes/error"]["code"] == "unauthenticated"
        assert (await said(agent, "tools/list")).status == 401


@pytest.mark.parametrize(
    ("headers", "setting"),
    [
        ({"Host": "evil.example"}, "RUSHES_TRUSTED_HOSTS"),
        ({"Origin": "https://evil.example"}, "RUSHES_CORS_ORIGINS"),
        ({"Origin": "null"}, "RUSHES_CORS_ORIGINS"),
    ],
)
async def test_what_comes_from_another_name_or_page_is_refused(
    client: Client, headers: dict[str, str], setting: str
) -> None:
    message = {"jsonrpc": "2.0", "id": 1, "method": "ping"}
    answer = await client.post("/mcp", json=message, headers={**ACCEPT, **headers})
    assert (answer.status, answer.json()["error"]["data"]["code"]) == (403, "foreign_host")
    assert setting in answer.json()["error"]["message"]


async def test_behind_a_proxy_the_public_name_is_known(start: Start) -> None:
    service = start(RUSHES_PUBLIC_URL="https://video.example.com/gateway", RUSHES_TRUSTED_HOSTS="rushes.example.net")
    message = {"jsonrpc": "2.0", "id": 1, "method": "ping"}
    async with Client(service, service.key().text) as client:
        statuses = [
            (await client.post("/mcp", json=message, headers={**ACCEPT, **headers})).status
            for headers in (
                {"Host": "video.example.com"},
                {"Host": "video.example.com", "Origin": "https://video.example.com"},
                {"Host": "rushes.example.net:8080"},
                {"Host": "other.example.com"},
            )
        ]
        assert statuses == [200, 200, 200, 403]
        link = (await called(client, "upload_media"))["structuredContent"]["upload_url"]
    assert link.startswith("https://video.example.com/gateway/uploads/")


@pytest.mark.parametrize(
    ("body", "status", "code", "words"),
    [
        (b"{", 400, -32700, "not complete, correct JSON"),
        (b"[]", 400, -32600, "batch"),
        (b'[{"jsonrpc":"2.0","id":1,"method":"ping"}]', 400, -32600, "batch"),
        (b"1", 400, -32600, "one JSON-RPC 2.0 message"),
        (b'{"id":1,"method":"ping"}', 400, -32600, "jsonrpc"),
        (b'{"jsonrpc":"2.0","id":1,"method":7}', 400, -32600, "method"),
        (b'{"jsonrpc":"2.0","id":1,"method":"x","params":{"a":NaN}}', 400, -32700, "JSON"),
        (b"[" * 40_000, 400, -32700, "JSON"),
        (b'{"jsonrpc":"2.0","id":1,"method":"x","params":[' + b"{}," * 60_000, 400, -32600, "more than 50000 values"),
        (b'{"jsonrpc":"2.0","id":1,"method":"x","params":"' + b"x" * 4 * 2**20, 413, -32000, "upload_media"),
    ],
    ids=["cut", "empty batch", "batch", "number", "no version", "no method", "nan", "deep", "many", "huge"],
)  # fmt: skip
@pytest.mark.parametrize("revision", [None, "2025-11-25", "2026-07-28"])
async def test_what_is_no_message_is_a_json_rpc_error(
    client: Client, body: bytes, status: int, code: int, words: str, revision: str | None
) -> None:
    headers = {**ACCEPT, "Content-Type": "application/json"}
    if revision is not None:
        headers["MCP-Protocol-Version"] = revision
    # What is refused by its length alone is asked about first, so that no half of it is left in the connection.
    answer = await client.post("/mcp", data=io.BytesIO(body), headers=headers, expect100=len(body) > 2**20)
    error = answer.json()["error"]
    assert (answer.status, error["code"]) == (status, code)
    assert words in error["message"]
    assert answer.json()["id"] is None


async def test_what_no_method_or_address_takes_is_refused_plainly(client: Client) -> None:
    assert (await said(client, "tools/call", name="make_coffee", arguments={})).json()["error"]["code"] == -32602
    assert (await said(client, "resources/list")).json()["error"]["code"] == -32601
    assert (await said(client, "x" * 10_000)).status < 500
    assert (await client.get("/mcp")).status == 405
    assert (await client.call("DELETE", "/mcp")).headers["Allow"] == "POST"
    form = await client.post("/mcp", data={"a": "b"}, headers=ACCEPT)
    assert (form.status, form.json()["error"]["data"]["code"]) == (415, "wrong_content_type")
    wrong = await client.post(
        "/mcp",
        json={"jsonrpc": "2.0", "id": 1, "method": "ping"},
        headers={**ACCEPT, "MCP-Protocol-Version": "1999-01-01"},
    )
    assert (wrong.status, wrong.json()["error"]["code"]) == (400, -32602)
    wrong_arguments: list[Any] = [[], "x", 7]
    for arguments in wrong_arguments:
        answer = await said(client, "tools/call", name="get_video", arguments=arguments)
        assert (answer.status, answer.json()["error"]["code"]) == (400, -32602)


async def test_an_upload_link_takes_one_file_once(service: Service, client: Client, key: Key) -> None:
    link = (await called(client, "upload_media"))["structuredContent"]["upload_url"]
    async with Client(service, None) as stranger:
        # What could not be used does not use the link up.
        refused = await stranger.call("PUT", link, data=b"not a picture", skip_auto_headers=["Content-Type"])
        assert refused.problem(400)["code"] == "unusable_input"
        two = await asyncio.gather(
            *(stranger.call("PUT", link, data=image(color=color)) for color in ("olive", "navy"))
        )
        assert sorted(answer.status for answer in two) == [200, 403]
        (stored,) = [answer.json() for answer in two if answer.status == 200]
        assert (await stranger.call("PUT", link, data=image())).problem(403)["code"] == "link_refused"
        for other in (
            f"{link}x",
            link.replace(".link_", ".link_0"),
            link.replace("/uploads/", "/media/"),
            link.partition("?")[0],
        ):
            assert (await stranger.call("PUT", other, data=image())).status in (403, 404, 405)
        assert (await stranger.get(link)).status == 405
    started = await called(client, "generate_video", **CALM, input_image=stored["reference"])
    assert not started.get("isError"), started
    revoked = service.key(account="revoked")
    async with Client(service, revoked.text) as agent:
        link = (await called(agent, "upload_media"))["structuredContent"]["upload_url"]
    service.run("keys", "revoke", revoked.id)
    async with Client(service, None) as stranger:
        assert (await stranger.call("PUT", link, data=image())).problem(401)["code"] == "unauthenticated"


@pytest.mark.parametrize("mode", REVISIONS)
async def test_a_desktop_client_reaches_the_service_over_stdio(service: Service, key: Key, mode: str) -> None:
    command = StdioServerParameters(
        command=str(RUSHES), args=["mcp"], env={"RUSHES_BASE_URL": service.url, "RUSHES_API_KEY": key.text}
    )
    async with McpClient(command, mode=mode, cache=None) as agent:
        assert agent.protocol_version == REVISIONS[mode]
        started = await agent.call_tool("generate_video", CALM)
        job_id = started.structured_content["job_id"]
        shown, refused = await asyncio.gather(
            agent.call_tool("get_video", {"job_id": job_id, "wait_s": 50}),
            agent.call_tool("get_video", {"job_id": "job_\N{SNOWMAN}"}),
        )
        assert refused.is_error
        while shown.structured_content["status"] != "completed":
            shown = await agent.call_tool("get_video", {"job_id": job_id, "wait_s": 50})
        with pytest.raises(MCPError):
            await agent.call_tool("make_coffee", {})
    assert [one.type for one in shown.content] == ["text", "resource_link", "image"]


async def test_over_stdio_what_goes_wrong_is_an_answer_and_nothing_else_is_written(service: Service, key: Key) -> None:
    async def spoken(*lines: bytes, base_url: str) -> list[dict[str, Any]]:
        process = await asyncio.create_subprocess_exec(
            RUSHES,
            "mcp",
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            env={"RUSHES_BASE_URL": base_url, "RUSHES_API_KEY": key.text},
        )
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(b"".join(line + b"\n" for line in lines))
        answers = [
            json.loads(await asyncio.wait_for(process.stdout.readline(), GENEROUS_S))
            for line in lines
            if b"note" not in line
        ]
        process.stdin.close()
        assert await asyncio.wait_for(process.wait(), GENEROUS_S) == 0
        assert await process.stdout.read() == b""
        return answers

    ping = b'{"jsonrpc":"2.0","id":"a","method":"ping"}'
    note = b'{"jsonrpc":"2.0","method":"notifications/note"}'
    (cut, batch, huge), (pong,) = (
        await spoken(b"{", b"[]", b'"' + b"x" * 5 * 2**20 + b'"', note, base_url=service.url),
        await spoken(ping, note, base_url=service.url),
    )
    assert [one["error"]["code"] for one in (cut, batch, huge)] == [-32700] * 3
    assert (pong["id"], pong["result"]) == ("a", {})
    (unreachable,) = await spoken(ping, base_url="http://127.0.0.1:9")
    assert unreachable["id"] == "a"
    assert "cannot reach http://127.0.0.1:9" in unreachable["error"]["message"]
    (elsewhere,) = await spoken(ping, base_url=f"{service.url}/console")
    assert elsewhere["error"]["code"] == -32000
