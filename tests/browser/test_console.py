"""The console in a real Chromium: each flow with a pointer, and again with the keyboard alone."""

from __future__ import annotations

import base64
import io
import re

import pytest
from PIL import Image
from playwright.async_api import FilePayload, Page, expect

from tests.browser.hands import Hand, Keys, Pointer
from tests.fixtures.receiver import receiving
from tests.fixtures.service import Client, Key, Service

JOB = re.compile(r"/console/jobs/job_\w+$")

Image.init()


@pytest.fixture(params=[Pointer, Keys], ids=["pointer", "keys"])
def hand(request: pytest.FixtureRequest) -> Hand:
    """One of the two ways to use a page."""
    made: Hand = request.param()
    return made


def picture() -> bytes:
    """A small PNG."""
    content = io.BytesIO()
    Image.new("RGB", (320, 180), (200, 90, 20)).save(content, "PNG")
    return content.getvalue()


async def signed_in(page: Page, service: Service, key: str, hand: Hand, path: str = "") -> None:
    """Open a page of the console with this key."""
    await page.goto(f"{service.url}/console{path}")
    await hand.write(page.get_by_label("API key"), key)
    await page.keyboard.press("Enter")
    await page.wait_for_url(lambda url: "/sign-in" not in url)


async def new_key(service: Service, admin: str, account: str) -> str:
    """A test key of a new account."""
    async with Client(service, admin) as client:
        made = (await client.post("/api/v1/admin/accounts", json={"name": account})).json()
        keys = f"/api/v1/admin/accounts/{made['id']}/keys"
        return str((await client.post(keys, json={"mode": "test"})).json()["key"])


def copy_job(service: Service, job_id: str, copies: int) -> None:
    """Store more finished jobs like this one."""
    columns = [name for _, name, *_ in service.rows("PRAGMA table_info(jobs)") if name != "seq"]
    values = ", ".join({"id": "'job_' || hex(randomblob(12))"}.get(column, column) for column in columns)
    service.change(
        "WITH RECURSIVE number(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM number WHERE n < ?)"
        f" INSERT INTO jobs ({', '.join(columns)}) SELECT {values} FROM jobs, number WHERE id = ?",
        copies,
        job_id,
    )


async def test_a_first_video_is_made_watched_and_played(page: Page, service: Service, admin: str, hand: Hand) -> None:
    key = await new_key(service, admin, f"first-{type(hand).__name__}")
    await signed_in(page, service, key, hand)
    await hand.press(page.get_by_role("button", name="Make a first video"))
    await page.wait_for_url(JOB)
    video = page.locator("video")
    await expect(video).to_be_visible()
    await expect(page.get_by_text("Completed", exact=True).first).to_be_visible()
    assert await video.evaluate("one => { one.muted = true; return one.play().then(() => one.duration) }") > 0
    await video.evaluate("one => new Promise(done => { one.onseeked = done; one.currentTime = 1 })")
    assert await video.evaluate("one => one.currentTime") >= 1
    await hand.press(page.get_by_role("link", name="Jobs", exact=True).last)
    await expect(page.get_by_role("heading", name="Jobs")).to_be_visible()
    await expect(page.locator(".shot img")).to_have_count(1)


async def test_a_dropped_image_is_generated_from(page: Page, service: Service, key: Key, hand: Hand) -> None:
    await signed_in(page, service, key.text, hand, "/playground?model=animatic/storyboard")
    await hand.write(page.get_by_label("Prompt", exact=True), "A lighthouse, from this picture")
    drop = page.locator('[data-drop="input_image"]')
    if isinstance(hand, Pointer):
        data = await page.evaluate_handle(
            """text => {
                const bytes = Uint8Array.from(atob(text), (one) => one.charCodeAt(0));
                const transfer = new DataTransfer();
                transfer.items.add(new File([bytes], '"><img src=x onerror=alert(1)>.png', { type: "image/png" }));
                return transfer;
            }""",
            base64.b64encode(picture()).decode(),
        )
        await drop.locator(".drop").dispatch_event("drop", {"dataTransfer": data})
    else:
        file: FilePayload = {"name": '"><img src=x onerror=alert(1)>.png', "mimeType": "image/png", "buffer": picture()}
        await drop.locator("[data-file]").set_input_files([file])
    await expect(drop.locator(".thumb .name")).to_have_text('"><img src=x onerror=alert(1)>.png')
    await expect(page.locator("#text-curl")).to_contain_text("upload_")
    await hand.press(page.get_by_role("button", name="Generate"))
    await page.wait_for_url(JOB)
    await expect(page.locator("dt", has_text="input_image")).to_be_visible()
    await expect(page.locator("video")).to_be_visible()
    # Run again: the form has the same picture.
    await hand.press(page.get_by_role("link", name="Run again"))
    await expect(page.locator('[data-drop="input_image"] .thumb')).to_have_count(1)
    await expect(page.get_by_label("Prompt", exact=True)).to_have_value("A lighthouse, from this picture")


