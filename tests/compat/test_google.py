"""Google's own clients, the real packages unchanged, against a real service: by API key and on Vertex AI."""

from __future__ import annotations

import asyncio
import base64
import io
import re
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any, ClassVar

import av
import pytest
import pytest_asyncio

from tests.fixtures.media import image
from tests.fixtures.sdk_callers import Caller, run_example, started
from tests.fixtures.service import Client, Key, Service
from tests.fixtures.time_limits import GENEROUS_S
from tests.oracles.sdk_process import ENVIRONMENT, ROOT, Sdk, SdkError

pytestmark = pytest.mark.asyncio(loop_scope="module")

STORYBOARD = "animatic/storyboard"
QUICK: dict[str, Any] = {"duration_seconds": 1, "resolution": "360p"}
RED = base64.b64encode(image("PNG", (640, 360), "red")).decode()


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    running = Service(tmp_path_factory.mktemp("service")).start()
    yield running
    running.finish()


@pytest.fixture(scope="module")
def held(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """A service in which every job stays queued."""
    running = Service(tmp_path_factory.mktemp("held"), RUSHES_TEST_HOLD_S=3600).start()
    yield running
    running.finish()


@pytest.fixture(scope="module")
def key(service: Service) -> Key:
    return service.key()


class GoogleCaller(Caller):
    """One client of the service."""

    async def finished(self, **source: Any) -> dict[str, Any]:
        """The operation of a new video, once it is done."""
        operation = await self.call("start", **{"model": STORYBOARD, "prompt": "a mole", "config": QUICK, **source})
        give_up = time.monotonic() + GENEROUS_S
        while not operation["done"]:
            assert time.monotonic() < give_up, operation
            await asyncio.sleep(0.05)
            operation = await self.call("operation", name=operation["name"])
        assert isinstance(operation, dict)
        return operation

    async def refusal(self, function: str, **arguments: Any) -> SdkError:
        return await self.refused(function, **{"model": STORYBOARD, "prompt": "a mole", **arguments})


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def gemini(service: Service, key: Key, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[GoogleCaller]:
    """The last client that asks the Gemini API for Veo with an API key."""
    sdk = await started("google", tmp_path_factory.mktemp("gemini"), apart=True)
    assert await sdk.call("version") == "2.34.0"
    yield GoogleCaller(sdk, service.url, key.text)
    await sdk.close()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def newest(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Sdk]:
    """The client of today."""
    sdk = await started("google", tmp_path_factory.mktemp("newest"))
    assert (await sdk.call("version")).startswith("3.")
    yield sdk
    await sdk.close()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def vertex(service: Service, key: Key, newest: Sdk) -> GoogleCaller:
    """The same on Vertex AI, with static credentials."""
    return GoogleCaller(newest, service.url, key.text, vertex=True)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def today(service: Service, key: Key, newest: Sdk) -> GoogleCaller:
    """The client of today by API key: it asks for videos by interactions."""
    return GoogleCaller(newest, service.url, key.text)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def vercel(service: Service, key: Key, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[GoogleCaller]:
    """Vercel's client of the Gemini API."""
    sdk = await started("google.mjs", tmp_path_factory.mktemp("vercel"))
    yield GoogleCaller(sdk, service.url, key.text, id=STORYBOARD)
    await sdk.close()


def videos_of(operation: dict[str, Any]) -> list[dict[str, Any]]:
    return [one["video"] for one in operation["response"]["generatedVideos"]]


def film(content: bytes) -> tuple[float, tuple[int, int, int]]:
    """Length in seconds, and the colour near the middle of the first frame."""
    with av.open(io.BytesIO(content), "r") as container:
        assert container.duration is not None
        frame: Any = next(container.decode(video=0))
        picture = frame.to_image()
        red, green, blue = picture.getpixel((picture.width // 2, 100))
        return container.duration / av.time_base, (red, green, blue)


class TestGemini:
    async def test_code_written_for_veo_gets_its_film(self, service: Service, key: Key, gemini: GoogleCaller) -> None:
        operation = await gemini.finished(image=RED, prompt="a red wall")
        assert operation["error"] is None
        assert operation["name"].startswith(f"models/{STORYBOARD}/operations/job_")
        [video] = videos_of(operation)
        assert video["mimeType"] == "video/mp4"
        content = await gemini.call("download", uri=video["uri"])
        assert bytes.fromhex(content["hex"])[4:8] == b"ftyp"
        async with Client(service, key.text) as hand:
            whole = (await hand.get(video["uri"])).body
            job = await hand.job(operation["name"].rpartition("/")[2])
        assert len(whole) == content["bytes"] == job["result"]["file_size"]
        length_s, (red, green, blue) = film(whole)
        assert length_s == pytest.approx(1, abs=0.1)
        assert red > 150 > 100 > max(green, blue)
        assert (job["model"], job["request"]["resolution"], job["request"]["duration"]) == ("storyboard", "360p", 1)

    async def test_a_film_goes_on_from_another_by_its_address(
        self, service: Service, key: Key, gemini: GoogleCaller
    ) -> None:
        first = await gemini.finished()
        [video] = videos_of(first)
        further = await gemini.finished(video={"uri": video["uri"], "mime_type": "video/mp4"})
        async with Client(service, key.text) as hand:
            job = await hand.job(further["name"].rpartition("/")[2])
        assert job["request"]["previous_job_id"] == first["name"].rpartition("/")[2]
        assert job["request"]["video_task"] == "extend"

    async def test_several_videos_are_several_samples(self, gemini: GoogleCaller) -> None:
        operation = await gemini.finished(config={**QUICK, "number_of_videos": 2})
        first, second = (video["uri"] for video in videos_of(operation))
        assert first != second
        assert (await gemini.call("download", uri=second))["bytes"] > 1000

    async def test_every_option_of_the_client_reaches_the_job(
        self, service: Service, key: Key, gemini: GoogleCaller
    ) -> None:
        operation = await gemini.call(
            "start",
            model="veo-3.1-generate-001",
            prompt="a mole",
            image=RED,
            config={
                "aspect_ratio": "9:16",
                "duration_seconds": 8,
                "resolution": "720p",
                "negative_prompt": "fog",
                "person_generation": "allow_adult",
                "enhance_prompt": True,
                "last_frame": RED,
                "webhook_config": {"uris": ["https://receiver.invalid/hook"], "user_metadata": {"order": "7"}},
            },
        )
        async with Client(service, key.text) as hand:
            job = await hand.job(operation["name"].rpartition("/")[2])
        request = job["request"]
        shown = ("aspect_ratio", "duration", "resolution", "negative_prompt", "person_generation", "webhook_url")
        assert [request[name] for name in shown] == [
            "9:16", 8, "720p", "fog", "allow_adult", "https://receiver.invalid/hook"
        ]  # fmt: skip
        assert [file["role"] for file in request["media"]] == ["input_image", "last_frame"]
        assert request["additional_params"] == {"enhancePrompt": True}
        assert job["metadata"] == {"order": "7"}

    async def test_a_filtered_video_is_a_count_and_a_reason(self, gemini: GoogleCaller) -> None:
        operation = await gemini.finished(model="animatic/filtered", config={"resolution": "720p"})
        assert operation["error"] is None
        assert operation["response"]["generatedVideos"] is None
        assert operation["response"]["raiMediaFilteredCount"] == 1
        assert operation["response"]["raiMediaFilteredReasons"][0]

    async def test_a_video_that_failed_says_why(self, gemini: GoogleCaller) -> None:
        operation = await gemini.finished(model="animatic/fail", config={"resolution": "720p"})
        assert operation["response"] is None
        assert operation["error"]["code"] == 3
        assert operation["error"]["details"][0]["reason"] == "PROVIDER_REJECTED"

    async def test_models_are_listed_page_by_page_and_found_by_name(self, gemini: GoogleCaller) -> None:
        names = await gemini.call("models", page_size=7)
        assert names[0] == f"models/{STORYBOARD}"
        assert len(names) == len(set(names)) > 30
        found = await gemini.call("model", name="veo-3.1-generate-001")
        assert found["supportedActions"] == ["predictLongRunning"]
        assert (await gemini.call("model", name=STORYBOARD))["name"] == f"models/{STORYBOARD}"

    async def test_a_file_says_what_it_is(self, gemini: GoogleCaller) -> None:
        [video] = videos_of(await gemini.finished())
        found = await gemini.call("file", name=f"files/{video['uri'].rpartition('files/')[2].partition(':')[0]}")
        assert (found["mimeType"], found["state"], found["source"]) == ("video/mp4", "ACTIVE", "GENERATED")
        assert found["downloadUri"] == video["uri"]

    async def test_each_refusal_is_the_clients_own_exception(self, gemini: GoogleCaller) -> None:
        cases: list[tuple[str, dict[str, Any], str]] = [
            ("start", {"key": "not-a-key"}, "400 INVALID_ARGUMENT.*API_KEY_INVALID"),
            ("start", {"model": "veo-9"}, "404 NOT_FOUND.*MODEL_NOT_FOUND"),
            ("start", {"config": {"duration_seconds": 99}}, r"400 INVALID_ARGUMENT.*parameters\.durationSeconds"),
            ("start", {"prompt": ""}, r"400 INVALID_ARGUMENT.*instances\[0\]\.prompt"),
            ("operation", {"name": "models/x/operations/job_nothing"}, "404 NOT_FOUND"),
            ("file", {"name": "files/abc"}, "404 NOT_FOUND"),
        ]
        for function, arguments, expected in cases:
            given = {"model": STORYBOARD, "prompt": "x"} if function == "start" else {}
            with pytest.raises(SdkError, match=expected) as caught:
                await gemini.call(function, **{**given, **arguments})
            assert "ClientError" in caught.value.kinds


class TestVertex:
    async def test_the_film_comes_inside_the_operation(self, service: Service, key: Key, vertex: GoogleCaller) -> None:
        operation = await vertex.finished(image=RED)
        assert operation["name"].startswith("projects/a-project/locations/us-central1/publishers/animatic/models/")
        [video] = videos_of(operation)
        content = base64.urlsafe_b64decode(video["videoBytes"])
        async with Client(service, key.text) as hand:
            kept = await hand.get(f"/api/v1/videos/jobs/{operation['name'].rpartition('/')[2]}/content")
        assert content == kept.body
        assert video["mimeType"] == "video/mp4"

    async def test_veos_own_options_reach_the_job(self, service: Service, key: Key, vertex: GoogleCaller) -> None:
        operation = await vertex.call(
            "start",
            model="veo-3.1-generate-001",
            prompt="a mole",
            config={
                "seed": 0,
                "generate_audio": False,
                "compression_quality": "lossless",
                "labels": {"team": "a"},
                "duration_seconds": 8,
                "reference_images": [{"image": RED, "reference_type": "asset"}],
            },
        )
        async with Client(service, key.text) as hand:
            job = await hand.job(operation["name"].rpartition("/")[2])
        assert (job["request"]["seed"], job["request"]["generate_audio"]) == (0, False)
        assert job["request"]["media"][0]["role"] == "reference_image"
        assert job["request"]["additional_params"] == {"compressionQuality": "LOSSLESS"}
        assert job["metadata"] == {"team": "a"}

    async def test_each_refusal_is_the_clients_own_exception(self, vertex: GoogleCaller) -> None:
        cases: list[tuple[dict[str, Any], str]] = [
            ({"key": "not-a-key"}, "401 UNAUTHENTICATED"),
            ({"model": "veo-9"}, "404 NOT_FOUND"),
            ({"config": {"output_gcs_uri": "gs://bucket/folder"}}, r"400 INVALID_ARGUMENT.*parameters\.storageUri"),
            ({"config": {"aspect_ratio": "3:1"}}, r"400 INVALID_ARGUMENT.*parameters\.aspectRatio"),
            ({"config": {"resize_mode": "crop"}}, r"400 INVALID_ARGUMENT.*parameters\.resizeMode"),
        ]
        for arguments, expected in cases:
            with pytest.raises(SdkError, match=expected) as caught:
                await vertex.call("start", **{"model": STORYBOARD, "prompt": "x", **arguments})
            assert "ClientError" in caught.value.kinds


class TestInteractions:
    """Google's client of today, which asks for videos by interactions."""

    LINKED: ClassVar[dict[str, Any]] = {
        "type": "video", "duration": "1s", "resolution": "360p", "delivery": "uri"
    }  # fmt: skip

    async def ended(self, caller: GoogleCaller, **fields: Any) -> dict[str, Any]:
        """A new interaction in the background, once it has ended."""
        given = {"model": STORYBOARD, "input": "a mole", "response_format": self.LINKED, "background": True, **fields}
        found = await caller.call("interact", **given)
        give_up = time.monotonic() + GENEROUS_S
        while found["status"] == "in_progress":
            assert time.monotonic() < give_up, found
            await asyncio.sleep(0.05)
            found = await caller.call("interaction", name=found["id"])
        assert isinstance(found, dict)
        return found

    async def test_one_in_the_background_is_polled_downloaded_and_deleted(self, today: GoogleCaller) -> None:
        found = await self.ended(today)
        assert (found["status"], found["model"], found["progress"]) == ("completed", STORYBOARD, 100)
        video = found["output_video"]
        assert video.keys() == {"type", "mime_type", "uri"}
        assert bytes.fromhex((await today.call("download", uri=video["uri"]))["hex"])[4:8] == b"ftyp"
        await today.call("delete", name=found["id"])
        for function in ("interaction", "delete"):
            with pytest.raises(SdkError) as caught:
                await today.call(function, name=found["id"])
            assert (caught.value.name, caught.value.status) == ("NotFoundError", 404)

    async def test_without_background_the_answer_has_the_film(self, today: GoogleCaller) -> None:
        shape = {"type": "video", "duration": "1s", "resolution": "360p"}
        found = await today.call("interact", model=STORYBOARD, input="a mole", response_format=shape)
        assert found["status"] == "completed"
        content = base64.b64decode(found["output_video"]["data"])
        assert film(content)[0] == pytest.approx(1, abs=0.1)
        linked = await today.call("download", uri=found["output_video"]["uri"])
        assert linked["bytes"] == len(content)

    async def test_pictures_take_their_roles_and_a_video_goes_on(
        self, service: Service, key: Key, today: GoogleCaller
    ) -> None:
        blocks = [
            {"type": "image", "data": RED, "mime_type": "image/png"},
            {"type": "image", "data": RED, "mime_type": "image/png"},
            {"type": "text", "text": "<FIRST_FRAME> <LAST_FRAME> a red wall"},
        ]
        first = await self.ended(today, input=blocks, generation_config={"seed": 7}, labels={"team": "a"})
        config = {"video_config": {"task": "extend"}}
        second = await self.ended(today, input="and on", previous_interaction_id=first["id"], generation_config=config)
        assert second["previous_interaction_id"] == first["id"]
        async with Client(service, key.text) as hand:
            job, further = [await hand.job(one["id"]) for one in (first, second)]
        assert [file["role"] for file in job["request"]["media"]] == ["input_image", "last_frame"]
        assert (job["prompt"], job["request"]["seed"], job["metadata"]) == ("a red wall", 7, {"team": "a"})
        assert further["request"]["video_task"] == "extend"

    async def test_what_is_to_be_done_to_a_video_may_be_left_open(self, today: GoogleCaller) -> None:
        first = await self.ended(today)
        linked = {**self.LINKED, "duration": None}
        edited = await self.ended(
            today, input="make it blue", previous_interaction_id=first["id"], response_format=linked
        )
        assert edited["status"] == "completed"
        assert "to edit" in edited["warnings"][0]
        longer = await self.ended(today, input="and on", previous_interaction_id=first["id"])
        assert "to extend" in longer["warnings"][0]

    async def test_a_refused_or_failed_video_says_why(self, today: GoogleCaller) -> None:
        for model, code in (("animatic/filtered", "content_filtered"), ("animatic/fail", "provider_rejected")):
            found = await self.ended(today, model=model, response_format={"type": "video", "resolution": "720p"})
            assert (found["status"], found["errors"][0]["code"]) == ("failed", code)
            assert found["output_text"] == found["errors"][0]["message"]

    async def test_one_that_waits_is_cancelled_and_one_that_has_ended_is_not(
        self, held: Service, newest: Sdk, today: GoogleCaller
    ) -> None:
        holding = GoogleCaller(newest, held.url, held.key().text)
        fields = {"model": STORYBOARD, "input": "x", "response_format": self.LINKED, "background": True}
        waiting = await holding.call("interact", **fields)
        for _ in range(2):
            assert (await holding.call("cancel", name=waiting["id"]))["status"] == "cancelled"
        other = await holding.call("interact", **fields)
        await holding.call("delete", name=other["id"])
        ended = await self.ended(today)
        with pytest.raises(SdkError, match="FAILED_PRECONDITION") as caught:
            await today.call("cancel", name=ended["id"])
        assert (caught.value.name, caught.value.status) == ("BadRequestError", 400)

    async def test_each_refusal_is_the_clients_own_exception(self, today: GoogleCaller) -> None:
        cases: list[tuple[dict[str, Any], str, str]] = [
            ({"key": "not-a-key"}, "BadRequestError", "API_KEY_INVALID"),
            ({"model": "veo-9"}, "NotFoundError", "MODEL_NOT_FOUND"),
            ({"response_format": {**self.LINKED, "duration": "99s"}}, "BadRequestError", "response_format.duration"),
            ({"response_format": {"gcs_uri": "gs://a/b"}}, "BadRequestError", "response_format.gcs_uri"),
            ({"store": False}, "BadRequestError", "store false"),
            ({"system_instruction": "be brief"}, "BadRequestError", "system_instruction"),
            ({"previous_interaction_id": "job_nothing"}, "NotFoundError", "NOT_FOUND"),
        ]  # fmt: skip
        for arguments, name, expected in cases:
            with pytest.raises(SdkError, match=expected) as caught:
                await today.call("interact", **{"model": STORYBOARD, "input": "x", **arguments})
            assert caught.value.name == name

    async def test_on_vertex_ai_it_is_the_same(self, service: Service, key: Key, newest: Sdk) -> None:
        found = await self.ended(GoogleCaller(newest, service.url, key.text, vertex=True))
        assert found["status"] == "completed"


class TestVercel:
    async def test_it_makes_a_film_and_downloads_it(self, vercel: GoogleCaller) -> None:
        operation = await vercel.call("start", prompt="a mole", resolution="360p", duration=1, image=RED)
        give_up = time.monotonic() + GENEROUS_S
        while (found := await vercel.call("status", operation=operation))["status"] == "pending":
            assert time.monotonic() < give_up
            await asyncio.sleep(0.05)
        assert found["status"] == "completed"
        # The key is in the address, because whoever plays it sends no header.
        downloaded = await vercel.call("download", url=found["urls"][0])
        assert downloaded["status"] == 200
        assert bytes.fromhex(downloaded["content"]["hex"])[4:8] == b"ftyp"

    async def test_a_refusal_is_its_own_error(self, vercel: GoogleCaller) -> None:
        with pytest.raises(SdkError, match=r"parameters\.durationSeconds") as caught:
            await vercel.call("start", prompt="a mole", duration=99)
        assert (caught.value.name, caught.value.status) == ("APICallError", 400)


BLOCK = re.compile(r"^```python google-genai (\d)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
GUIDE = (ROOT / "docs" / "guides" / "gemini.md").read_text("utf-8")


@pytest.mark.parametrize(("major", "code"), BLOCK.findall(GUIDE))
async def test_the_guides_examples_run(service: Service, key: Key, tmp_path: Path, major: str, code: str) -> None:
    apart = {"PYTHONPATH": str(ENVIRONMENT / "apart")} if major == "2" else {}
    await run_example(code, service, key, tmp_path, **apart)
    assert film((tmp_path / "lighthouse.mp4").read_bytes())[0] == pytest.approx(4, abs=0.1)


async def test_a_key_in_the_address_is_in_no_log(service: Service, key: Key) -> None:
    async with Client(service, None) as hand:
        for path in ("/v1beta/models", "/v1/models", "/v1beta/files/abc:download", "/v1beta/models/x/operations/y"):
            for secret in (key.text, "a-key-that-is-wrong"):
                answer = await hand.get(path, params={"key": secret, "alt": "media"})
                assert secret.encode() not in answer.body
        assert (await hand.get("/v1/models", params={"key": key.text})).ok()["models"]
    log = service.log_text()
    assert key.text not in log
    assert "a-key-that-is-wrong" not in log


async def test_two_keys_at_once_are_refused_as_google_does(service: Service, key: Key) -> None:
    async with Client(service, key.text) as hand:
        answer = await hand.get("/v1beta/models", headers={"x-goog-api-key": "another"})
        assert answer.status == 400
        assert "Multiple authentication credentials received" in answer.json()["error"]["message"]
        assert (await hand.get("/v1beta/models", headers={"x-goog-api-key": key.text})).status == 200


async def test_the_list_of_models_under_v1_is_googles_by_googles_key_and_openais_by_a_bearer(
    service: Service, key: Key
) -> None:
    async with Client(service, key.text) as hand:
        assert (await hand.get("/v1/models")).ok()["object"] == "list"
        by_key = await hand.get("/v1/models/veo-3.1-generate-001", plain=True, headers={"x-goog-api-key": key.text})
        assert by_key.ok()["name"] == "models/veo-3.1-generate-001"
        assert (await hand.get("/v1/models/animatic/storyboard")).ok()["object"] == "model"


async def test_the_same_request_under_one_key_is_one_operation(service: Service, key: Key) -> None:
    body = {"instances": [{"prompt": "a mole"}], "parameters": {"durationSeconds": 1, "resolution": "360p"}}
    paths = (
        f"/v1beta/models/{STORYBOARD}:predictLongRunning",
        f"/v1/projects/p/locations/l/publishers/google/models/{STORYBOARD}:predictLongRunning",
    )
    async with Client(service, key.text) as hand:
        names = []
        for path in paths:
            first, again = [await hand.post(path, json=body, headers={"Idempotency-Key": path}) for _ in range(2)]
            assert first.ok() == again.ok()
            assert again.headers["Idempotent-Replayed"] == "true"
            names.append(first.ok()["name"])
            other = await hand.post(path, json={**body, "labels": {"a": "b"}}, headers={"Idempotency-Key": path})
            assert (other.status, other.json()["error"]["status"]) == (400, "INVALID_ARGUMENT")
        assert len(set(names)) == 2


async def test_a_key_without_the_scope_may_look_and_not_make(service: Service) -> None:
    made = service.run("keys", "create", "--test", "--scope", "read")
    async with Client(service, made.stdout.strip()) as hand:
        assert (await hand.get("/v1beta/models")).status == 200
        answer = await hand.post(f"/v1beta/models/{STORYBOARD}:predictLongRunning", json={})
        assert (answer.status, answer.json()["error"]["status"]) == (403, "PERMISSION_DENIED")
        path = "/v1/projects/p/locations/l/publishers/google/models/x:fetchPredictOperation"
        unknown = await hand.post(path, json={"operationName": "projects/p/operations/job_x"})
        assert (unknown.status, unknown.json()["error"]["status"]) == (404, "NOT_FOUND")


async def test_a_limit_on_requests_is_a_used_up_resource(service: Service) -> None:
    key = service.key(account="limited")
    assert service.run("limits", "set", "--account", "limited", "--requests-per-minute", "1").returncode == 0
    async with Client(service, None) as hand:
        answers = [await hand.get("/v1beta/models", params={"key": key.text}) for _ in range(2)]
    error = answers[1].json()["error"]
    assert (answers[1].status, error["code"], error["status"]) == (429, 429, "RESOURCE_EXHAUSTED")
    assert "Retry-After" in answers[1].headers
    assert any("retryDelay" in detail for detail in error["details"])
