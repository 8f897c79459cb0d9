"""The console's pages as a browser without scripts uses them, over real sockets."""

from __future__ import annotations

import io
import re
import zipfile

import aiohttp
import pytest

from tests.e2e.conftest import Start
from tests.fixtures.console import OWN_ORIGIN, Browser
from tests.fixtures.receiver import receiving
from tests.fixtures.service import Client, Key, Service


@pytest.fixture(scope="module")
def admin(service: Service) -> Key:
    """A live key that may do everything."""
    made = service.run("keys", "create", "--scope", "read", "--scope", "generate", "--scope", "admin")
    found = re.search(r"\((key_\w+)\)", made.stderr)
    assert found is not None
    return Key(found[1], made.stdout.splitlines()[-1])


async def test_every_page_opens(service: Service, admin: Key) -> None:
    async with Browser(service) as browser:
        await browser.sign_in(admin.text)
        for path in ("jobs", "jobs?view=rows", "playground", "models", "models/google/veo-3.1-generate-001", "usage",
                     "usage?days=90", "keys", "webhooks", "operations", "accounts", "audit"):  # fmt: skip
            answer = await browser.get(f"/console/{path}")
            assert answer.status == 200, path
            assert "<h1" in browser.page


async def test_a_first_video_is_one_click_away(service: Service) -> None:
    key = service.key(account="newcomer")
    async with Browser(service) as browser, Client(service, key.text) as client:
        await browser.sign_in(key.text)
        assert "No jobs yet: here is a first one" in browser.page
        await browser.send("/console/playground/first")
        job_id = browser.address.rpartition("/")[2]
        await client.completed([job_id])
        await browser.get(f"/console/jobs/{job_id}")
        source = re.search(r'<source src="([^"]+)"', browser.page)
        assert source is not None
        video = await browser.get(source[1].replace("&amp;", "&"))
        assert video.status == 200
        assert video.headers["Content-Type"] == "video/mp4"


async def test_a_form_sent_twice_makes_one_job(service: Service, key: Key) -> None:
    async with Browser(service) as browser:
        await browser.sign_in(key.text)
        await browser.get("/console/playground")
        form = {"prompt": "only once", "model": "animatic/storyboard", "duration": "1", "once": browser.hidden["once"]}
        token = browser.csrf
        addresses = set()
        for _ in range(2):
            await browser.call("POST", "/console/playground", data={**form, "csrf": token}, headers=OWN_ORIGIN)
            addresses.add(browser.address)
        assert len(addresses) == 1
        await browser.call(
            "POST", "/console/playground", data={**form, "csrf": token, "prompt": "changed"}, headers=OWN_ORIGIN
        )
        assert browser.address not in addresses


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"prompt": ""}, "prompt"),
        ({"aspect_ratio": "7:5"}, "7:5"),
        ({"duration": "soon"}, "is not a whole number"),
        ({"seed": "1e3"}, "is not a whole number"),
        ({"additional_params": "{"}, "correct JSON"),
        ({"input_image": "http://127.0.0.1/x.png"}, "input_image"),
        ({"input_image": "upload_000000000000000000000000"}, "there is no upload"),
        ({"model": "google/veo-99"}, "not found"),
    ],
)
async def test_a_form_that_is_wrong_comes_back_with_what_was_typed(
    service: Service, key: Key, fields: dict[str, str], said: str
) -> None:
    async with Browser(service) as browser:
        await browser.sign_in(key.text)
        await browser.get("/console/playground")
        form = {
            "prompt": "typed with care",
            "model": "google/veo-3.0-generate-001",
            "negative_prompt": "rain",
            **fields,
        }
        answer = await browser.send("/console/playground", form)
        assert 400 <= answer.status < 500
        assert said in browser.page
        assert form["negative_prompt"] in browser.page
        assert form["prompt"] in browser.page


