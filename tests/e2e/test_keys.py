"""API keys: who is let in, and at which moment no longer."""

from __future__ import annotations

import pytest

from tests.fixtures.service import Client, Service

ROUTES = [
    ("POST", "/api/v1/videos/generations"),
    ("GET", "/api/v1/videos/jobs"),
    ("GET", "/api/v1/videos/jobs/job_none"),
    ("POST", "/api/v1/videos/jobs/job_none/cancel"),
]


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Authorization": ""},
        {"Authorization": "Bearer"},
        {"Authorization": "Bearer "},
        {"Authorization": "Bearer rushes_test_unknown"},
        {"Authorization": "Bearer \u00e4\u00f6"},
        {"Authorization": "Bearer " + "x" * 5000},
        {"Authorization": "Basic dXNlcjpwYXNz"},
        {"X-API-Key": "rushes_test_unknown"},
    ],
    ids=["none", "empty", "no key", "blank", "unknown", "not ascii", "long", "basic", "other header"],
)
@pytest.mark.parametrize(("method", "path"), ROUTES)
async def test_without_a_valid_key_nothing_is_answered(
    client: Client, method: str, path: str, headers: dict[str, str]
) -> None:
    answer = await client.call(method, path, headers=headers, plain=True)
    assert answer.problem(401)["code"] == "unauthenticated"
    assert answer.headers["WWW-Authenticate"] == "Bearer"


async def test_a_key_without_its_scheme_is_refused(service: Service, client: Client) -> None:
    key = service.key()
    answer = await client.get("/api/v1/videos/jobs", plain=True, headers={"Authorization": key.text})
    answer.problem(401)


async def test_the_scheme_is_read_in_any_case(service: Service, client: Client) -> None:
    key = service.key()
    answer = await client.get("/api/v1/videos/jobs", plain=True, headers={"Authorization": f"bearer {key.text}"})
    answer.ok()


async def test_a_revoked_key_is_refused_at_once(service: Service) -> None:
    key = service.key()
    async with Client(service, key.text) as client:
        job_id = (await client.create(model="animatic/stuck"))["job_id"]
        revoked = service.run("keys", "revoke", key.id)
        assert revoked.returncode == 0, revoked.stderr
        answer = await client.get(f"/api/v1/videos/jobs/{job_id}")
    answer.problem(401)
    assert answer.headers["WWW-Authenticate"] == "Bearer"


async def test_an_expired_key_is_refused(service: Service) -> None:
    made = service.run("keys", "create", "--expires", "1m")
    assert "works until" in made.stderr
    text = made.stdout.splitlines()[-1]
    async with Client(service, text) as client:
        await client.jobs()
        # A minute is long; the end of this key is moved to the past instead.
        service.change("UPDATE api_keys SET expires_at = expires_at - 61000 WHERE hint = ?", text[-4:])
        (await client.get("/api/v1/videos/jobs")).problem(401)


def test_revoking_an_unknown_key_is_one_clear_line(service: Service) -> None:
    refused = service.run("keys", "revoke", "key_nobody")
    assert refused.returncode == 1
    assert refused.stderr.splitlines() == [
        "rushes: API key 'key_nobody' not found; `rushes keys list` shows all of them"
    ]


@pytest.mark.parametrize("length", ["", "0d", "-1h", "5y", "99999999d"])
def test_a_senseless_lifetime_is_refused(service: Service, length: str) -> None:
    refused = service.run("keys", "create", f"--expires={length}")
    assert refused.returncode == 2
    assert "--expires" in refused.stderr
    assert refused.stdout == ""
    assert "Traceback" not in refused.stderr


def test_the_list_shows_every_key_but_never_the_key(service: Service) -> None:
    key = service.key(account="shown")
    listed = service.run("keys", "list")
    assert key.id in listed.stdout
    assert key.text not in listed.stdout
    assert key.text[-4:] in listed.stdout


def test_the_last_line_of_standard_output_is_only_the_key(service: Service) -> None:
    made = service.run("keys", "create", "--test", "--name", "a name")
    last = made.stdout.splitlines()[-1]
    assert last.startswith("rushes_test_")
    assert last == last.strip()
    assert service.run("keys", "create").stdout.splitlines()[-1].startswith("rushes_live_")
