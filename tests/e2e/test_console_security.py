"""The console as an attacker meets it, over real sockets."""

from __future__ import annotations

import pytest

from tests.fixtures.console import OWN_ORIGIN, Browser
from tests.fixtures.service import Client, Key, Service

SCRIPT = '"><script>alert(1)</script>'
ESCAPED = "&gt;&lt;script&gt;alert(1)&lt;/script&gt;"


async def test_a_session_cookie_is_for_the_console_alone(service: Service, key: Key) -> None:
    async with Browser(service) as browser:
        await browser.get("/console/sign-in")
        answer = await browser.send("/console/sign-in", {"key": key.text}, follow=False)
        assert answer.status == 303
        (cookie,) = [one for one in answer.headers.getall("Set-Cookie") if one.startswith("rushes_console=")]
        for part in ("HttpOnly", "Path=/console", "SameSite=strict"):
            assert part in cookie


async def test_the_api_takes_no_session_cookie(service: Service, key: Key) -> None:
    async with Browser(service) as browser, Client(service, None) as client:
        await browser.sign_in(key.text)
        stolen = browser.cookies["rushes_console"]
        for sent in (
            {"Cookie": f"rushes_console={stolen}; access_token={stolen}"},
            {"Authorization": f"Bearer {stolen}"},
        ):
            answer = await client.get("/api/v1/videos/jobs", headers=sent)
            answer.problem(401)


async def test_behind_tls_the_cookie_is_secure(service: Service, key: Key) -> None:
    async with Browser(service) as browser:
        await browser.get("/console/sign-in")
        answer = await browser.call(
            "POST",
            "/console/sign-in",
            data={"csrf": browser.csrf, "key": key.text},
            headers={**OWN_ORIGIN, "X-Forwarded-Proto": "https"},
            follow=False,
        )
        assert "Secure" in answer.headers["Set-Cookie"]


async def test_signing_out_ends_a_copied_cookie_too(service: Service, key: Key) -> None:
    async with Browser(service) as browser:
        await browser.sign_in(key.text)
        stolen = {"Cookie": f"rushes_console={browser.cookies['rushes_console']}"}
        await browser.send("/console/sign-out")
        async with Browser(service) as thief:
            answer = await thief.get("/console/jobs", headers=stolen, follow=False)
            assert answer.status == 303
            assert answer.headers["Location"].startswith("/console/sign-in")


async def test_revoking_the_key_ends_its_sessions_at_once(service: Service) -> None:
    key = service.key()
    async with Browser(service) as browser:
        await browser.sign_in(key.text)
        assert (await browser.get("/console/jobs", follow=False)).status == 200
        assert service.run("keys", "revoke", key.id).returncode == 0
        assert (await browser.get("/console/jobs", follow=False)).status == 303


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "https://evil.example"},
        {"Sec-Fetch-Site": "cross-site", "Origin": "https://evil.example"},
        {"Sec-Fetch-Site": "same-site"},
        {"Origin": "null"},
    ],
)
async def test_a_form_of_another_site_does_nothing(service: Service, key: Key, headers: dict[str, str]) -> None:
    async with Browser(service) as browser:
        await browser.sign_in(key.text)
        data = {"csrf": browser.csrf}
        answer = await browser.call("POST", "/console/playground/first", data=data, headers=headers)
        assert answer.status == 403
        assert "another site" in browser.page
        # Nor does it sign anybody in or out.
        answer = await browser.call("POST", "/console/sign-out", data=data, headers=headers)
        assert answer.status == 403
        assert (await browser.get("/console/jobs", follow=False)).status == 200