async def test_a_pasted_image_finds_its_place(page: Page, service: Service, key: Key) -> None:
    await signed_in(page, service, key.text, Pointer(), "/playground?model=animatic/storyboard")
    await page.evaluate(
        """text => {
            const bytes = Uint8Array.from(atob(text), (one) => one.charCodeAt(0));
            const clipboardData = new DataTransfer();
            clipboardData.items.add(new File([bytes], "pasted.png", { type: "image/png" }));
            const paste = new ClipboardEvent("paste", { clipboardData, bubbles: true, cancelable: true });
            document.body.dispatchEvent(paste);
        }""",
        base64.b64encode(picture()).decode(),
    )
    await expect(page.locator('[data-drop="input_image"] .thumb')).to_have_count(1)


async def test_options_and_price_follow_the_form(page: Page, google: Service, live_key: str, hand: Hand) -> None:
    await signed_in(page, google, live_key, hand, "/playground?model=google/veo-3.1-generate-preview")
    price = page.locator(".price")
    await expect(price).to_contain_text("$")
    before = await price.inner_text()
    await hand.write(page.get_by_label("Prompt", exact=True), "quick")
    await page.get_by_role("radio", name="4 s").check(force=True)
    await expect(price).not_to_have_text(before)
    await expect(page.locator("#text-curl")).to_contain_text('"duration": 4')
    await hand.press(page.get_by_role("tab", name="curl"))
    await page.keyboard.press("ArrowRight")
    await expect(page.locator("#text-python")).to_contain_text("client.generate(")
    await hand.select(page.get_by_label("Model", exact=True), "animatic/storyboard")
    await expect(page.locator('[data-drop="reference_image"]')).to_be_visible()
    await expect(price).to_have_text("$0.00")


async def test_a_video_is_extended(page: Page, service: Service, key: Key, hand: Hand) -> None:
    async with Client(service, key.text) as client:
        job_id = (await client.create(prompt="to be continued"))["job_id"]
        await client.completed([job_id])
    await signed_in(page, service, key.text, hand, f"/jobs/{job_id}")
    await hand.press(page.get_by_role("button", name="Use as input"))
    await page.wait_for_url("**/playground?*")
    await expect(page.locator('[data-drop="video"] .thumb')).to_have_count(1)
    await hand.press(page.get_by_role("button", name="Generate"))
    await page.wait_for_url(JOB)
    await expect(page.locator("video")).to_be_visible()


async def test_a_pending_job_is_cancelled(page: Page, held: Service, hand: Hand) -> None:
    key = held.key()
    async with Client(held, key.text) as client:
        job_id = (await client.create())["job_id"]
    await signed_in(page, held, key.text, hand, f"/jobs/{job_id}")
    await expect(page.get_by_text("so that it can still be cancelled")).to_be_visible()
    await hand.press(page.get_by_role("button", name="Cancel"))
    await expect(page.get_by_text("Cancelled before anything was charged.")).to_be_visible()


async def test_jobs_are_filtered_paged_picked_and_deleted(page: Page, service: Service, admin: str, hand: Hand) -> None:
    key = await new_key(service, admin, f"many-{type(hand).__name__}")
    async with Client(service, key) as client:
        jobs = [(await client.create(prompt=prompt))["job_id"] for prompt in ("one of many", "a needle")]
        await client.completed(jobs)
        copy_job(service, jobs[0], 52)
    await signed_in(page, service, key, hand)
    await expect(page.locator(".job")).to_have_count(50)
    await hand.press(page.get_by_role("link", name="Older"))
    await expect(page.locator(".job")).to_have_count(4)
    await hand.press(page.get_by_role("link", name="Newest"))
    await hand.write(page.get_by_label("Words in the prompt"), "NEEDLE")
    await hand.press(page.get_by_role("button", name="Filter"))
    await expect(page.locator(".job")).to_have_count(1)
    await hand.tick(page.get_by_label("Pick “a needle”"))
    await expect(page.get_by_text("1 picked")).to_be_visible()
    await hand.press(page.get_by_role("button", name="Delete"))
    await hand.press(page.get_by_role("main").get_by_role("button", name="Delete"))
    await expect(page.get_by_text("Deleted, with the videos.")).to_be_visible()
    await hand.press(page.get_by_role("link", name=re.compile("^Failed")))
    await expect(page.get_by_text("No job matches")).to_be_visible()