async def test_one_prompt_runs_on_several_models(service: Service, key: Key) -> None:
    async with Browser(service) as browser:
        await browser.sign_in(key.text)
        await browser.get("/console/playground")
        form = aiohttp.FormData({"csrf": browser.csrf, "prompt": "side by side", "duration": "4"})
        for name, value in (
            ("model", "google/veo-3.1-generate-001"), ("also", "animatic/storyboard"), ("also", "animatic/slow"),
            ("aspect_ratio", "9:16"), ("seed", "0"), ("once", browser.hidden["once"]),
        ):  # fmt: skip
            form.add_field(name, value)
        await browser.call("POST", "/console/playground", data=form, headers=OWN_ORIGIN)
        assert browser.address.startswith("/console/compare?job=")
        for name in ("google/veo-3.1-generate-001", "animatic/storyboard", "animatic/slow"):
            assert name in browser.page


async def test_the_preview_prices_each_model_and_says_what_differs(service: Service, admin: Key) -> None:
    async with Browser(service) as browser:
        await browser.sign_in(admin.text)
        await browser.get("/console/playground")
        form = {"csrf": browser.csrf, "prompt": "", "model": "animatic/storyboard", "duration": "7"}
        answer = await browser.call(
            "POST",
            "/console/playground/preview",
            data=[*form.items(), ("also", "google/veo-3.1-generate-001"), ("byok_api_key", "AIza" + "x" * 35)],
            headers={**OWN_ORIGIN, "X-Requested-With": "fetch"},
        )
        parts = answer.json()
        assert "Duration 7 is not offered: its default 8 is used" in parts["quote"]
        assert "x" * 35 not in answer.body.decode()
        assert "BYOK_KEY" in parts["code"]


async def test_the_search_says_how_far_it_came(service: Service, key: Key) -> None:
    async with Browser(service) as browser, Client(service, key.text) as client:
        await client.create(prompt='A "Straße" in the RAIN')
        await browser.sign_in(key.text)
        for words, found in (("strasse rain", 1), ('"straße"', 1), ("strasse sun", 0)):
            await browser.get("/console/jobs", params={"q": words})
            assert f"{found} found in the newest" in browser.page, words


async def test_picked_videos_come_as_one_file(service: Service, key: Key) -> None:
    async with Browser(service) as browser, Client(service, key.text) as client:
        jobs = [(await client.create(prompt=f"packed {number}"))["job_id"] for number in range(2)]
        await client.completed(jobs)
        await browser.sign_in(key.text)
        await browser.get("/console/jobs")
        data = [("csrf", browser.csrf), ("action", "download"), *(("job", job_id) for job_id in jobs)]
        answer = await browser.call("POST", "/console/jobs/picked", data=data, headers=OWN_ORIGIN)
        assert answer.headers["Content-Type"] == "application/zip"
        with zipfile.ZipFile(io.BytesIO(answer.body)) as archive:
            assert archive.testzip() is None
            assert sorted(archive.namelist()) == sorted(f"{job_id}-0.mp4" for job_id in jobs)
        await browser.send("/console/jobs/picked", {"action": "delete", "job": jobs[0]})
        assert "Delete 1 job?" in browser.page
        await browser.send("/console/jobs/picked", {"action": "delete", "job": jobs[0], "confirmed": "1"})
        (await client.get(f"/api/v1/videos/jobs/{jobs[0]}")).problem(404)


async def test_a_video_becomes_the_input_of_the_next(service: Service, key: Key) -> None:
    async with Browser(service) as browser, Client(service, key.text) as client:
        job_id = (await client.create(prompt="to be continued"))["job_id"]
        await client.completed([job_id])
        await browser.sign_in(key.text)
        await browser.send(f"/console/jobs/{job_id}/use")
        given = {name: browser.hidden[name] for name in ("video", "previous_job_id") if name in browser.hidden}
        assert given
        form = {"prompt": "and on", "model": "animatic/storyboard", "user": "alice", "metadata": "shot=12", **given}
        await browser.send("/console/playground", form)
        assert browser.address.startswith("/console/jobs/job_")
        assert "alice" in browser.page
        # Run again: the form asks for the same.
        await browser.get("/console/playground", params={"job": browser.address.rpartition("/")[2]})
        assert browser.hidden["previous_job_id"] == job_id
        assert "shot=12" in browser.page
        await browser.send("/console/playground", form)
        assert browser.address.startswith("/console/jobs/job_")
        await browser.get("/console/jobs", params={"user": "alice"})
        assert browser.page.count('class="job"') == 2
        await browser.get("/console/usage")
        assert "By user tag" in browser.page