async def test_a_form_without_its_token_does_nothing(service: Service, key: Key) -> None:
    async with Browser(service) as browser, Client(service, key.text) as client:
        await browser.sign_in(key.text)
        before = (await client.jobs(limit=1))["total"]
        for token in ("", "0" * 64):
            data = {"csrf": token, "prompt": "made by nobody", "model": "animatic/storyboard"}
            answer = await browser.call("POST", "/console/playground", data=data, headers=OWN_ORIGIN, follow=False)
            assert answer.status == 200
            assert "Nothing was made yet" in answer.body.decode()
        answer = await browser.call(
            "POST", "/console/uploads", data=b"x", headers={**OWN_ORIGIN, "X-Requested-With": "fetch"}
        )
        assert answer.status == 403
        assert (await client.jobs(limit=1))["total"] == before


@pytest.mark.parametrize(
    "target",
    [
        "https://evil.example/",
        "//evil.example/console",
        "/\\evil.example",
        "/console/../../api/v1",
        "javascript:alert(1)",
        "/consolation",
        "/console\r\nSet-Cookie: a=b",
        "https:evil.example",
    ],
)
async def test_signing_in_leads_to_no_other_site(service: Service, key: Key, target: str) -> None:
    async with Browser(service) as browser:
        await browser.get("/console/sign-in", params={"next": target})
        answer = await browser.send("/console/sign-in", {**browser.hidden, "key": key.text}, follow=False)
        assert answer.headers["Location"] == "/console"
        await browser.get("/console/sign-in")
        answer = await browser.send("/console/theme", {"next": target, "theme": "dark"}, follow=False)
        assert answer.headers["Location"] == "/console"


async def test_no_page_may_be_framed_and_no_inline_script_runs(service: Service, key: Key) -> None:
    async with Browser(service) as browser:
        await browser.sign_in(key.text)
        for path in ("/console/jobs", "/console/playground", "/console/nowhere", "/console/static/nothing.js"):
            answer = await browser.get(path)
            policy = answer.headers["Content-Security-Policy"]
            assert "frame-ancestors 'none'" in policy
            assert "default-src 'none'" in policy
            assert "unsafe" not in policy
            assert answer.headers["X-Frame-Options"] == "DENY"
            assert "<script>" not in browser.page
            assert " style=" not in browser.page
            assert " onclick=" not in browser.page


async def test_a_script_in_a_prompt_is_text(service: Service, key: Key) -> None:
    async with Browser(service) as browser, Client(service, key.text) as client:
        job_id = (await client.create(prompt=SCRIPT))["job_id"]
        await browser.sign_in(key.text)
        for path in (
            "/console/jobs",
            f"/console/jobs/{job_id}",
            f"/console/playground?job={job_id}",
            "/console/compare",
        ):
            await browser.get(path, params={"job": job_id} if path.endswith("compare") else {})
            assert "<script>alert" not in browser.page
        await browser.get("/console/jobs", params={"q": SCRIPT, "model": SCRIPT})
        assert "<script>alert" not in browser.page
        assert ESCAPED in browser.page


async def test_a_script_in_a_model_id_or_an_error_is_text(service: Service, key: Key) -> None:
    async with Browser(service) as browser:
        await browser.sign_in(key.text)
        await browser.get("/console/playground", params={"model": SCRIPT, "prompt": SCRIPT, "aspect_ratio": SCRIPT})
        assert ESCAPED in browser.page
        assert "<script>alert" not in browser.page
        await browser.get(f"/console/jobs/{SCRIPT}")
        assert "<script>alert" not in browser.page
        await browser.get("/console/jobs", params={"status": SCRIPT})
        assert "<script>alert" not in browser.page


async def test_another_accounts_job_is_not_there(service: Service, key: Key) -> None:
    other = service.key(account="somebody-else")
    async with Browser(service) as browser, Client(service, other.text) as client:
        job_id = (await client.create())["job_id"]
        await browser.sign_in(key.text)
        for path in (f"/console/jobs/{job_id}", f"/console/jobs/{job_id}/events", f"/console/playground?job={job_id}"):
            assert (await browser.get(path)).status == 404
        for path in ("cancel", "delete", "use"):
            answer = await browser.send(f"/console/jobs/{job_id}/{path}", {"confirmed": "1"})
            assert answer.status == 404
        await browser.send("/console/jobs/picked", {"job": job_id, "action": "delete", "confirmed": "1"})
        assert (await client.job(job_id))["job_id"] == job_id


