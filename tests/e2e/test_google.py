"""Google as it is today, through the whole service: the retired default model, refusals, failures and downloads."""

from __future__ import annotations

import asyncio
import base64
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.conftest import Start
from tests.fixtures.google import DEFAULT, OMNI, OPERATOR_KEY, google_settings, keys_of, submits
from tests.fixtures.media import image, video
from tests.fixtures.service import Client, Service, until
from tests.fixtures.upstreams.gemini import Gemini
from tests.fixtures.upstreams.gemini_scripts import ENDINGS, POLL_ACCIDENTS

SLOW = {"poll-hang", "download-endless", "download-stall"}
"""Scripts that take as long as our time limits do."""


async def made(client: Client, **fields: Any) -> dict[str, Any]:
    """The job of an accepted generation at Google, ended."""
    envelope = (await client.generate(**fields)).ok()
    job = await client.reached(envelope["job_id"])
    assert job["progress"] == 100 or job["status"] == "failed"
    return job


# --- the retired default


@pytest.mark.parametrize(
    "fields",
    [{}, {"model": DEFAULT}, {"model": f"google/{DEFAULT}"}, {"provider": "google"}],
    ids=["by default", "bare", "prefixed", "by provider"],
)
async def test_the_default_model_runs_on_its_successor(live: Client, fake: Gemini, fields: dict[str, Any]) -> None:
    prompt = f"a lighthouse {sorted(fields.items())}"
    answer = await live.generate(prompt=prompt, **fields)
    envelope = answer.ok()
    assert (envelope["model"], envelope["served_model"], envelope["provider"]) == (DEFAULT, OMNI, "google")
    assert any(DEFAULT in warning and OMNI in warning for warning in envelope["warnings"])
    assert answer.headers["Deprecation"] == "@1782777600"
    assert answer.headers["Sunset"] == "Tue, 30 Jun 2026 00:00:00 GMT"
    assert (envelope["usage"]["estimated"], envelope["usage"]["currency"]) == (True, "USD")
    assert envelope["usage"]["cost"] > 0
    job = await live.reached(envelope["job_id"])
    assert (job["status"], job["model"], job["served_model"]) == ("completed", DEFAULT, OMNI)
    assert job["warnings"] == envelope["warnings"]
    assert job["provider_video_id"].startswith("v1_")
    (sent,) = submits(fake, prompt)
    assert sent.json["model"] == OMNI
    assert sent.json["response_format"] == {
        "type": "video", "delivery": "uri", "aspect_ratio": "16:9", "resolution": "720p", "duration": "8s"
    }  # fmt: skip
    assert sent.json["background"] is True
    assert keys_of([sent]) == {OPERATOR_KEY}


async def test_the_successor_asked_for_itself_has_its_own_default(live: Client, fake: Gemini) -> None:
    answer = await live.generate(prompt="omni itself", model=OMNI)
    envelope = answer.ok()
    assert envelope["warnings"] == []
    assert "Deprecation" not in answer.headers
    await live.completed([envelope["job_id"]])
    (sent,) = submits(fake, "omni itself")
    assert sent.json["response_format"]["duration"] == "10s"


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"negative_prompt": "rain"}, "negative_prompt"),
        ({"generate_audio": False}, "generate_audio"),
        ({"person_generation": "allow_adult"}, "person_generation"),
        ({"seed": 0}, "seed"),
        ({"additional_params": {"seed": 7}}, "seed"),
    ],
)
async def test_what_only_the_retired_model_could_do_is_refused_with_both_names(
    live: Client, fake: Gemini, fields: dict[str, Any], field: str
) -> None:
    problem = (await live.generate(prompt="refused before paying", **fields)).problem(400)
    for word in (field, DEFAULT, OMNI):
        assert word in problem["detail"]
    assert field in [error["field"] for error in problem["errors"]]
    assert submits(fake, "refused before paying") == []


@pytest.mark.parametrize("fields", [{"aspect_ratio": "1:1"}, {"duration": 5}, {"duration": 10}, {"resolution": "4k"}])
async def test_what_the_asked_model_never_had_is_refused(live: Client, fields: dict[str, Any]) -> None:
    problem = (await live.generate(prompt="x", **fields)).problem(400)
    ((field, value),) = fields.items()
    assert field in problem["detail"]
    assert str(value) in problem["detail"]


async def test_several_videos_are_several_calls(live: Client, fake: Gemini) -> None:
    job = await made(live, prompt="three of a kind", n=3)
    assert (job["status"], len(job["result"]["data"])) == ("completed", 3)
    assert len(submits(fake, "three of a kind")) == 3


async def test_a_setting_refuses_retired_models(start: Start, fake: Gemini) -> None:
    service = start(**google_settings(fake, RUSHES_ON_RETIRED="refuse"))
    async with Client(service, service.key(test=False).text) as client:
        problem = (await client.generate(prompt="not any more")).problem(400)
        assert problem["code"] == "model_retired"
        for word in (DEFAULT, "2026-06-30", OMNI):
            assert word in problem["detail"]
        (await client.generate(prompt="still", model=OMNI)).ok()
    assert submits(fake, "not any more") == []