async def test_a_key_is_made_shown_once_and_revoked(service: Service, key: Key) -> None:
    async with Browser(service) as browser:
        await browser.sign_in(key.text)
        await browser.get("/console/keys")
        await browser.send("/console/keys", {"name": "made <b>here</b>", "mode": "test", "scopes": "read"})
        found = re.search(r"rushes_test_\w{40}", browser.page)
        assert found is not None
        async with Client(service, found[0]) as client:
            (await client.get("/api/v1/videos/jobs")).ok()
            await browser.get("/console/keys")
            assert found[0] not in browser.page
            assert "made &lt;b&gt;here&lt;/b&gt;" in browser.page
            revoke = re.search(r'action="(/console/keys/key_\w+/revoke)"', browser.page)
            assert revoke is not None
            await browser.send(revoke[1])
            assert "stops working at once" in browser.page
            await browser.send(revoke[1], {"confirmed": "1"})
            (await client.get("/api/v1/videos/jobs")).problem(401)


async def test_a_test_key_makes_no_live_key(service: Service, key: Key) -> None:
    async with Browser(service) as browser:
        await browser.sign_in(key.text)
        await browser.get("/console/keys")
        for fields in ({"mode": "live", "scopes": "read"}, {"mode": "test", "scopes": "admin"}):
            answer = await browser.send("/console/keys", {"name": "more", **fields})
            assert answer.status == 403
            assert not re.search(r"rushes_(live|test)_\w{40}", browser.page)


async def test_a_key_that_may_only_look_sees_no_way_to_change(service: Service) -> None:
    made = service.run("keys", "create", "--test", "--scope", "read")
    async with Browser(service) as browser:
        await browser.sign_in(made.stdout.splitlines()[-1])
        assert "/console/playground" not in browser.page
        for path in ("/console/playground", "/console/operations", "/console/accounts"):
            assert (await browser.get(path)).status == 403
        await browser.get("/console/jobs")
        assert (await browser.send("/console/playground/first")).status == 403


async def test_a_webhook_is_made_tested_and_a_message_sent_again(start: Start) -> None:
    with receiving() as receiver:
        service = start(RUSHES_NET_ALLOW__WEBHOOKS='["127.0.0.0/8"]')
        key = service.key()
        async with Browser(service) as browser, Client(service, key.text) as client:
            await browser.sign_in(key.text)
            await browser.get("/console/webhooks")
            await browser.send(
                "/console/webhooks", {"url": receiver.url + "?token=secret", "description": "<i>mine</i>"}
            )
            assert "whsec_" in browser.page
            hook = re.search(r"/console/webhooks/(whe_\w+)", browser.page)
            assert hook is not None
            await browser.send(f"/console/webhooks/{hook[1]}/test")
            assert "The receiver accepted the ping" in browser.page
            assert "token=secret" not in browser.page
            await client.completed([(await client.create())["job_id"]])
            await browser.get(f"/console/webhooks/{hook[1]}")
            again = re.search(r'action="(/console/webhooks/deliveries/\w+/again)"', browser.page)
            assert again is not None
            await browser.send(again[1])
            assert "It is sent again now" in browser.page
            await browser.send(f"/console/webhooks/{hook[1]}/delete", {"confirmed": "1"})
            assert browser.address == "/console/webhooks"


