"""People sign in through an identity provider: by the console and by `rushes login`; and who is not let in."""

from __future__ import annotations

import json
import stat
import time
from collections.abc import AsyncIterator, Iterator
from typing import Any
from urllib.parse import parse_qs, urlsplit

import aiohttp
import pytest

from tests.fixtures.console import Browser
from tests.fixtures.service import Answer, Client, Service
from tests.fixtures.upstreams.beside import beside
from tests.fixtures.upstreams.issuer import CLI, CLIENT, SECRET, Issuer

BEGIN = "/console/sign-in/oidc"
CALLBACK = f"{BEGIN}/callback"
EXCHANGE = "/api/v1/auth/oidc"
USUAL = {"sub": "ada", "account": "studio", "role": "member", "email": "ada@example.com"}


@pytest.fixture(scope="module")
def running_issuer() -> Iterator[Issuer]:
    with beside(Issuer()) as issuer:
        yield issuer


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory, running_issuer: Issuer) -> Iterator[Service]:
    running = Service(
        tmp_path_factory.mktemp("oidc"),
        RUSHES_OIDC__ISSUER=running_issuer.base_url,
        RUSHES_OIDC__CLIENT_ID=CLIENT,
        RUSHES_OIDC__CLIENT_SECRET=SECRET,
        RUSHES_OIDC__CLI_CLIENT_ID=CLI,
        RUSHES_OIDC__NAME="Example & Co",
        RUSHES_OIDC__ROLES=json.dumps({"video-admins": "admin"}),
    ).start()
    assert running.run("accounts", "create", "studio").returncode == 0
    assert running.run("accounts", "create", "lab").returncode == 0
    yield running
    running.finish()


@pytest.fixture
def issuer(running_issuer: Issuer) -> Iterator[Issuer]:
    running_issuer.claims = dict(USUAL)
    yield running_issuer
    running_issuer.change, running_issuer.unsigned, running_issuer.down = {}, False, False
    running_issuer.pending = 0


@pytest.fixture
async def browser(service: Service) -> AsyncIterator[Browser]:
    async with Browser(service) as opened:
        yield opened


async def sent_to(browser: Browser, path: str = BEGIN) -> str:
    """The address at the provider that a sign-in leads to."""
    answer = await browser.get(path, follow=False)
    assert answer.status == 303, answer.body
    return answer.headers["Location"]


async def sent_back(address: str) -> str:
    """What the provider sends the browser back with: the query of the callback."""
    async with aiohttp.ClientSession() as session, session.get(address, allow_redirects=False) as response:
        assert response.status == 302
        back = urlsplit(response.headers["Location"])
    assert back.path == CALLBACK
    return back.query


async def signed_in(browser: Browser, path: str = BEGIN) -> Answer:
    """The page that the way back ends in."""
    query = await sent_back(await sent_to(browser, path))
    return await browser.get(f"{CALLBACK}?{query}", headers={"Sec-Fetch-Site": "cross-site"})


def entries(service: Service, action: str) -> list[dict[str, Any]]:
    shown = service.run("audit", "list", "--action", action, "--json")
    return [json.loads(line) for line in shown.stdout.splitlines()]


async def test_a_person_signs_in_works_and_signs_out(service: Service, issuer: Issuer, browser: Browser) -> None:
    page = await browser.get("/console/sign-in?next=/console/usage")
    assert "Sign in with Example &amp; Co" in page.body.decode()
    arrived = await signed_in(browser, f"{BEGIN}?next=/console/usage")
    assert arrived.status == 200
    assert 'data-signed-in="/console/usage"' in arrived.body.decode()
    # The session is not in an answer to a request of another site: the page itself goes on.
    cookies = arrived.headers.getall("Set-Cookie")
    (session,) = [cookie for cookie in cookies if cookie.startswith("rushes_console=")]
    assert "httponly" in session.lower()
    assert "samesite=strict" in session.lower()
    (state,) = [cookie for cookie in cookies if cookie.startswith("rushes_console_oidc=")]
    assert "max-age=0" in state.lower()
    assert (await browser.get("/console/jobs")).status == 200
    made = await browser.send("/console/keys", {"name": "mine", "scopes": "read"})
    assert made.status == 200
    (created, *_) = entries(service, "key.create")
    assert (created["actor"]["kind"], created["actor"]["name"]) == ("person", "ada@example.com")
    (came, *_) = entries(service, "person.sign_in")
    assert (came["after"]["role"], came["address"]) == ("member", "127.0.0.1")
    await browser.get("/console/jobs")
    await browser.send("/console/sign-out")
    assert "/sign-in" in (await browser.get("/console/jobs", follow=False)).headers["Location"]