async def test_without_a_key_the_answer_says_how_to_get_one_in(start: Start) -> None:
    service = start()
    async with Client(service, service.key(test=False).text) as client:
        problem = (await client.generate(prompt="no key")).problem(503)
    for word in ("model", "RUSHES_PROVIDERS__GOOGLE__API_KEY", "GEMINI_API_KEY", "byok_api_key"):
        assert word in problem["detail"]


# --- media


async def test_media_reach_google_as_they_came_and_in_their_order(live: Client, fake: Gemini, tmp_path: Path) -> None:
    first, last = encoded(image(size=(640, 360))), encoded(image("JPEG", size=(640, 360), color="red"))
    job = await made(live, prompt="between frames", input_image=first, last_frame=f"data:image/jpeg;base64,{last}")
    assert job["status"] == "completed"
    (sent,) = submits(fake, "between frames")
    assert sent.json["input"] == [
        {"type": "image", "data": first, "mime_type": "image/png"},
        {"type": "image", "data": last, "mime_type": "image/jpeg"},
        {"type": "text", "text": "<FIRST_FRAME> <LAST_FRAME> between frames"},
    ]
    assert sent.json["generation_config"]["video_config"]["task"] == "image_to_video"
    film = encoded(video(tmp_path / "take.mp4", frames=24))
    job = await made(live, prompt="what comes after", video=film)
    assert job["status"] == "completed"
    (sent,) = submits(fake, "what comes after")
    assert sent.json["input"][0] == {"type": "video", "data": film, "mime_type": "video/mp4"}
    assert sent.json["generation_config"]["video_config"]["task"] == "extend"
    assert sent.json["response_format"]["duration"] == "8s"


async def test_a_reference_image_is_the_first_of_the_references(live: Client, fake: Gemini) -> None:
    style, subject = encoded(image(color="green")), encoded(image(color="blue"))
    job = await made(live, prompt="in this style", reference_image=style, reference_images=[subject])
    assert job["status"] == "completed"
    (sent,) = submits(fake, "in this style")
    assert [block.get("data") for block in sent.json["input"]] == [style, subject, None]
    assert sent.json["generation_config"]["video_config"]["task"] == "reference_to_video"


def encoded(content: bytes) -> str:
    return base64.b64encode(content).decode()


# --- moderation and failure

FAILURES = [
    ("bad-key", "provider_auth", "API key", "API_KEY_INVALID"),
    ("unauthorized", "provider_auth", "key", "UNAUTHENTICATED"),
    ("key-blocked", "provider_auth", "key", "API_KEY_SERVICE_BLOCKED"),
    ("no-credit", "provider_quota", "credit", "payment_required"),
    ("credit-429", "provider_quota", "credit", "RESOURCE_EXHAUSTED"),
    ("credit-400", "provider_quota", "credit", "invalid_request"),
    ("filtered-at-submit", "content_filtered", "safety", "invalid_request"),
    ("invalid", "provider_rejected", "aspect_ratio is not supported", "invalid_request"),
    ("safety-settings", "provider_rejected", "safety_settings is not supported", "invalid_request"),
    ("unknown-model", "provider_rejected", OMNI, "NOT_FOUND"),
    ("retired-model", "provider_rejected", OMNI, "NOT_FOUND"),
    ("too-large", "provider_rejected", "refused", "HTTP 413"),
    ("submit-redirect", "provider_rejected", "base URL", "HTTP 302"),
    ("submit-500", "submission_unknown", "may be charged", "INTERNAL"),
    ("submit-503", "submission_unknown", "may be charged", "unavailable"),
    ("submit-502-html", "submission_unknown", "may be charged", "HTTP 502"),
    ("poll-404", "provider_rejected", "does not know", "NOT_FOUND"),
    ("poll-invalid-name", "provider_rejected", "does not know", "invalid_request"),
    ("failed", "provider_rejected", "The generation failed.", "internal_error"),
    ("failed-errors", "provider_rejected", "took too long", "deadline"),
    ("failed-step", "provider_rejected", "Rendering broke", "render_error"),
    ("failed-bare", "provider_rejected", "failed", "failed"),
    ("failed-safety", "content_filtered", "usage guidelines", "content_filtered"),
    ("filtered", "content_filtered", "I can't make videos of that.", "completed"),
    ("filtered-silent", "content_filtered", "safety filter", "completed"),
    ("cancelled", "provider_rejected", "cancelled", "cancelled"),
    ("incomplete", "provider_rejected", "before", "incomplete"),
    ("budget_exceeded", "provider_rejected", "budget", "budget_exceeded"),
    ("requires_action", "provider_rejected", "action", "requires_action"),
    ("requires_continuation", "provider_rejected", "continued", "requires_continuation"),
    ("download-404", "output_lost", "result", None),
    ("download-410", "output_lost", "result", None),
    ("download-oversize", "output_invalid", "larger", None),
]