async def test_an_operator_settles_a_job(service: Service, admin: Key, key: Key) -> None:
    async with Browser(service) as browser, Client(service, key.text) as client:
        job_id = (await client.create(prompt="to be settled"))["job_id"]
        await client.completed([job_id])
        service.change(
            "INSERT INTO unsettled_jobs (job_id, account_id, key_id, provider, model, accepted_at, reserved_microusd,"
            " spent_microusd, since, cause) SELECT id, account_id, key_id, provider, model, created_at, 500000, 0,"
            " created_at, 'submission_unknown' FROM jobs WHERE id = ?",
            job_id,
        )
        service.change("UPDATE jobs SET reserved_microusd = 500000 WHERE id = ?", job_id)
        await browser.sign_in(admin.text)
        await browser.get("/console/operations")
        assert job_id in browser.page
        await browser.send(f"/console/operations/jobs/{job_id}", {"action": "settle", "cost_usd": "a lot"})
        assert "must be a number of dollars" in browser.page
        await browser.send(f"/console/operations/jobs/{job_id}", {"action": "recover"})
        assert job_id in browser.page
        await browser.send(f"/console/operations/jobs/{job_id}", {"action": "write_off"})
        assert "This cannot be undone" in browser.page
        await browser.send(f"/console/operations/jobs/{job_id}", {"action": "settle", "cost_usd": "0.25"})
        assert "Done" in browser.page
        assert (await client.job(job_id))["usage"]["cost"] == 0.25


async def test_an_account_gets_limits_and_is_disabled(service: Service, admin: Key) -> None:
    async with Browser(service) as browser:
        await browser.sign_in(admin.text)
        await browser.get("/console/accounts")
        await browser.send("/console/accounts", {"name": "limited"})
        path = browser.address
        assert path.startswith("/console/accounts/acct_")
        await browser.send(f"{path}/limits", {"spend_day": "-1", "queued_jobs": "5"})
        assert "Must be 0 to" in browser.page
        await browser.send(f"{path}/limits", {"spend_day": "12.5", "queued_jobs": "5"})
        assert 'value="12.5"' in browser.page
        assert 'value="5"' in browser.page
        await browser.send(path, {"action": "disable"})
        assert "Disabled" in browser.page
        answer = await browser.send("/console/accounts", {"name": "limited"})
        assert answer.status == 400
        assert "already" in browser.page


async def test_an_account_gets_models_and_defaults(service: Service, admin: Key) -> None:
    async with Browser(service) as browser, Client(service, admin.text) as client:
        await browser.sign_in(admin.text)
        await browser.get("/console/accounts")
        await browser.send("/console/accounts", {"name": "choosy"})
        path = browser.address
        settings = f"/api/v1/admin{path.removeprefix('/console')}/settings"
        form = {
            "models": " google/* \n\nseedance-99\n",
            "default_model": "google/veo-3.1-generate-001",
            "fallback_models": "google/veo-3.1-lite-generate-001\nanimatic/storyboard",
            "on_retired": "refuse",
            "retention_s": "30d",
        }
        for field, value, said in (
            ("models", "google/*\nno good", "&#39;no good&#39;: must be 1 to 200 letters"),
            ("models", "x\n" * 101, "at most 100 items"),
            ("default_model", "veo-99", "not found"),
            ("fallback_models", "animatic/storyboard\nveo-99", "&#39;veo-99&#39;: model"),
            ("fallback_models", "animatic/storyboard\n" * 6, "at most 5 items"),
            ("on_retired", "shrug", "&#39;successor&#39; or &#39;refuse&#39;"),
            ("retention_s", "a while", "such as 12h, 30d or 8w"),
            ("retention_s", "5300w", "less than or equal to"),
        ):
            answer = await browser.send(f"{path}/settings", {**form, field: value})
            assert answer.status == 400, (field, answer.status)
            assert said in browser.page, (field, said)
            assert "30d" in browser.page or field == "retention_s", "what was typed stays"
        await browser.send(f"{path}/settings", form)
        assert "Saved" in browser.page
        assert "seedance-99&#39; matches no model" in browser.page
        given = (await client.get(settings)).ok()
        assert given["models"] == ["google/*", "seedance-99"]
        assert given["default_model"] == form["default_model"]
        assert given["fallback_models"] == ["google/veo-3.1-lite-generate-001", "animatic/storyboard"]
        assert (given["on_retired"], given["retention_s"]) == ("refuse", 30 * 86_400)
        # What the API has stored and no one would type stays as it is, unless it is changed.
        (await client.call("PUT", settings, json={"retention_s": 0.5})).ok()
        await browser.get(path)
        assert 'value="0.5s"' in browser.page
        await browser.send(f"{path}/settings", {"retention_s": "0.5s"})
        given = (await client.get(settings)).ok()
        assert given == dict.fromkeys(given, None) | {"retention_s": 0.5, "warnings": []}
    async with Browser(service) as browser:
        await browser.sign_in(service.key(test=False).text)
        assert (await browser.send(f"{path}/settings", form)).status == 403


