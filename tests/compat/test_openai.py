"""OpenAI's own client, the real package unchanged, against a real service over sockets; and its API spoken by hand."""

from __future__ import annotations

import base64
import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import aiohttp
import av
import openai
import pytest
from av.container import InputContainer
from openai import AsyncOpenAI, OpenAI
from PIL import Image

from tests.fixtures.media import image, video
from tests.fixtures.service import Client, Key, Service

pytestmark = pytest.mark.filterwarnings("ignore:The Sora API:DeprecationWarning")

QUICK: dict[str, Any] = {"model": "animatic/storyboard", "seconds": "1", "size": "640x360"}
"""The cheapest video there is to draw."""

# What the client's types do not foresee.
ONE: Any = "1"
LEFT_OUT: Any = openai.omit


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """A service that starts jobs at once, and takes `sora-2` for a model of its own."""
    aliases = json.dumps({"sora-2": "animatic/storyboard"})
    running = Service(tmp_path_factory.mktemp("service"), RUSHES_MODEL_ALIASES=aliases).start()
    yield running
    running.finish()


@pytest.fixture(scope="module")
def held(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """A service in which every job stays queued."""
    running = Service(tmp_path_factory.mktemp("held"), RUSHES_TEST_HOLD_S=3600).start()
    yield running
    running.finish()


def opened(service: Service, key: Key | None = None) -> OpenAI:
    return OpenAI(api_key=(key or service.key()).text, base_url=f"{service.url}/v1")


@pytest.fixture(scope="module")
def client(service: Service) -> Iterator[OpenAI]:
    with opened(service) as client:
        yield client


@pytest.fixture(scope="module")
def held_key(held: Service) -> Key:
    return held.key()


@pytest.fixture(scope="module")
def holding(held: Service, held_key: Key) -> Iterator[OpenAI]:
    with opened(held, held_key) as client:
        yield client


@pytest.fixture(scope="module")
def seven(held: Service) -> tuple[Key, list[str]]:
    """Seven videos of an account of their own, oldest first."""
    key = held.key(account="lists")
    with opened(held, key) as client:
        return key, [client.videos.create(prompt="x", **QUICK).id for _ in range(7)]


@pytest.fixture(scope="module")
def finished(client: OpenAI) -> str:
    """The id of a finished video that no test may delete."""
    made = client.videos.create_and_poll(prompt="a lighthouse", **QUICK)
    assert made.status == "completed", made
    return made.id


def opened_film(content: bytes) -> InputContainer:
    return av.open(io.BytesIO(content), "r")


def length_s(content: bytes) -> float:
    with opened_film(content) as container:
        assert container.streams.video[0].codec_context.name == "h264"
        assert container.duration is not None
        return container.duration / av.time_base


class TestFromStartToEnd:
    def test_code_written_for_sora_gets_a_film(self, client: OpenAI) -> None:
        made = client.videos.create_and_poll(prompt="a mole", **{**QUICK, "model": "sora-2"})
        assert (made.status, made.progress, made.error) == ("completed", 100, None)
        assert (made.model, made.prompt, made.seconds, made.size) == ("sora-2", "a mole", "1", "640x360")
        assert made.completed_at is not None
        assert made.created_at <= made.completed_at
        assert length_s(client.videos.download_content(made.id).read()) == pytest.approx(1, abs=0.1)

    async def test_the_asynchronous_client_gets_a_film_that_opens_with_its_picture(self, service: Service) -> None:
        red = image("PNG", (640, 360), "red")
        async with AsyncOpenAI(api_key=service.key().text, base_url=f"{service.url}/v1") as client:
            made = await client.videos.create_and_poll(
                prompt="a red wall", input_reference=("wall.png", red, "image/png"), **QUICK
            )
            assert made.status == "completed", made
            content = (await client.videos.download_content(made.id)).read()
        with opened_film(content) as container:
            frame: Any = next(container.decode(video=0))
        pixel = frame.to_image().getpixel((320, 100))
        assert pixel[0] > 150 > 100 > max(pixel[1:])

    def test_a_video_that_failed_says_why(self, client: OpenAI) -> None:
        made = client.videos.create_and_poll(prompt="x", **{**QUICK, "model": "animatic/filtered"})
        assert made.status == "failed"
        assert made.error is not None
        assert made.error.code == "moderation_blocked"
        assert made.error.message
        with pytest.raises(openai.ConflictError, match="has no video"):
            client.videos.download_content(made.id)

    def test_the_thumbnail_is_a_picture(self, client: OpenAI, finished: str) -> None:
        content = client.videos.download_content(finished, variant="thumbnail").read()
        assert Image.open(io.BytesIO(content)).format == "JPEG"

    def test_a_download_can_be_streamed_to_a_file(self, client: OpenAI, finished: str, tmp_path: Path) -> None:
        client.videos.download_content(finished).write_to_file(tmp_path / "film.mp4")
        assert length_s((tmp_path / "film.mp4").read_bytes()) == pytest.approx(1, abs=0.1)

    async def test_a_part_of_a_video_can_be_asked_for(self, service: Service, finished: str) -> None:
        # The account is the default one, whichever its key.
        async with Client(service, service.key().text) as hand:
            path = f"/v1/videos/{finished}/content"
            whole = (await hand.get(path)).body
            part = await hand.get(path, headers={"Range": "bytes=4-7"})
            assert (part.status, part.body) == (206, whole[4:8])
            assert part.body == b"ftyp"
            head = await hand.call("HEAD", path)
            assert int(head.headers["Content-Length"]) == len(whole)

    def test_each_of_several_videos_can_be_downloaded(self, client: OpenAI) -> None:
        made = client.videos.create_and_poll(prompt="x", extra_body={"n": 2}, **QUICK)
        first, second = (client.videos.download_content(made.id, extra_query={"index": index}) for index in (0, 1))
        assert first.response.headers["Content-Disposition"] != second.response.headers["Content-Disposition"]
        assert length_s(second.read()) == pytest.approx(1, abs=0.1)
        with pytest.raises(openai.NotFoundError):
            client.videos.download_content(made.id, extra_query={"index": 2})

    def test_a_deleted_video_is_not_found(self, client: OpenAI) -> None:
        made = client.videos.create_and_poll(prompt="x", **QUICK)
        gone = client.videos.delete(made.id)
        assert (gone.id, gone.deleted, gone.object) == (made.id, True, "video.deleted")
        for call in (client.videos.retrieve, client.videos.delete, client.videos.download_content):
            with pytest.raises(openai.NotFoundError):
                call(made.id)

    def test_a_video_in_progress_is_not_deleted(self, service: Service, client: OpenAI) -> None:
        made = client.videos.create(prompt="x", **{**QUICK, "model": "animatic/stuck"})
        while client.videos.retrieve(made.id).status == "queued":
            pass
        with pytest.raises(openai.ConflictError, match="in progress") as refused:
            client.videos.delete(made.id)
        # Else the client would repeat by itself what cannot help.
        assert refused.value.response.headers["x-should-retry"] == "false"
        assert client.videos.retrieve(made.id).status == "in_progress"


class TestVideosFromVideos:
    def test_an_extension_by_file_goes_on_from_it(self, client: OpenAI, finished: str) -> None:
        content = client.videos.download_content(finished).read()
        extra = {"model": "sora-2", "size": "640x360"}
        made = client.videos.extend(prompt="and on", seconds=ONE, video=content, extra_body=extra)
        done = client.videos.poll(made.id)
        assert (done.status, done.seconds, done.remixed_from_video_id) == ("completed", "2", None)
        assert length_s(client.videos.download_content(done.id).read()) == pytest.approx(2, abs=0.1)

    @pytest.mark.parametrize("address", ["extensions", "edits"])
    def test_a_finished_video_is_named_by_its_id(self, client: OpenAI, finished: str, address: str) -> None:
        body = {"prompt": "and on", "video": {"id": finished}}
        made = client.post(f"/videos/{address}", body=body, cast_to=openai.types.Video)
        assert (made.model, made.size, made.seconds) == ("animatic/storyboard", "640x360", "1")
        assert made.remixed_from_video_id == finished

    def test_a_flattened_id_of_a_form_is_understood(self, client: OpenAI, finished: str) -> None:
        extra = {"video": {"id": finished}}
        made = client.videos.extend(prompt="on", seconds=ONE, video=LEFT_OUT, extra_body=extra)
        assert made.remixed_from_video_id == finished

    def test_a_remix_is_by_the_same_model_in_the_same_size(self, client: OpenAI, finished: str) -> None:
        made = client.videos.remix(finished, prompt="at night")
        assert (made.model, made.size, made.prompt) == ("animatic/storyboard", "640x360", "at night")
        assert made.remixed_from_video_id == finished
        assert client.videos.retrieve(made.id).remixed_from_video_id == finished

    async def test_what_a_remix_names_itself_is_not_the_sources(self, service: Service, finished: str) -> None:
        async with Client(service, service.key().text) as hand:
            body = {
                "prompt": "x",
                "size": "360x640",
                "seconds": 2,
                "generate_sound": False,
                "model": "sora-2",
                "seed": None,
            }
            made = (await hand.post(f"/v1/videos/{finished}/remix", json=body)).ok()
        assert (made["size"], made["seconds"], made["model"]) == ("360x640", "2", "sora-2")

    def test_a_model_that_takes_no_video_says_who_does(self, client: OpenAI, finished: str) -> None:
        body = {"prompt": "x", "model": "bedrock/luma.ray-v2:0"}
        with pytest.raises(openai.BadRequestError, match=r"takes no video.*animatic/storyboard") as refused:
            client.post(f"/videos/{finished}/remix", body=body, cast_to=openai.types.Video)
        assert refused.value.param == "model"

    def test_an_unfinished_video_cannot_be_remixed(self, holding: OpenAI) -> None:
        made = holding.videos.create(prompt="x", **QUICK)
        with pytest.raises(openai.ConflictError, match="pending"):
            holding.videos.remix(made.id, prompt="at night")

    def test_a_video_to_extend_is_required(self, holding: OpenAI) -> None:
        with pytest.raises(openai.BadRequestError) as refused:
            holding.videos.extend(prompt="x", seconds="4", video=LEFT_OUT)
        assert refused.value.param == "video"

    def test_there_are_no_characters(self, holding: OpenAI) -> None:
        with pytest.raises(openai.BadRequestError, match="reference_images"):
            holding.videos.create_character(name="Ann", video=b"x")


class TestLists:
    @pytest.mark.parametrize(("order", "step"), [("asc", 1), ("desc", -1)])
    def test_pages_show_every_video_once(
        self, held: Service, seven: tuple[Key, list[str]], order: Any, step: int
    ) -> None:
        key, ids = seven
        with opened(held, key) as client:
            assert [one.id for one in client.videos.list(limit=3, order=order)] == ids[::step]

    async def test_the_asynchronous_client_walks_pages_too(self, held: Service, seven: tuple[Key, list[str]]) -> None:
        key, ids = seven
        async with AsyncOpenAI(api_key=key.text, base_url=f"{held.url}/v1") as client:
            assert [one.id async for one in client.videos.list(limit=2)] == ids[::-1]

    def test_a_page_says_whether_there_are_more(self, held: Service, seven: tuple[Key, list[str]]) -> None:
        key, ids = seven
        with opened(held, key) as client:
            for limit, more in ((6, True), (7, False)):
                page = client.videos.list(limit=limit, order="asc")
                assert (page.has_more, page.last_id, len(page.data)) == (more, ids[limit - 1], limit)
            assert client.videos.list(after=ids[0]).data == []

    @pytest.mark.parametrize(
        ("query", "param"),
        [({"limit": 0}, "limit"), ({"limit": 101}, "limit"), ({"order": "up"}, "order"), ({"after": "job_x"}, "after"),
         ({"skip": 3}, "skip")],
    )  # fmt: skip
    def test_a_list_that_cannot_be_had_is_refused_by_name(
        self, holding: OpenAI, query: dict[str, Any], param: str
    ) -> None:
        with pytest.raises(openai.BadRequestError) as refused:
            holding.videos.list(extra_query=query)
        assert refused.value.param == param


class TestRefusals:
    @pytest.mark.parametrize(
        ("given", "param", "words"),
        [
            ({"seconds": "61"}, "seconds", "seconds 61 is not offered by 'storyboard'; it offers 1, 2"),
            ({"model": "google/veo-3.1-generate-001", "size": "640x360"}, "size", "'360p' is not offered"),
            ({"size": "1024x1792"}, "size", "sizes are '1280x720'"),
            ({"size": "big"}, "size", "WIDTHxHEIGHT"),
            ({"seconds": "4.5"}, "seconds", "whole number"),
            ({"prompt": " "}, "prompt", "white space"),
            ({"input_reference": b"not a picture"}, "input_reference", "input_reference: the file is"),
            ({"extra_body": {"num_frames": 81}}, "num_frames", "no field 'num_frames'"),
            ({"extra_body": {"n": 11}}, "n", "less than or equal to 10"),
            ({"extra_body": {"seed": "many"}}, "seed", "integer"),
            ({"extra_body": {"width": 640}}, "height", "go together"),
            ({"extra_body": {"extra_params": {"a": 1}}}, "extra_params", "JSON text"),
            ({"extra_body": {"input_reference": {"image_url": "http://127.0.0.1/a.png"}}}, "input_reference", "input_"),
            ({"extra_body": {"input_reference": {"file_id": "file_1"}}}, "input_reference", "input_reference"),
            ({"extra_body": {"reference_url": "data:,", "image_reference": "data:,"}}, "image_reference", "same"),
        ],
    )
    def test_a_bad_field_is_a_bad_request_that_names_it(
        self, holding: OpenAI, given: dict[str, Any], param: str, words: str
    ) -> None:
        with pytest.raises(openai.BadRequestError, match=words) as refused:
            holding.videos.create(**{"prompt": "x", **QUICK, **given})
        assert (refused.value.param, refused.value.type) == (param, "invalid_request_error")

    @pytest.mark.parametrize("model", ["sora-2", "sora-2-pro", None])
    def test_openais_own_models_are_refused_with_others_to_ask_for(self, holding: OpenAI, model: str | None) -> None:
        with pytest.raises(openai.NotFoundError, match=r"2026-09-24.*animatic/storyboard.*RUSHES_MODEL_ALIASES") as no:
            holding.videos.create(prompt="x", model=openai.omit if model is None else model)
        assert (no.value.code, no.value.param) == ("model_not_found", "model")

    def test_an_unknown_model_is_not_found_and_what_comes_near_is_named(self, holding: OpenAI) -> None:
        with pytest.raises(openai.NotFoundError, match=r"did you mean .*veo-3.1-generate-001"):
            holding.videos.create(prompt="x", model="veo-3.1-generate-002")

    def test_a_wrong_key_fails_authentication(self, held: Service) -> None:
        with (
            OpenAI(api_key="rushes_live_wrong", base_url=f"{held.url}/v1") as client,
            pytest.raises(openai.AuthenticationError) as refused,
        ):
            client.videos.list()
        assert refused.value.code == "invalid_api_key"
        assert refused.value.response.headers["WWW-Authenticate"] == "Bearer"

    def test_a_revoked_key_fails_authentication_at_once(self, held: Service) -> None:
        key = held.key()
        with opened(held, key) as client:
            client.videos.list()
            assert held.run("keys", "revoke", key.id).returncode == 0
            with pytest.raises(openai.AuthenticationError):
                client.videos.list()

    def test_a_key_without_a_scope_is_denied(self, held: Service) -> None:
        made = held.run("keys", "create", "--test", "--scope", "read")
        with OpenAI(api_key=made.stdout.strip(), base_url=f"{held.url}/v1") as client:
            client.videos.list()
            with pytest.raises(openai.PermissionDeniedError, match="'generate'") as refused:
                client.videos.create(prompt="x", **QUICK)
        assert refused.value.code == "scope_missing"

    def test_limits_hold_and_tell_how_they_stand(self, held: Service) -> None:
        key = held.key(account="limited")
        limits = ("--requests-per-minute", "3", "--queued-jobs", "1")
        assert held.run("limits", "set", "--account", "limited", *limits).returncode == 0
        with opened(held, key).with_options(max_retries=0) as client:
            made = client.videos.with_raw_response.create(prompt="x", **QUICK)
            assert made.headers["RateLimit"].startswith('"default";r=2;')
            for _ in ("the queue is full", "all requests of this minute are made"):
                with pytest.raises(openai.RateLimitError) as refused:
                    client.videos.create(prompt="x", **QUICK)
                assert refused.value.code == "rate_limit_exceeded"
                assert int(refused.value.response.headers["Retry-After"]) > 0
                if "pending jobs" in str(refused.value):
                    client.videos.retrieve(made.parse().id)
        assert "requests a minute" in str(refused.value)

    def test_another_accounts_video_is_not_found(self, held: Service, holding: OpenAI) -> None:
        made = holding.videos.create(prompt="x", **QUICK)
        with opened(held, held.key(account="other")) as stranger, pytest.raises(openai.NotFoundError):
            stranger.videos.retrieve(made.id)

    def test_a_live_key_without_a_provider_is_told_which_setting_is_missing(self, held: Service) -> None:
        with (
            opened(held, held.key(test=False)) as client,
            pytest.raises(openai.InternalServerError, match="GEMINI_API_KEY") as refused,
        ):
            client.videos.create(prompt="x", model="google/veo-3.1-generate-001")
        assert (refused.value.status_code, refused.value.code) == (503, "no_credentials")
        assert refused.value.response.headers["x-should-retry"] == "false"

    def test_a_sprite_sheet_is_refused_by_name(self, holding: OpenAI) -> None:
        made = holding.videos.create(prompt="x", **QUICK)
        with pytest.raises(openai.BadRequestError, match="'video', 'thumbnail'") as refused:
            holding.videos.download_content(made.id, variant="spritesheet")
        assert refused.value.param == "variant"


class TestQueued:
    def test_a_queued_video_says_when_to_ask_again(self, holding: OpenAI) -> None:
        raw = holding.videos.with_raw_response.create(prompt="x", **QUICK)
        made = raw.parse()
        assert (made.status, made.progress, made.error, made.completed_at) == ("queued", 0, None, None)
        assert 100 < int(raw.headers["openai-poll-after-ms"]) <= 5000

    async def test_deleting_a_queued_video_cancels_it(self, held: Service, held_key: Key, holding: OpenAI) -> None:
        made = holding.videos.create(prompt="x", **QUICK)
        assert holding.videos.delete(made.id).deleted
        with pytest.raises(openai.NotFoundError):
            holding.videos.retrieve(made.id)
        assert held.rows(f"SELECT * FROM jobs WHERE id = '{made.id}'") == []
        assert held.rows(f"SELECT * FROM attempts WHERE job_id = '{made.id}'") == []

    async def test_both_surfaces_see_the_same_job(self, held: Service, held_key: Key, holding: OpenAI) -> None:
        async with Client(held, held_key.text) as native:
            there = await native.create(prompt="made natively")
            assert holding.videos.retrieve(there["job_id"]).model == "animatic/storyboard"
            made = holding.videos.create(prompt="made here", **QUICK)
            job = await native.job(made.id)
        assert (job["prompt"], job["status"], job["request"]["duration"]) == ("made here", "pending", 1)

    async def test_names_of_other_servers_and_ours_mean_the_same(
        self, held: Service, held_key: Key, holding: OpenAI
    ) -> None:
        extra = {
            "negative_prompt": "rain", "seed": 0, "num_outputs_per_prompt": 2, "generate_sound": False,
            "width": 640, "height": 360, "extra_params": '{"guidance": 1.5}',
            "image_reference": json.dumps({"image_url": data_url(image())}),
        }  # fmt: skip
        made = holding.videos.create(prompt="x", model="animatic/storyboard", seconds=ONE, extra_body=extra)
        async with Client(held, held_key.text) as native:
            request = (await native.job(made.id))["request"]
        assert request.pop("media")[0]["role"] == "input_image"
        assert request == {
            "prompt": "x", "model": "storyboard", "provider": "animatic", "aspect_ratio": "16:9", "resolution": "360p",
            "duration": 1, "n": 2, "response_format": "url", "seed": 0, "negative_prompt": "rain",
            "generate_audio": False, "additional_params": {"guidance": 1.5},
        }  # fmt: skip

    async def test_a_video_as_input_reference_is_gone_on_from(
        self, held: Service, held_key: Key, holding: OpenAI, tmp_path: Path
    ) -> None:
        made = holding.videos.create(prompt="x", input_reference=video(tmp_path / "a.mp4"), **QUICK)
        several = [("input_references[]", image(color=color)) for color in ("red", "blue")]
        both = holding.post(
            "/videos",
            body={"prompt": "x", **QUICK},
            files=several,
            cast_to=openai.types.Video,
            options={"headers": {"Content-Type": "multipart/form-data"}},
        )
        async with Client(held, held_key.text) as native:
            assert [one["role"] for one in (await native.job(made.id))["request"]["media"]] == ["video"]
            roles = [one["role"] for one in (await native.job(both.id))["request"]["media"]]
        assert roles == ["reference_image", "reference_image"]

    def test_the_same_request_under_one_key_makes_one_video(self, holding: OpenAI) -> None:
        def create(prompt: str, picture: bytes) -> Any:
            return holding.videos.with_raw_response.create(
                prompt=prompt, input_reference=picture, extra_headers={"Idempotency-Key": "order-1"}, **QUICK
            )

        first, again = create("x", image()), create("x", image())
        assert first.parse() == again.parse()
        assert again.headers["Idempotent-Replayed"] == "true"
        assert "openai-poll-after-ms" in again.headers
        for prompt, picture in (("y", image()), ("x", image(color="red"))):
            with pytest.raises(openai.BadRequestError, match="another body") as refused:
                create(prompt, picture)
            assert refused.value.code == "idempotency_mismatch"


class TestModels:
    def test_every_model_and_alias_is_listed_and_can_be_retrieved(self, client: OpenAI) -> None:
        listed = {model.id: model for model in client.models.list()}
        assert next(iter(listed)) == "sora-2"
        assert listed["google/veo-3.0-generate-001"].shutdown_date == "2026-06-30"
        for name in ("sora-2", "google/veo-3.1-generate-001", "bedrock/luma.ray-v2:0"):
            assert client.models.retrieve(name) == listed[name]
        assert client.models.retrieve("storyboard").owned_by == "animatic"

    @pytest.mark.parametrize("name", ["veo-9", "google/nothing", "sora-2-pro"])
    def test_an_unknown_model_is_not_found(self, client: OpenAI, name: str) -> None:
        with pytest.raises(openai.NotFoundError) as refused:
            client.models.retrieve(name)
        assert refused.value.code == "model_not_found"


def data_url(content: bytes) -> str:
    return f"data:image/png;base64,{base64.b64encode(content).decode()}"


def form(**fields: Any) -> aiohttp.FormData:
    data = aiohttp.FormData(default_to_multipart=True)
    for name, value in fields.items():
        data.add_field(name, value, filename="a.png" if isinstance(value, bytes) else None)
    return data


class TestByHand:
    @pytest.mark.parametrize(
        "body",
        [
            {"json": {"prompt": "x", **QUICK}},
            {"json": {"prompt": "x", **QUICK, "seconds": 1, "seed": None}},
            {"data": form(prompt="x", **QUICK)},
            {"data": form(prompt="x", **{**QUICK, "input_reference[image_url]": data_url(image())})},
            {"data": form(prompt="x", **QUICK, input_reference=json.dumps({"image_url": data_url(image())}))},
            {"json": {"prompt": "x", **QUICK, "input_reference": {"image_url": data_url(image())}}},
            {"json": {"prompt": "x", **QUICK, "fallback_models": ["animatic/slow"]}},
        ],
    )  # fmt: skip
    async def test_forms_and_json_are_taken(self, held: Service, held_key: Key, body: dict[str, Any]) -> None:
        async with Client(held, held_key.text) as hand:
            made = (await hand.post("/v1/videos", **body)).ok()
        assert made == {
            "id": made["id"], "object": "video", "status": "queued", "progress": 0, "model": "animatic/storyboard",
            "prompt": "x", "seconds": "1", "size": "640x360", "created_at": made["created_at"], "completed_at": None,
            "expires_at": None, "remixed_from_video_id": None, "error": None, "served_model": "storyboard",
            "warnings": [],
        }  # fmt: skip

    @pytest.mark.parametrize(
        ("method", "path", "options", "status", "param"),
        [
            ("POST", "/v1/videos", {"data": b"prompt=x", "headers": {"Content-Type": "text/plain"}}, 415, None),
            ("POST", "/v1/videos", {"data": b"{", "headers": {"Content-Type": "application/json"}}, 400, None),
            ("POST", "/v1/videos", {"json": [1]}, 400, None),
            ("POST", "/v1/videos", {"data": b"", "headers": {"Content-Type": "multipart/form-data"}}, 400, "file"),
            ("POST", "/v1/videos", {"json": {"model": "animatic/storyboard"}}, 400, "prompt"),
            ("POST", "/v1/videos", {"json": {"prompt": "x", "model": 7}}, 400, "model"),
            ("POST", "/v1/videos", {"json": {"prompt": "x", **QUICK, "seconds": True}}, 400, "seconds"),
            ("POST", "/v1/videos", {"json": {"prompt": "x", **QUICK, "video": {"id": 1}}}, 400, "video"),
            ("POST", "/v1/videos", {"data": form(prompt=b"x", **QUICK)}, 400, "prompt"),
            ("POST", "/v1/videos", {"data": form(**{"prompt[0]": "x"}, **QUICK)}, 400, "prompt"),
            ("POST", "/v1/videos", {"data": form(**{"model[]": "x"}, prompt="x")}, 400, "model"),
            ("POST", "/v1/videos", {"data": form(prompt="x", secret=b"x")}, 400, "secret"),
            ("POST", "/v1/videos", {"data": form(prompt="x", **QUICK, input_reference="{1")}, 400, "input_reference"),
            ("POST", "/v1/videos", {"json": {}, "headers": {"Idempotency-Key": ""}}, 400, "Idempotency-Key"),
            ("PUT", "/v1/videos", {}, 405, None),
            ("GET", "/v1/nothing", {}, 404, None),
            ("GET", "/v1", {}, 404, None),
            ("GET", "/v1/videos/job_x/content", {}, 404, None),
            ("GET", "/v1/videos/job_x/content?index=-1", {}, 400, "index"),
            ("POST", "/v1/videos/job_x/remix", {"json": {"prompt": "x"}}, 404, None),
            ("POST", "/v1/videos", {"data": b"x", "headers": {"Content-Type": "application/json",
                                                              "Content-Length": str(65 * 1024**2)}}, 413, None),
        ],
    )  # fmt: skip
    async def test_every_refusal_is_in_the_envelope(
        self, held: Service, held_key: Key, method: str, path: str, options: dict[str, Any], status: int,
        param: str | None,
    ) -> None:  # fmt: skip
        async with Client(held, held_key.text) as hand:
            answer = await hand.call(method, path, **options)
        assert answer.status == status, answer.body
        assert answer.headers["Content-Type"] == "application/json"
        assert answer.headers["X-Request-Id"].startswith("req_")
        error = answer.json()["error"]
        assert answer.json().keys() == {"error"}
        assert error.keys() == {"message", "type", "param", "code"}
        assert (error["type"], error["param"]) == ("invalid_request_error", param)
        assert error["message"]
        assert error["code"]

    @pytest.mark.parametrize("path", ["/v1/videos", "/v1/videos/job_x", "/v1/models", "/v1/models/x"])
    async def test_no_key_is_401_everywhere(self, held: Service, path: str) -> None:
        async with Client(held, None) as hand:
            answer = await hand.get(path)
        assert (answer.status, answer.json()["error"]["code"]) == (401, "invalid_api_key")

    async def test_a_file_that_is_refused_leaves_nothing_behind(self, held: Service, held_key: Key) -> None:
        before = held.rows("SELECT COUNT(*) FROM inputs")
        async with Client(held, held_key.text) as hand:
            answer = await hand.post("/v1/videos", data=form(prompt="x", input_reference=b"not a picture", **QUICK))
        assert (answer.status, answer.json()["error"]["param"]) == (400, "input_reference")
        assert held.rows("SELECT COUNT(*) FROM inputs") == before
