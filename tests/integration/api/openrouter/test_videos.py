"""OpenRouter's routes by hand: beside our own of the same prefix, and what no client of theirs shows."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio

from rushes.api.openrouter.surface import MODELS, OUR_OWN
from tests.fixtures.fronts import API, QUICK, Answer, Front, running_front

pytestmark = pytest.mark.asyncio(loop_scope="module")

VIDEOS = f"{API}/videos"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def front(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Front]:
    aliases = {"google/veo-9": "animatic/storyboard"}
    async with running_front(tmp_path_factory.mktemp("front"), model_aliases=aliases) as front:
        yield front


async def submitted(
    front: Front, *, key: str | None = None, headers: dict[str, str] | None = None, **fields: Any
) -> Answer:
    return await front.ask("POST", VIDEOS, key=key, headers=headers or {}, json={**QUICK, **fields})


def refusal(answer: Answer) -> dict[str, Any]:
    """What an answer in OpenRouter's envelope says."""
    assert answer.headers["Content-Type"] == "application/json"
    assert answer.json.keys() == {"error"}
    error: dict[str, Any] = answer.json["error"]
    assert error["code"] == answer.status
    return error


async def test_our_own_routes_stay_what_they_are(front: Front) -> None:
    document = (await front.ask("GET", "/openapi.json")).json
    paths = {path: item for path, item in document["paths"].items() if path.startswith(f"{VIDEOS}/")}
    words = {path.removeprefix(f"{VIDEOS}/").partition("/")[0] for path in paths}
    assert words == {*OUR_OWN, MODELS, "{job_id}"}
    job_id = await front.new_job()
    assert (await front.ask("GET", f"{VIDEOS}/jobs")).json["jobs"][0]["job_id"] == job_id
    assert (await front.ask("GET", f"{VIDEOS}/jobs/{job_id}")).json["job_id"] == job_id
    for word in ("generations", "quote"):
        answer = await front.ask("GET", f"{VIDEOS}/{word}")
        assert (answer.status, answer.headers["Allow"]) == (405, "POST"), word
        assert answer.json["code"] == "method_not_allowed"
    answer = await front.ask("POST", f"{VIDEOS}/jobs")
    assert (answer.status, answer.headers["Allow"]) == (405, "GET, HEAD")
    answer = await front.ask("GET", f"{VIDEOS}/jobs/content")
    assert (answer.status, answer.json["code"]) == (404, "job_not_found")


async def test_a_job_of_our_own_api_is_a_video_there_and_the_other_way_round(front: Front) -> None:
    job_id = await front.new_job()
    polled = await front.ask("GET", f"{VIDEOS}/{job_id}")
    assert (polled.status, polled.json["id"], polled.json["status"]) == (200, job_id, "pending")
    made = await submitted(front)
    assert made.status == 202
    assert (await front.ask("GET", f"{VIDEOS}/jobs/{made.json['id']}")).json["model"] == "storyboard"
    assert made.json["polling_url"] == f"{front.url}{VIDEOS}/{made.json['id']}"


async def test_an_alias_is_shown_as_it_was_asked_for(front: Front) -> None:
    made = (await submitted(front, model="google/veo-9")).json
    assert (made["model"], made["served_model"]) == ("google/veo-9", "storyboard")
    listed = (await front.ask("GET", f"{VIDEOS}/models")).json["data"]
    assert (listed[0]["id"], listed[0]["canonical_slug"]) == ("google/veo-9", "animatic/storyboard")


async def test_what_is_ignored_is_said_in_the_answer_and_in_the_job(front: Front) -> None:
    made = (await submitted(front, fps=24, provider={"order": ["x"]})).json
    assert [warning.partition(":")[0] for warning in made["warnings"][:2]] == [
        "fps was ignored", "provider.order was ignored",
    ]  # fmt: skip
    job = (await front.ask("GET", f"{VIDEOS}/jobs/{made['id']}")).json
    assert made["warnings"] == job["warnings"]


async def test_the_session_may_come_in_its_header(front: Front) -> None:
    made = (await submitted(front, headers={"x-session-id": "evening"})).json
    job = (await front.ask("GET", f"{VIDEOS}/jobs/{made['id']}")).json
    assert job["metadata"] == {"session_id": "evening"}


async def test_the_same_request_under_one_key_is_one_video(front: Front) -> None:
    first, again = [await submitted(front, headers={"Idempotency-Key": "once"}) for _ in range(2)]
    assert (again.status, again.body) == (202, first.body)
    assert again.headers["Idempotent-Replayed"] == "true"
    other = await submitted(front, headers={"Idempotency-Key": "once"}, duration=2)
    assert (other.status, refusal(other)["metadata"]["error_code"]) == (400, "idempotency_mismatch")