async def test_the_page_of_a_job_can_be_followed(service: Service, key: Key) -> None:
    async with Browser(service) as browser, Client(service, key.text) as client:
        job_id = (await client.create())["job_id"]
        await browser.sign_in(key.text)
        answer = await browser.get(f"/console/jobs/{job_id}/events")
        text = answer.body.decode()
        assert "event: ended" in text
        last = re.findall(r"^id: (\S+)$", text, re.MULTILINE)[-1]
        answer = await browser.get(f"/console/jobs/{job_id}/events", headers={"Last-Event-ID": last})
        assert answer.status == 204


async def test_static_files_are_kept_for_good(service: Service) -> None:
    async with Browser(service) as browser:
        await browser.get("/console/sign-in")
        path = re.search(r'href="(/console/static/console\.\w+\.css)"', browser.page)
        assert path is not None
        answer = await browser.get(path[1])
        assert "immutable" in answer.headers["Cache-Control"]
        answer = await browser.get(path[1], headers={"If-None-Match": answer.headers["ETag"]})
        assert answer.status == 304


async def test_the_console_can_be_turned_off(start: Start) -> None:
    service = start(RUSHES_CONSOLE="false")
    async with Browser(service) as browser:
        (await browser.get("/console")).problem(404)


async def test_the_audit_page_shows_who_did_what_and_finds_it_again(service: Service, admin: Key) -> None:
    async with Browser(service) as browser:
        await browser.sign_in(admin.text)
        await browser.get("/console/accounts")
        await browser.send("/console/accounts", {"name": "<b>audited</b>"})
        account_id = browser.address.rpartition("/")[2]
        await browser.get(f"/console/audit?subject_id={account_id}")
        assert "account.create" in browser.page
        assert "&lt;b&gt;audited" in browser.page
        assert "<b>audited" not in browser.page
        assert admin.id in browser.page
        await browser.get("/console/audit?action=key.&account_id=acct_none")
        assert "No entry matches" in browser.page
    async with Browser(service) as browser:
        await browser.sign_in(service.key(test=False).text)
        assert (await browser.get("/console/audit")).status == 403


async def test_a_messages_body_is_shown_to_its_account_alone(service: Service, admin: Key, key: Key) -> None:
    async with Client(service, key.text) as client:
        receiver = "https://receiver.invalid/hook?token=hush"
        job_id = (await client.create(prompt="<script>x</script>", webhook_url=receiver))["job_id"]
        await client.reached(job_id)
    async with Browser(service) as browser:
        await browser.sign_in(key.text)
        await browser.get("/console/webhooks")
        link = re.search(r'href="(/console/webhooks/deliveries/\w+)"', browser.page)
        assert link is not None
        assert (await browser.get(link[1])).status == 200
        assert "&#34;type&#34;: &#34;video." in browser.page
        assert job_id in browser.page
        assert "<script>x" not in browser.page
        assert "hush" not in browser.page
    async with Browser(service) as browser:
        await browser.sign_in(service.key(account="somebody else").text)
        assert (await browser.get(link[1])).status == 404