@pytest.mark.parametrize(("script", "code", "words", "provider_error"), FAILURES, ids=[row[0] for row in FAILURES])
async def test_a_failure_says_what_happened(
    live: Client, fake: Gemini, script: str, code: str, words: str, provider_error: str | None
) -> None:
    job = await made(live, prompt=f"#fake:{script}")
    assert (job["status"], job["error_code"]) == ("failed", code)
    assert words in job["error"]
    if provider_error is not None:
        assert provider_error in job["provider_error"]
    assert len(job["error"]) < 1000
    assert OPERATOR_KEY not in str(job)
    assert len(submits(fake, f"#fake:{script}")) == 1
    if code not in ("submission_unknown", "output_lost", "output_invalid"):
        assert job["usage"] == {"cost": 0, "currency": "USD", "estimated": False}


@pytest.mark.parametrize("script", sorted(POLL_ACCIDENTS.keys() - SLOW))
async def test_a_poll_that_fails_is_asked_again(live: Client, fake: Gemini, script: str) -> None:
    job = await made(live, prompt=f"#fake:{script}")
    assert job["status"] == "completed", job
    assert len(submits(fake, f"#fake:{script}")) == 1
    unknown = [warning for warning in job["warnings"] if "do not know" in warning]
    assert len(unknown) <= 1


@pytest.mark.parametrize("script", ["unknown-status", "no-status", "video-missing"])
async def test_an_unknown_status_is_one_warning_and_the_job_goes_on(
    google: Service, live: Client, fake: Gemini, script: str
) -> None:
    envelope = (await live.generate(prompt=f"#fake:{script}", model=OMNI)).ok()
    job_id = envelope["job_id"]
    await until(lambda: google.rows(f"SELECT warnings FROM jobs WHERE id = '{job_id}'") != [("[]",)])
    seen = len(fake.requests)
    await until(lambda: len(fake.requests) >= seen + 3)
    job = await live.job(job_id)
    assert (job["status"], len(job["warnings"])) == ("in_progress", 1)
    if script == "unknown-status":
        assert "rendering_shadows" in job["warnings"][0]
    # Google learns a word that we know.
    interaction = next(one for one in fake.interactions.values() if one.id == job["provider_video_id"])
    interaction.script = "ok"
    job = await live.reached(job_id)
    assert (job["status"], len(job["warnings"])) == ("completed", 1)
    assert script in ENDINGS


# --- storing


@pytest.mark.parametrize(
    "script",
    [
        "download-redirect", "download-redirect-own", "download-expired", "download-429", "download-500",
        "download-mislabelled", "download-slow", "uri-stranger", "uri-own", "inline", "legacy-outputs", "instant",
    ],
)  # fmt: skip
async def test_a_result_is_ours_before_success_is_told(
    google: Service, live: Client, fake: Gemini, script: str
) -> None:
    job = await made(live, prompt=f"#fake:{script}")
    assert job["status"] == "completed", job
    bytes_kept = (await live.get(job["result"]["url"], plain=True)).body
    assert bytes_kept[4:8] == b"ftyp"
    assert len(bytes_kept) == job["result"]["file_size"]
    assert fake.stranger.leaks == []
    assert google.url in job["result"]["url"]
    assert len(submits(fake, f"#fake:{script}")) == 1


@pytest.mark.parametrize(
    "script", ["download-truncated", "download-truncated-chunked", "download-empty", "download-html", "download-drop",
               "download-403", "uri-private", "uri-garbage", "download-redirect-loop"]
)  # fmt: skip
async def test_a_download_that_breaks_is_repeated_until_it_is_whole(live: Client, fake: Gemini, script: str) -> None:
    envelope = (await live.generate(prompt=f"#fake:{script}", model=OMNI)).ok()
    job = await live.reached(envelope["job_id"], "in_progress")
    # In progress begins with the call that submits it, before Google has named the video.
    while job["provider_video_id"] is None:
        await asyncio.sleep(0.02)
        job = await live.job(envelope["job_id"])
    interaction = next(one for one in fake.interactions.values() if one.id == job["provider_video_id"])
    if script.startswith("uri"):
        # The fake sees nothing of an address that we refuse.
        await asyncio.sleep(0.5)
    else:
        await until(lambda: interaction.downloads > 1)
    job = await live.job(envelope["job_id"])
    assert (job["status"], job["result"]) == ("in_progress", None)
    interaction.script = "ok"
    job = await live.reached(envelope["job_id"])
    assert job["status"] == "completed", job
    assert (await live.get(job["result"]["url"], plain=True)).body[4:8] == b"ftyp"
    assert len(submits(fake, f"#fake:{script}")) == 1