async def test_a_callback_is_a_webhook_of_the_job_in_its_own_format(front: Front) -> None:
    made = (await submitted(front, callback_url="https://example.com/hook?token=1")).json
    job = (await front.ask("GET", f"{VIDEOS}/jobs/{made['id']}")).json
    assert job["request"]["webhook_url"] == "https://example.com/hook"
    assert job["request"]["webhook_events"] == ["video.completed", "video.failed", "video.cancelled"]


@pytest.mark.parametrize(
    ("fields", "status", "named"),
    [
        ({"duration": 61}, 400, "duration"),
        ({"duration": "5"}, 400, "duration"),
        ({"resolution": "8K"}, 400, "resolution"),
        ({"prompt": None}, 400, "prompt"),
        ({"callback_url": "https://127.0.0.1/hook"}, 400, "callback_url"),
        ({"user": "x" * 257}, 400, "user"),
        ({"seed": -1}, 400, "seed"),
        ({"upscale_factor": 2}, 400, "upscale_factor"),
        (
            {"frame_images": [{"type": "image_url", "image_url": {"url": "AAAA"}, "frame_type": "first_frame"}]},
            400,
            "frame_images.0",
        ),
        (
            {"input_references": [{"type": "video_url", "video_url": {"url": "https://127.0.0.1/v.mp4"}}]},
            400,
            "input_references",
        ),
        ({"provider": {"options": {"animatic": {"api_key": "x"}}}}, 400, "provider.options.animatic"),
    ],
)
async def test_bad_input_names_the_callers_own_field(
    front: Front, fields: dict[str, Any], status: int, named: str
) -> None:
    answer = await submitted(front, **fields)
    assert answer.status == status, answer.body
    error = refusal(answer)
    assert [one["field"].startswith(named) for one in error["metadata"]["errors"]] == [True], error
    assert named in error["message"]


async def test_every_other_refusal_is_in_its_envelope(front: Front) -> None:
    assert refusal(await submitted(front, key="wrong"))["metadata"]["error_code"] == "unauthenticated"
    assert (await submitted(front, key="")).headers["WWW-Authenticate"] == "Bearer"
    unknown = refusal(await submitted(front, model="animatic/storybord"))
    assert unknown["metadata"] == {"error_code": "model_not_found", "suggestions": ["animatic/storyboard"]}
    for path in ("gen-vid-1795300000-x", "job_x/content"):
        answer = await front.ask("GET", f"{VIDEOS}/{path}")
        assert (answer.status, refusal(answer)["metadata"]["error_code"]) == (404, "job_not_found")
    answer = await front.ask("GET", VIDEOS)
    assert (answer.status, answer.headers["Allow"]) == (405, "POST")
    assert refusal(answer)["metadata"]["error_code"] == "method_not_allowed"
    answer = await front.ask("POST", VIDEOS, data=b"{", headers={"Content-Type": "application/json"})
    assert (answer.status, refusal(answer)["metadata"]["error_code"]) == (400, "invalid_request")
    answer = await front.ask("POST", VIDEOS, data=b"model=x", headers={"Content-Type": "text/plain"})
    assert (answer.status, refusal(answer)["metadata"]["error_code"]) == (400, "wrong_content_type")
    made = (await submitted(front)).json
    answer = await front.ask("GET", f"{VIDEOS}/{made['id']}/content")
    assert (answer.status, refusal(answer)["metadata"]["error_code"]) == (409, "not_finished")
    answer = await submitted(front, previous_job_id=made["id"])
    assert (answer.status, refusal(answer)["metadata"]["error_code"]) == (400, "not_finished")
    answer = await front.ask("GET", f"{VIDEOS}/{made['id']}/content?index=x")
    assert (answer.status, refusal(answer)["metadata"]["error_code"]) == (400, "invalid_request")


async def test_a_model_without_credentials_and_a_spent_budget_have_their_own_status(front: Front) -> None:
    key = await front.new_account("spender")
    account = (await front.ask("GET", f"{API}/user/me", key=key)).json["account"]["id"]
    answer = await submitted(front, key=key, model="google/veo-3.1-generate-001", duration=8, resolution="720p")
    assert (answer.status, refusal(answer)["metadata"]["error_code"]) == (503, "no_credentials")
    assert re.search(r"GOOGLE|GEMINI", answer.json["error"]["message"])
    limited = await front.ask("PUT", f"{API}/admin/accounts/{account}/limits", json={"queued_jobs": 1})
    assert limited.status == 200, limited.body
    assert (await submitted(front, key=key)).status == 202
    answer = await submitted(front, key=key)
    assert (answer.status, refusal(answer)["metadata"]["error_code"]) == (429, "queue_full")
    assert "Retry-After" in answer.headers