async def test_a_message_is_sent_again(page: Page, service: Service, admin: str, hand: Hand) -> None:
    key = await new_key(service, admin, f"told-{type(hand).__name__}")
    with receiving() as receiver:
        await signed_in(page, service, key, hand, "/webhooks")
        await hand.write(page.get_by_label("URL", exact=True), f"{receiver.url}/ok")
        await hand.press(page.get_by_role("button", name="Add"))
        await expect(page.get_by_text("whsec_")).to_be_visible()
        async with Client(service, key) as client:
            await client.completed([(await client.create())["job_id"]])
        await hand.press(page.get_by_role("link", name="I have copied it"))
        await hand.press(page.get_by_role("button", name="Send a ping"))
        await expect(page.get_by_text("The receiver accepted the ping")).to_be_visible()
        await hand.press(page.get_by_role("link", name="video.completed"))
        await expect(page.get_by_label("Body as JSON")).to_contain_text('"type": "video.completed"')
        await hand.press(page.get_by_role("link", name="Webhooks").last)
        await hand.press(page.get_by_role("button", name=re.compile("Send again")).first)
        await expect(page.get_by_text("It is sent again now")).to_be_visible()


async def test_a_key_is_made_and_revoked(page: Page, service: Service, key: Key, hand: Hand) -> None:
    name = f"made by {type(hand).__name__}"
    await signed_in(page, service, key.text, hand, "/keys")
    await hand.write(page.get_by_label("Name", exact=True), name)
    await hand.press(page.get_by_role("button", name="Make the key"))
    made = await page.locator("#key-text").inner_text()
    assert made.startswith("rushes_test_")
    await hand.press(page.get_by_role("link", name="I have copied it"))
    await expect(page.get_by_text(made)).to_have_count(0)
    await hand.press(page.get_by_role("button", name=f"Revoke {name}"))
    await hand.press(page.get_by_role("dialog").get_by_role("button", name="Keep"))
    await expect(page.get_by_role("dialog")).to_have_count(0)
    await hand.press(page.get_by_role("button", name=f"Revoke {name}"))
    await hand.press(page.get_by_role("dialog").get_by_role("button", name=re.compile("^Revoke")))
    await expect(page.get_by_text("Revoked. It stopped working at once.")).to_be_visible()
    async with Client(service, made) as client:
        (await client.get("/api/v1/videos/jobs")).problem(401)


async def test_an_operator_settles_a_job(page: Page, service: Service, admin: str, key: Key, hand: Hand) -> None:
    async with Client(service, key.text) as client:
        job_id = (await client.create())["job_id"]
        await client.completed([job_id])
        service.change(
            "INSERT INTO unsettled_jobs (job_id, account_id, key_id, provider, model, accepted_at, reserved_microusd,"
            " spent_microusd, since, cause) SELECT id, account_id, key_id, provider, model, created_at, 500000, 0,"
            " created_at, 'submission_unknown' FROM jobs WHERE id = ?",
            job_id,
        )
        service.change("UPDATE jobs SET reserved_microusd = 500000 WHERE id = ?", job_id)
        await signed_in(page, service, admin, hand, "/operations")
        await hand.write(page.get_by_label(f"What {job_id} cost in USD"), "0.25")
        await hand.press(page.get_by_role("button", name="Record what it cost"))
        await expect(page.get_by_text("Done; the job's timeline shows it.")).to_be_visible()
        assert (await client.job(job_id))["usage"]["cost"] == 0.25


async def test_a_link_from_another_site_finds_the_session(page: Page, service: Service, key: Key) -> None:
    await signed_in(page, service, key.text, Pointer())
    other = f"http://localhost:{service.port}/healthz"
    body = f'<!doctype html><link rel="icon" href="data:,"><a href="{service.url}/console/usage">x</a>'
    await page.route(other, lambda route: route.fulfill(content_type="text/html", body=body))
    await page.goto(other)
    await page.get_by_role("link", name="x").click()
    await expect(page.get_by_role("heading", name="Usage")).to_be_visible()


async def test_a_sign_in_link_opens_the_console(page: Page, service: Service, key: Key) -> None:
    made = service.run("console", "--key", key.id, "--print", "--base-url", service.url)
    await page.goto(made.stdout.strip())
    await expect(page.get_by_role("heading", name="Jobs")).to_be_visible()


async def test_the_theme_is_chosen_and_kept(page: Page, service: Service, key: Key, hand: Hand) -> None:
    await signed_in(page, service, key.text, hand)
    await hand.press(page.get_by_role("button", name="Dark theme").last)
    await expect(page.locator("html")).to_have_attribute("data-theme", "dark")
    await page.reload()
    await expect(page.locator("html")).to_have_attribute("data-theme", "dark")


async def test_on_a_phone_the_menu_opens_and_nothing_is_cut_off(page: Page, service: Service, key: Key,
                                                                hand: Hand) -> None:  # fmt: skip
    await page.set_viewport_size({"width": 360, "height": 740})
    await signed_in(page, service, key.text, hand)
    menu = page.locator(".menu summary")
    await hand.press(menu)
    await hand.press(page.locator(".menu").get_by_role("link", name="Keys"))
    await expect(page.get_by_role("heading", name="Keys", exact=True)).to_be_visible()
    for path in ("jobs", "playground", "models", "usage", "keys", "webhooks"):
        await page.goto(f"{service.url}/console/{path}")
        assert await page.evaluate("document.documentElement.scrollWidth") <= 360, path