async def test_the_role_of_each_sign_in_decides(service: Service, issuer: Issuer, browser: Browser) -> None:
    issuer.claims = {**USUAL, "sub": "grace", "role": ["everyone", "viewer"], "email": "grace@example.com"}
    await signed_in(browser)
    assert (await browser.get("/console/jobs")).status == 200
    assert (await browser.get("/console/playground")).status == 403
    assert (await browser.get("/console/operations")).status == 403
    issuer.claims["role"] = "video-admins"
    async with Browser(service) as second:
        await signed_in(second)
        assert (await second.get("/console/operations")).status == 200
    # One key for one person: the first session has become an administrator's too.
    assert (await browser.get("/console/operations")).status == 200
    issuer.claims["account"] = "lab"
    async with Browser(service) as third:
        await signed_in(third)
        assert (await third.get("/console/jobs")).status == 200
    # The person has moved to another account, and the key of the old one is over.
    assert (await browser.get("/console/jobs", follow=False)).status == 303


async def test_an_administrator_can_end_a_persons_access(service: Service, issuer: Issuer, browser: Browser) -> None:
    issuer.claims = {**USUAL, "sub": "mallory", "email": "mallory@example.com"}
    await signed_in(browser)
    (listed,) = [line for line in service.run("keys", "list").stdout.splitlines() if "mallory@example.com" in line]
    (key_id,) = [word for word in listed.split() if word.startswith("key_")]
    assert service.run("keys", "revoke", key_id).returncode == 0
    assert (await browser.get("/console/jobs", follow=False)).status == 303
    refused = await signed_in(browser)
    assert refused.status == 403
    assert "An administrator has ended your access" in refused.body.decode()


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"aud": "another-client"}, "its &#39;aud&#39;"),
        ({"nonce": "replayed"}, "its &#39;nonce&#39;"),
        ({"iss": "https://evil.example.com"}, "its &#39;iss&#39;"),
        ({"exp": 1}, "it has expired"),
        ({"role": "emperor"}, "gives you no role here"),
        ({"role": None}, "gives you no role here"),
        ({"account": None}, "gives you no account"),
        ({"account": "nowhere"}, "does not exist here"),
    ],
)
async def test_wrong_claims_let_nobody_in(issuer: Issuer, browser: Browser, change: dict[str, Any], said: str) -> None:
    issuer.change = change
    refused = await signed_in(browser)
    assert refused.status == 403
    assert said in refused.body.decode()
    assert "rushes_console" not in {name for name, value in browser.cookies.items() if value}


async def test_an_unsigned_token_lets_nobody_in(issuer: Issuer, browser: Browser) -> None:
    issuer.unsigned = True
    refused = await signed_in(browser)
    assert refused.status == 403
    assert "not signed by a key of the issuer" in refused.body.decode()


async def test_the_way_back_belongs_to_the_browser_that_began_it(
    service: Service, issuer: Issuer, browser: Browser
) -> None:
    query = await sent_back(await sent_to(browser))
    async with Browser(service) as stranger:
        assert (await stranger.get(f"{CALLBACK}?{query}")).status == 403
        await sent_to(stranger)
        refused = await stranger.get(f"{CALLBACK}?{query}")
        assert refused.status == 403
        assert "not begun in this browser" in refused.body.decode()
    wrong = await browser.get(f"{CALLBACK}?code=abc&state=other")
    assert wrong.status == 403
    # A state is used once, also by a wrong answer.
    assert (await browser.get(f"{CALLBACK}?{query}")).status == 403


async def test_a_code_works_once_and_a_wrong_one_never(issuer: Issuer, browser: Browser) -> None:
    query = await sent_back(await sent_to(browser))
    assert (await browser.get(f"{CALLBACK}?{query}")).status == 200
    code = parse_qs(query)["code"][0]
    await browser.get("/console/jobs")
    await browser.send("/console/sign-out")
    state = parse_qs(urlsplit(await sent_to(browser)).query)["state"][0]
    refused = await browser.get(f"{CALLBACK}?code={code}&state={state}")
    assert refused.status == 403
    assert "expired or was used before" in refused.body.decode()


