"""To an account, what another one owns does not exist: every route that takes an id, each way to name a thing.

The routes come from the OpenAPI document, so a new one takes part by itself. Only a new kind of id needs a line: in
OWNED with a way to make some, or in PUBLIC if everybody may know them.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from typing import Any
from urllib.parse import urlsplit

import pytest

from tests.fixtures.mcp import called, said
from tests.fixtures.media import image
from tests.fixtures.service import QUICK, Answer, Client, Service

STRANGERS = ("second", "third")
GENERATIONS = "/api/v1/videos/generations"
UPLOADS = "/api/v1/uploads"
PNG = {"Content-Type": "image/png"}
WEBHOOKS = "/api/v1/webhooks"
KEYS = "/api/v1/user/api-keys"
RECEIVER = "https://receiver.invalid/hook"
PLAIN = {"prompt": "x", **QUICK}


async def some_jobs(owner: Client) -> list[str]:
    """Jobs in every status: completed, failed, in progress, pending, and a deleted one."""
    completed = (await owner.create())["job_id"]
    deleted = (await owner.create())["job_id"]
    failed = (await owner.create(model="animatic/fail", resolution="720p"))["job_id"]
    running = (await owner.create(model="animatic/stuck", resolution="720p"))["job_id"]
    # Two of these run at once, so the third one stays pending.
    slow = [(await owner.create(model="animatic/slow", resolution="720p"))["job_id"] for _ in range(3)]
    for job_id in (completed, deleted, failed):
        await owner.reached(job_id)
    await owner.reached(running, "in_progress")
    assert (await owner.call("DELETE", f"/api/v1/videos/jobs/{deleted}")).status == 204
    return [completed, failed, running, slow[-1], deleted]


async def some_webhooks(owner: Client) -> list[str]:
    """An endpoint that is told of every job, and one that is deleted."""
    made = [await owner.post(WEBHOOKS, json={"url": RECEIVER}) for _ in range(2)]
    kept, deleted = [answer.json()["id"] for answer in made]
    assert (await owner.call("DELETE", f"{WEBHOOKS}/{deleted}")).status == 204
    return [kept, deleted]


async def some_deliveries(owner: Client) -> list[str]:
    """Messages to a job's own webhook_url."""
    await owner.reached((await owner.create(webhook_url=RECEIVER))["job_id"])
    listed = (await owner.get(f"{WEBHOOKS}/deliveries")).ok()["deliveries"]
    return [one["id"] for one in listed][-2:]


async def some_keys(owner: Client) -> list[str]:
    """A key that works, and one that is deleted."""
    kept, deleted = [(await owner.post(KEYS, json={})).json()["id"] for _ in range(2)]
    assert (await owner.call("DELETE", f"{KEYS}/{deleted}")).status == 204
    return [kept, deleted]


async def some_files(owner: Client) -> list[str]:
    """A finished video's file as Google's API names it, and one that is deleted."""
    kept, deleted = [(await owner.create())["job_id"] for _ in range(2)]
    for job_id in (kept, deleted):
        await owner.reached(job_id)
    assert (await owner.call("DELETE", f"/api/v1/videos/jobs/{deleted}")).status == 204
    return [f"{job_id.removeprefix('job_')}0" for job_id in (kept, deleted)]


OWNED: dict[str, Callable[[Client], Awaitable[list[str]]]] = {
    "job_id": some_jobs,
    "webhook_id": some_webhooks,
    "delivery_id": some_deliveries,
    "key_id": some_keys,
    "file_id": some_files,
}
"""By the name of a path parameter, how an account comes to own some of what it names."""
ALSO_CALLED = {"video_id": "job_id", "operation_id": "job_id", "interaction_id": "job_id"}
"""By another name of a path parameter, that of OWNED."""
PUBLIC = {"provider", "model_id", "model", "index", "project", "location", "publisher"}
"""Path parameters that say nothing of an account."""
ADMINISTRATION = "/api/v1/admin/"
"""Routes that are for administrators, whatever the id."""
SIGNED = re.compile(r"/media/")
"""Routes that ask for a signature, and for no key."""
BODIES: dict[tuple[str, str], Any] = {
    ("POST", "/v1/videos/{id}/remix"): {"json": {"prompt": "x"}},
    ("PATCH", "/api/v1/webhooks/{id}"): {"json": {"enabled": False}},
    ("PATCH", "/api/v1/user/api-keys/{id}"): {"json": {"disabled": True}},
}
"""What to send to a route that reads its body before it looks for the id."""
UNDOCUMENTED = [
    ("HEAD", "/api/v1/videos/jobs/{job_id}/content"),
    ("HEAD", "/v1/videos/{video_id}/content"),
    ("HEAD", "/v1beta/files/{file_id}:download"),
    ("GET", "/v1/files/{file_id}:download"),
    ("GET", "/v1/models/{model}/operations/{operation_id}"),
]