async def test_an_expired_session_keeps_what_was_typed(service: Service, key: Key) -> None:
    async with Browser(service) as browser:
        await browser.sign_in(key.text)
        await browser.get("/console/playground")
        service.change("UPDATE console_sessions SET expires_at = 0")
        typed = {"prompt": "a very long prompt, typed with care", "model": "animatic/storyboard", "seed": "7"}
        answer = await browser.send("/console/playground", typed)
        assert answer.status == 401
        assert "what you typed is kept" in browser.page
        answer = await browser.send("/console/sign-in", {**browser.hidden, "csrf": browser.csrf, "key": key.text})
        assert answer.status == 200
        assert "a very long prompt, typed with care" in browser.page
        assert 'value="7"' in browser.page
        answer = await browser.send("/console/playground", {**typed, "once": browser.hidden["once"]})
        assert browser.address.startswith("/console/jobs/job_")


async def test_a_provider_key_is_never_kept_in_a_page(service: Service, key: Key) -> None:
    secret = "sk-live-0123456789abcdef0123456789"
    async with Browser(service) as browser:
        await browser.sign_in(key.text)
        service.change("UPDATE console_sessions SET expires_at = 0")
        await browser.send("/console/playground", {"prompt": "x", "byok_api_key": secret})
        assert secret not in browser.page
        await browser.sign_in(key.text)
        await browser.get("/console/playground")
        await browser.send("/console/playground", {"prompt": "", "byok_api_key": secret})
        assert secret not in browser.page


async def test_a_sign_in_link_works_once(service: Service, key: Key) -> None:
    made = service.run("console", "--key", key.id, "--print")
    assert made.returncode == 0, made.stderr
    path = made.stdout.strip().partition(service.url)[2] or "/" + made.stdout.strip().split("/", 3)[3]
    async with Browser(service) as browser, Browser(service) as second:
        await second.get(path)
        assert "signs you in once" in second.page
        await browser.get(path)
        await browser.send("/console/sign-in/link", {"code": browser.hidden["code"]})
        assert browser.address == "/console/jobs"
        answer = await second.send("/console/sign-in/link", {"code": second.hidden["code"]})
        assert answer.status == 410
        assert (await second.get("/console/jobs", follow=False)).status == 303


async def test_only_hashes_of_sessions_are_stored(service: Service, key: Key) -> None:
    async with Browser(service) as browser:
        await browser.sign_in(key.text)
        token = browser.cookies["rushes_console"]
        assert token not in str(service.rows("SELECT * FROM console_sessions"))


async def test_a_script_in_what_others_said_is_text(service: Service, key: Key) -> None:
    async with Browser(service) as browser, Client(service, key.text) as client:
        job_id = (await client.create(model="animatic/fail", user=SCRIPT, webhook_url="https://receiver.invalid/"))[
            "job_id"
        ]
        await client.reached(job_id)
        said = ("model", "served_model", "error", "provider_error", "error_code", "trouble", "trouble_code",
                "provider_video_id")  # fmt: skip
        values = ", ".join(f"{column} = ?" for column in said)
        service.change(f"UPDATE jobs SET {values}, trouble_at = created_at WHERE id = ?", *[SCRIPT] * len(said), job_id)
        service.change("UPDATE webhook_deliveries SET last_error = ? WHERE job_id = ?", SCRIPT, job_id)
        ((delivery,),) = service.rows(f"SELECT min(id) FROM webhook_deliveries WHERE job_id = '{job_id}'")
        await browser.sign_in(key.text)
        for path in (
            "jobs",
            "jobs?view=rows",
            f"jobs/{job_id}",
            f"compare?job={job_id}",
            "usage",
            "webhooks",
            f"webhooks/deliveries/{delivery}",
        ):
            answer = await browser.get(f"/console/{path}")
            assert answer.status == 200, path
            assert "<script>alert" not in browser.page, path
            assert ESCAPED in browser.page, path
