"""Sign-in against a certified OpenID provider (`oidc-provider` of npm), by the code flow and the device flow."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import AsyncIterator
from pathlib import Path
from urllib.parse import urlsplit

import aiohttp
import pytest
from yarl import URL

from tests.fixtures.console import Browser
from tests.fixtures.processes import begun
from tests.fixtures.service import Service
from tests.fixtures.time_limits import GENEROUS_S
from tests.oracles.sdk_process import missing, start_sdk

CONSOLE, SECRET, CLI = "rushes-console", "s" * 40, "rushes-cli"
CALLBACK = "/console/sign-in/oidc/callback"
NAME = "issuer.mjs"

_FORM = re.compile(r'<form[^>]*action="([^"]+)"')
_HIDDEN = re.compile(r'<input type="hidden" name="([^"]+)" value="([^"]*)"')

pytestmark = pytest.mark.skipif(missing(NAME) is not None, reason=missing(NAME) or "")


@pytest.fixture
async def service(tmp_path: Path) -> AsyncIterator[Service]:
    """A service whose people sign in at a provider of their own."""
    running = Service(tmp_path)
    sdk = await start_sdk(NAME, tmp_path)
    started = await sdk.call(
        "start",
        redirect_uri=f"{running.url}{CALLBACK}",
        clients={"console": CONSOLE, "cli": CLI, "secret": SECRET},
        claims={"account": "studio", "role": "member", "email": "ada@example.com"},
    )
    running.configure(
        RUSHES_OIDC__ISSUER=started["issuer"],
        RUSHES_OIDC__CLIENT_ID=CONSOLE,
        RUSHES_OIDC__CLIENT_SECRET=SECRET,
        RUSHES_OIDC__CLI_CLIENT_ID=CLI,
    )
    running.start()
    assert running.run("accounts", "create", "studio").returncode == 0
    yield running
    running.finish()
    await sdk.close()


class Visitor:
    """A browser at the provider: follows its redirects and fills in its pages, up to the one that leads back to us."""

    def __init__(self, session: aiohttp.ClientSession, home: str) -> None:
        self._session = session
        self._home = home
        self.page = ""

    async def goes(self, method: str, address: str, form: dict[str, str] | None = None) -> str:
        """The address at ours that it is sent back to; empty where the provider shows a page."""
        while True:
            async with self._session.request(method, address, data=form, allow_redirects=False) as response:
                self.page = await response.text()
                if response.status not in (302, 303):
                    assert response.status == 200, (response.status, self.page[:500])
                    return ""
                target = str(response.url.join(URL(response.headers["Location"])))
            if target.startswith(self._home):
                return target
            method, address, form = "GET", target, None

    async def fills(self, **fields: str) -> str:
        """Send the form of the page that is shown."""
        found = _FORM.search(self.page)
        assert found is not None, self.page[:500]
        hidden = dict(_HIDDEN.findall(self.page))
        return await self.goes("POST", found[1].replace("&amp;", "&"), {**hidden, **fields})


async def test_a_person_signs_in_to_the_console_and_a_code_works_once(service: Service) -> None:
    async with Browser(service) as browser, aiohttp.ClientSession(cookie_jar=aiohttp.CookieJar(unsafe=True)) as session:
        begun_at = (await browser.get("/console/sign-in/oidc", follow=False)).headers["Location"]
        visitor = Visitor(session, service.url)
        back = await visitor.goes("GET", begun_at)
        assert not back
        for fields in ({"login": "ada", "password": "x"}, {}):
            back = await visitor.fills(**fields)
        there = urlsplit(back)
        arrived = await browser.get(f"{there.path}?{there.query}")
        assert arrived.status == 200, browser.page
        assert "You are signed in" in browser.page
        assert (await browser.get("/console/jobs")).status == 200
        shown = service.run("audit", "list", "--action", "person.").stdout
        assert "ada@example.com" in shown
        # The same code again, in a sign-in of its own.
        await browser.send("/console/sign-out")
        again = (await browser.get("/console/sign-in/oidc", follow=False)).headers["Location"]
        state = re.search(r"state=([^&]+)", again)
        code = re.search(r"code=([^&]+)", there.query)
        assert state is not None
        assert code is not None
        refused = await browser.get(f"{CALLBACK}?code={code[1]}&state={state[1]}")
        assert refused.status == 403
        assert "expired or was used before" in browser.page


async def test_a_person_signs_in_from_the_command_line(service: Service) -> None:
    log = service.folder / "login.log"
    process = begun(
        ["login", "--no-browser"],
        cwd=service.folder,
        env={**service._environment(), "RUSHES_BASE_URL": service.url},
        stderr=log,
    )
    give_up = time.monotonic() + GENEROUS_S
    while (asked := re.search(r"open (\S+) and enter (\S+)", log.read_text() if log.exists() else "")) is None:
        assert time.monotonic() < give_up
        await asyncio.sleep(0.05)
    async with aiohttp.ClientSession(cookie_jar=aiohttp.CookieJar(unsafe=True)) as session:
        visitor = Visitor(session, service.url)
        await visitor.goes("GET", asked[1])
        await visitor.fills(user_code=asked[2])
        for fields in ({}, {"login": "ada", "password": "x"}, {}):
            await visitor.fills(**fields)
    assert await asyncio.to_thread(process.wait, GENEROUS_S) == 0, log.read_text()
    listed = service.run_client("jobs", "list")
    assert listed.returncode == 0, listed.stderr
    assert "person" in service.run("audit", "list", "--action", "person.").stdout