@pytest.fixture(scope="module")
def keys(service: Service) -> list[str]:
    """A key of each account, the owner's first."""
    return [service.key(account=account).text for account in ("owner", *STRANGERS)]


@pytest.fixture
async def accounts(service: Service, keys: list[str]) -> AsyncIterator[list[Client]]:
    """The owner, and those from whom its things are hidden."""
    async with AsyncExitStack() as opened:
        yield [await opened.enter_async_context(Client(service, key)) for key in keys]


async def routes_with_an_id(client: Client) -> list[tuple[str, str, str]]:
    """Method, path with `{id}` in its place, and what the id is of, for every route that takes one."""
    paths = (await client.get("/openapi.json", plain=True)).ok()["paths"]
    listed = [(method.upper(), path) for path, item in paths.items() for method in item] + UNDOCUMENTED
    found = []
    for method, path in listed:
        names = set(re.findall(r"{(\w+)}", path)) - PUBLIC
        if not names or SIGNED.search(path) or path.startswith(ADMINISTRATION):
            continue
        assert len(names) == 1, f"{method} {path}: this test knows routes with one owned id"
        name = names.pop()
        kind = ALSO_CALLED.get(name, name)
        assert kind in OWNED, f"{method} {path}: add {kind} to OWNED or PUBLIC"
        found.append((method, path.replace(f"{{{name}}}", "{id}"), kind))
    return found


def unknown_like(known: str) -> str:
    """An id of the same form that nobody has."""
    prefix, _, rest = known.rpartition("_")
    return f"{prefix}_{'0' * len(rest)}" if prefix else "0" * len(rest)


def anonymous(answer: Answer, *names: str) -> tuple[int, dict[str, str], bytes]:
    """The answer without what differs between any two requests."""
    headers = {name.lower(): value for name, value in answer.headers.items()}
    request_id = headers.pop("x-request-id")
    headers.pop("date", None)
    body = answer.body.replace(request_id.encode(), b"REQUEST")
    for name in names:
        body = body.replace(name.encode(), b"NAME")
    return answer.status, headers, body


async def test_an_id_of_another_account_is_answered_as_one_that_does_not_exist(accounts: list[Client]) -> None:
    owner, *strangers = accounts
    owned = {name: await make(owner) for name, make in OWNED.items()}
    before = json.dumps(await owner.jobs(limit=1000, status="failed"))
    asked = 0
    webhooks = await told(owner)
    for method, path, kind in await routes_with_an_id(owner):
        body = BODIES.get((method, path), {})
        for known in owned[kind]:
            unknown = unknown_like(known)
            for stranger in strangers:
                there = await stranger.call(method, path.replace("{id}", known), **body)
                nowhere = await stranger.call(method, path.replace("{id}", unknown), **body)
                assert nowhere.status == 404, (method, path, nowhere.body)
                assert anonymous(there, known) == anonymous(nowhere, unknown), (method, path, known)
                asked += 1
    assert asked >= 11 * len(owned["job_id"]) * len(strangers)
    # Nor has anything been done.
    assert json.dumps(await owner.jobs(limit=1000, status="failed")) == before
    assert await told(owner) == webhooks
    completed, *rest, _deleted = owned["job_id"]
    assert (await owner.get(f"/api/v1/videos/jobs/{completed}/content")).status == 200
    assert [(await owner.job(job_id))["error_code"] for job_id in rest][1:] == [None, None]


async def told(owner: Client) -> list[tuple[object, ...]]:
    """The account's webhooks and keys, and what only its own requests change of them."""
    webhooks = (await owner.get(WEBHOOKS)).ok()["webhooks"]
    keys = (await owner.get(KEYS)).ok()["keys"]
    return [
        *((one["id"], one["enabled"], one["previous_secret_expires_at"]) for one in webhooks),
        *((one["id"], one["state"], one["name"]) for one in keys),
    ]


async def administration(client: Client) -> list[tuple[str, str]]:
    """Method and path of every route of administration that takes an id."""
    paths = (await client.get("/openapi.json", plain=True)).ok()["paths"]
    return [
        (method.upper(), path)
        for path, item in paths.items()
        for method in item
        if path.startswith(ADMINISTRATION) and "{" in path
    ]