@pytest.mark.parametrize(
    ("answer", "status", "said"),
    [
        ("error=access_denied", 403, "cancelled"),
        ("error=server_error&error_description=%3Cb%3E", 503, "server_error"),
        ("", 403, "no code"),
        ("code=" + "x" * 5000, 403, "no code"),
    ],
)
async def test_an_answer_without_a_code_is_explained(
    issuer: Issuer, browser: Browser, answer: str, status: int, said: str
) -> None:
    state = parse_qs(urlsplit(await sent_to(browser)).query)["state"][0]
    refused = await browser.get(f"{CALLBACK}?state={state}&{answer}")
    assert refused.status == status
    assert said in refused.body.decode()
    assert "<b>" not in refused.body.decode()


async def test_a_redirect_never_leads_to_another_site(issuer: Issuer, browser: Browser) -> None:
    for target in ("https://evil.example.com", "//evil.example.com/console", "/console/../../x", "javascript:1"):
        arrived = await signed_in(browser, f"{BEGIN}?next={target}")
        assert 'data-signed-in="/console"' in arrived.body.decode()
        await browser.get("/console/jobs")
        await browser.send("/console/sign-out")


async def test_a_new_key_of_the_provider_is_found_and_a_forged_one_is_not_asked_for_again_and_again(
    service: Service, issuer: Issuer
) -> None:
    async with Browser(service) as first:
        assert (await signed_in(first)).status == 200
    before = issuer.asked_for_keys
    async with Client(service, None) as client:
        for _ in range(10):
            forged = issuer.id_token(CLI, iat=int(time.time())).split(".")
            head = "eyJhbGciOiJSUzI1NiIsImtpZCI6Im5vbmUifQ"
            await client.post(EXCHANGE, data={"id_token": ".".join((head, *forged[1:]))})
    assert issuer.asked_for_keys - before <= 1


async def test_the_provider_can_be_away(service: Service, issuer: Issuer, browser: Browser) -> None:
    query = await sent_back(await sent_to(browser))
    issuer.down = True
    refused = await browser.get(f"{CALLBACK}?{query}")
    assert refused.status == 503
    assert "identity provider" in refused.body.decode()
    assert "API key" in refused.body.decode()


async def test_a_command_signs_in_by_the_device_flow(service: Service, issuer: Issuer) -> None:
    issuer.pending = 2
    issuer.claims = {**USUAL, "sub": "linus", "email": "linus@example.com"}
    done = service.run_client("login", "--no-browser")
    assert done.returncode == 0, done.stderr
    assert "enter WDJB-MJHT" in done.stderr
    kept = service.folder / ".config" / "rushes" / "sign-in.json"
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600
    listed = service.run_client("jobs", "list")
    assert listed.returncode == 0, listed.stderr
    token = json.loads(kept.read_text())[service.url]["token"]
    async with Client(service, token) as client:
        assert (await client.jobs())["jobs"] == []
    assert service.run_client("logout").returncode == 0
    assert service.run_client("jobs", "list").returncode == 3
    assert token not in kept.read_text()


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"aud": CLIENT}, "'aud'"),
        ({"exp": 1}, "expired"),
        ({"iat": 1_000_000_000}, "older than 10 minutes"),
        ({"role": "emperor"}, "no role"),
    ],
)
async def test_an_id_token_that_does_not_hold_is_exchanged_for_nothing(
    service: Service, issuer: Issuer, change: dict[str, Any], said: str
) -> None:
    async with Client(service, None) as client:
        answer = await client.post(EXCHANGE, data={"id_token": issuer.id_token(CLI, **change)})
        assert said in answer.problem(403)["detail"]
        assert answer.json()["code"] == "sign_in_refused"
        (await client.post(EXCHANGE, data={"id_token": "x.y.z"})).problem(403)
        (await client.post(EXCHANGE, data={})).problem(415, 422)


async def test_without_a_provider_there_is_no_such_way_in(tmp_path_factory: pytest.TempPathFactory) -> None:
    plain = Service(tmp_path_factory.mktemp("plain")).start()
    try:
        async with Client(plain, None) as client, Browser(plain) as browser:
            assert (await client.get(EXCHANGE)).problem(404)["code"] == "sign_in_not_offered"
            (await client.post(EXCHANGE, data={"id_token": "x"})).problem(404)
            assert (await browser.get(BEGIN)).status == 404
            assert "Sign in with" not in (await browser.get("/console/sign-in")).body.decode()
        refused = plain.run_client("login", "--no-browser")
        assert refused.returncode == 3
        assert "no identity provider" in refused.stderr
    finally:
        plain.finish()