async def test_administration_tells_nobody_else_which_ids_exist(accounts: list[Client]) -> None:
    owner, stranger, _ = accounts
    me = (await owner.get("/api/v1/user/me")).ok()
    known = {
        "account_id": me["account"]["id"],
        "key_id": me["key"]["id"],
        "job_id": (await owner.create())["job_id"],
        "webhook_id": (await owner.post(WEBHOOKS, json={"url": RECEIVER})).json()["id"],
        "delivery_id": (await some_deliveries(owner))[0],
    }
    unknown = {name: unknown_like(value) for name, value in known.items()}
    routes = await administration(owner)
    assert len(routes) >= 10
    for method, path in routes:
        answers = [
            anonymous(await client.call(method, path.format(**ids), json={}))
            for client in (owner, stranger)
            for ids in (known, unknown)
        ]
        assert {answer[0] for answer in answers} == {403}
        assert len({json.dumps(answer, default=str) for answer in answers}) == 1, (method, path)


async def test_a_key_is_administered_under_its_own_account_alone(service: Service, accounts: list[Client]) -> None:
    owner, stranger, _ = accounts
    made = service.run("keys", "create", "--test", "--account", "govern", "--scope", "admin")
    mine, theirs = [(await client.get("/api/v1/user/me")).ok() for client in (owner, stranger)]
    before = await told(stranger)
    async with Client(service, made.stdout.strip()) as admin:
        for method, path in await administration(owner):
            if "{key_id}" not in path:
                continue
            body = {"disabled": True} if method == "PATCH" else {}
            there, nowhere = [
                await admin.call(method, path.format(account_id=mine["account"]["id"], key_id=key_id), json=body)
                for key_id in (theirs["key"]["id"], unknown_like(theirs["key"]["id"]))
            ]
            assert nowhere.status == 404, (method, path, nowhere.body)
            assert anonymous(there, theirs["key"]["id"]) == anonymous(nowhere, unknown_like(theirs["key"]["id"]))
    assert await told(stranger) == before


async def test_a_video_of_another_account_is_unknown_wherever_a_query_or_body_names_it(accounts: list[Client]) -> None:
    owner, stranger, _ = accounts
    known = (await owner.reached((await owner.create())["job_id"]))["job_id"]
    unknown = unknown_like(known)
    there, nowhere = [await stranger.get("/v1/videos", params={"after": video_id}) for video_id in (known, unknown)]
    assert nowhere.status == 400
    assert anonymous(there, known) == anonymous(nowhere, unknown)
    there, nowhere = [
        await stranger.post("/api/v1/videos", json={**PLAIN, "previous_job_id": job_id}) for job_id in (known, unknown)
    ]
    assert nowhere.status == 404
    assert anonymous(there, known) == anonymous(nowhere, unknown)
    for route in ("edits", "extensions"):
        there, nowhere = [
            await stranger.post(f"/v1/videos/{route}", json={"prompt": "x", "video": {"id": video_id}})
            for video_id in (known, unknown)
        ]
        assert nowhere.status == 404
        assert anonymous(there, known) == anonymous(nowhere, unknown)


async def test_a_job_of_another_account_is_unknown_to_every_tool_and_task_of_an_agent(accounts: list[Client]) -> None:
    owner, *strangers = accounts
    known = (await owner.create(model="animatic/stuck", resolution="720p"))["job_id"]
    unknown = unknown_like(known)
    for stranger in strangers:
        extended: dict[str, Any] = {"prompt": "x", "video_task": "extend"}
        calls: list[tuple[str, str, dict[str, Any]]] = [
            ("get_video", "job_id", {"wait_s": 50}),
            ("cancel_video", "job_id", {}),
            ("generate_video", "previous_job_id", extended),
            ("quote_video", "previous_job_id", extended),
        ]
        for tool, name, arguments in calls:
            told_of = [
                json.dumps(await called(stranger, tool, **{**arguments, name: job_id})).replace(job_id, "NAME")
                for job_id in (known, unknown)
            ]
            assert told_of[0] == told_of[1]
            assert "job_not_found" in told_of[0]
        for method in ("tasks/get", "tasks/update", "tasks/cancel"):
            there, nowhere = [await said(stranger, method, tasks=True, taskId=job_id) for job_id in (known, unknown)]
            assert anonymous(there, known) == anonymous(nowhere, unknown)
            assert there.json()["error"]["code"] == -32602
        seen = await called(stranger, "list_videos", limit=100)
        assert known not in json.dumps(seen)
    assert (await owner.job(known))["error_code"] is None


async def test_a_video_of_another_account_is_unknown_where_googles_bodies_name_it(accounts: list[Client]) -> None:
    owner, stranger, _ = accounts
    known = (await owner.reached((await owner.create())["job_id"]))["job_id"]
    unknown = unknown_like(known)
    model = "/v1beta1/projects/p/locations/l/publishers/animatic/models/storyboard"
    there, nowhere = [
        await stranger.post(f"{model}:fetchPredictOperation", json={"operationName": f"{model}/operations/{job_id}"})
        for job_id in (known, unknown)
    ]
    assert nowhere.status == 404
    assert anonymous(there, known) == anonymous(nowhere, unknown)
    there, nowhere = [
        await stranger.post(
            "/v1beta/models/animatic/storyboard:predictLongRunning",
            json={"instances": [{"prompt": "x", "video": {"uri": f"files/{job_id.removeprefix('job_')}0"}}]},
        )
        for job_id in (known, unknown)
    ]
    assert nowhere.status == 404
    assert anonymous(there, known) == anonymous(nowhere, unknown)


async def test_a_link_opens_what_it_was_made_for_and_nothing_else(accounts: list[Client]) -> None:
    owner, stranger, _ = accounts
    mine, theirs = [await client.reached((await client.create())["job_id"]) for client in (owner, stranger)]
    link = urlsplit(mine["result"]["url"])
    poster = urlsplit(mine["result"]["thumbnail_url"])
    assert (await stranger.get(mine["result"]["url"], plain=True)).status == 200
    unknown = unknown_like(mine["job_id"])
    refusals = []
    for path in (f"/media/{theirs['job_id']}/0.mp4", f"/media/{unknown}/0.mp4", f"/media/{theirs['job_id']}/0.jpg"):
        refusals += [
            await stranger.get(f"{path}?{query}", plain=plain)
            for query in (link.query, poster.query, "", "expires=1&signature=x")
            for plain in (True, False)
        ]
    refusals.append(await owner.get(f"{link.path.replace('0.mp4', '1.mp4')}?{link.query}"))
    refusals.append(await owner.get(f"{poster.path}?{link.query}"))
    assert {refusal.status for refusal in refusals} == {403}
    assert len({json.dumps(anonymous(refusal), default=str) for refusal in refusals}) == 1


async def test_a_cursor_of_another_account_shows_ones_own_jobs(accounts: list[Client]) -> None:
    owner, stranger, _ = accounts
    own = {(await stranger.create())["job_id"] for _ in range(2)}
    for _ in range(3):
        await owner.create()
    page = await owner.jobs(limit=1)
    theirs = {job["job_id"] for job in (await owner.jobs(limit=1000))["jobs"]}
    seen = {job["job_id"] for job in (await stranger.jobs(limit=1000, cursor=page["next_cursor"]))["jobs"]}
    assert own <= seen
    assert not seen & theirs


async def test_an_idempotency_key_counts_within_its_account(accounts: list[Client]) -> None:
    answers = await asyncio.gather(
        *(
            client.post(
                GENERATIONS, json={"prompt": "x", "model": "animatic/storyboard"}, headers={"Idempotency-Key": "one"}
            )
            for client in accounts
            for _ in range(2)
        )
    )
    assert len({answer.ok()["job_id"] for answer in answers}) == len(accounts)
    # Nor does a key that another account has used with another body say so.
    (await accounts[0].post(GENERATIONS, json=PLAIN, headers={"Idempotency-Key": "two"})).ok()
    other = await accounts[1].post(GENERATIONS, json={**PLAIN, "prompt": "y"}, headers={"Idempotency-Key": "two"})
    assert other.ok()["job_id"] not in {answer.json()["job_id"] for answer in answers}


async def test_an_upload_of_another_account_is_answered_as_one_that_does_not_exist(accounts: list[Client]) -> None:
    owner, *strangers = accounts
    content = image(color="crimson")
    reference = (await owner.post("/api/v1/uploads", data=content, headers={"Content-Type": "image/png"})).ok()[
        "reference"
    ]
    unknown = unknown_like(reference)
    for stranger in strangers:
        for field in ("input_image", "last_frame", "reference_image", "video"):
            there, nowhere = [await stranger.generate(**PLAIN, **{field: one}) for one in (reference, unknown)]
            assert nowhere.status == 400
            assert anonymous(there, reference) == anonymous(nowhere, unknown)
        # The same bytes, once more: theirs is another file, and says nothing of the first.
        again = (await stranger.post(UPLOADS, data=content, headers=PNG)).ok()
        assert again["reference"] != reference
        assert again["sha256"] == hashlib.sha256(content).hexdigest()
    (await owner.generate(**PLAIN, input_image=reference)).ok()


async def test_usage_and_lists_count_ones_own_jobs_alone(service: Service, accounts: list[Client]) -> None:
    owner = accounts[0]
    async with Client(service, service.key(account="nobody").text) as newcomer:
        await owner.create()
        assert (await newcomer.jobs())["total"] == 0
        assert (await newcomer.get("/api/v1/user/usage")).ok()["total_requests"] == 0
        for query in ({"status": "completed"}, {"model": "storyboard"}, {"provider": "animatic"}, {"skip": 1}):
            assert (await newcomer.jobs(**query))["jobs"] == []
