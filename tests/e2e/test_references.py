"""Reference videos and audio, earlier jobs, tasks, tags and metadata, over real sockets with test keys."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from rushes import AsyncClient
from tests.fixtures.media import image, sound, video
from tests.fixtures.processes import run
from tests.fixtures.service import Client, Service, until

GENERATIONS = "/api/v1/videos/generations"


def text(content: bytes) -> str:
    return base64.b64encode(content).decode()


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Two seconds of video."""
    return text(video(tmp_path_factory.mktemp("clip") / "clip.mp4", frames=48))


@pytest.fixture(scope="module")
def retentive(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """A service whose videos are gone at once."""
    running = Service(tmp_path_factory.mktemp("retentive"), RUSHES_RETENTION_S="0.01").start()
    yield running
    running.finish()


async def test_references_reach_the_film_and_the_job_shows_them(client: Client, clip: str) -> None:
    started = await client.create(
        reference_videos=[clip], reference_audios=[text(sound("mp3", 2)), text(sound("wav", 1.5))], generate_audio=True
    )
    job = await client.reached(started["job_id"], "completed")
    media = [(item["role"], item["content_type"], round(item["duration"])) for item in job["request"]["media"]]
    assert media == [
        ("reference_video", "video/mp4", 2),
        ("reference_audio", "audio/mpeg", 2),
        ("reference_audio", "audio/wav", 2),
    ]


async def test_audio_may_be_uploaded_and_referred_to(client: Client) -> None:
    answer = await client.post("/api/v1/uploads", data=sound("flac", 1.25), headers={"Content-Type": "audio/flac"})
    upload = answer.ok()
    assert (upload["content_type"], upload["duration"], upload["width"]) == ("audio/flac", 1.25, None)
    started = await client.create(reference_audios=[upload["reference"]])
    assert (await client.reached(started["job_id"]))["status"] == "completed"


async def test_an_earlier_video_is_extended_edited_and_upscaled_without_sending_it(client: Client) -> None:
    first = await client.create()
    made = (await client.reached(first["job_id"], "completed"))["result"]
    lengths = {}
    for task in ("extend", "edit", "upscale"):
        options: dict[str, Any] = {"previous_job_id": first["job_id"], "video_task": task}
        if task == "extend":
            options["duration"] = 2
        body = {"prompt": "and then", "model": "animatic/storyboard", "generate_audio": False, **options}
        started = (await client.post(GENERATIONS, json=body)).ok()
        job = await client.reached(started["job_id"], "completed")
        assert (job["request"]["previous_job_id"], job["request"]["previous_index"]) == (first["job_id"], 0)
        assert job["request"]["video_task"] == task
        (item,) = job["request"]["media"]
        assert (item["role"], item["sha256"]) == ("video", made["sha256"])
        lengths[task] = round(job["result"]["duration"])
    assert lengths == {"extend": 3, "edit": 1, "upscale": 1}


async def test_a_quote_takes_all_that_a_generation_takes(client: Client, clip: str) -> None:
    first = await client.create()
    await client.reached(first["job_id"], "completed")
    body = {
        "prompt": "x", "model": "animatic/storyboard", "previous_job_id": first["job_id"], "video_task": "edit",
        "reference_videos": [clip], "user": "u1", "metadata": {"a": "b"},
    }  # fmt: skip
    quote = (await client.post("/api/v1/videos/quote", json=body)).ok()
    assert (quote["cost"], quote["duration"]) == (0, None)
    (await client.post("/api/v1/videos/quote", json={**body, "previous_index": 4})).problem(400)


async def test_a_user_and_metadata_are_kept_shown_and_filtered_by(service: Service) -> None:
    async with Client(service, service.key(account="tagged").text) as client:
        started = await client.create(user="u1", metadata={"order": "7", "empty": ""})
        await client.create(user="u2")
        await client.create()
        job = await client.reached(started["job_id"], "completed")
        assert (job["user"], job["metadata"]) == ("u1", {"order": "7", "empty": ""})
        page = await client.jobs(user="u1")
        assert [one["job_id"] for one in page["jobs"]] == [started["job_id"]]
        assert page["total"] is None
        assert page["jobs"][0]["metadata"] == {"order": "7", "empty": ""}
        everyone = await client.jobs()
        assert [one["user"] for one in everyone["jobs"]] == [None, "u2", "u1"]
        for one in everyone["jobs"]:
            await client.reached(one["job_id"])
        usage = (await client.get("/api/v1/analytics/usage", params={"group_by": "user"})).ok()
        assert [(group["group"], group["requests"], group["completed"]) for group in usage["data"]] == [
            ("u1", 1, 1),
            ("u2", 1, 1),
        ]


async def test_openais_api_keeps_the_user_and_metadata(client: Client) -> None:
    body = {"prompt": "x", "model": "animatic/storyboard", "seconds": "1", "user": "u1", "metadata": {"k": "v"}}
    made = (await client.post("/v1/videos", json=body)).json()
    job = await client.job(made["id"])
    assert (job["user"], job["metadata"]) == ("u1", {"k": "v"})


@pytest.mark.parametrize(
    ("fields", "status", "words"),
    [
        ({"video_task": "dub"}, 422, "video_task"),
        ({"video_task": "edit"}, 400, "needs a video"),
        ({"previous_index": 1}, 400, "previous_job_id"),
        ({"previous_job_id": "job_000000000000000000000000"}, 404, "job_000000000000000000000000"),
        ({"user": ""}, 422, "user"),
        ({"user": "x" * 257}, 422, "user"),
        ({"metadata": {"a" * 41: "b"}}, 422, "metadata"),
        ({"metadata": {"a": "b" * 501}}, 422, "metadata"),
        ({"metadata": {"a": 1}}, 422, "metadata"),
        ({"metadata": {str(number): "x" for number in range(17)}}, 422, "metadata"),
        ({"reference_audios": [text(sound("wav", 0.5, loudness=0))]}, 400, "reference_audios.0: the file is silent"),
        ({"reference_audios": [text(b"RIFF\x24\0\0\0WAVEfmt ")]}, 400, "reference_audios.0"),
        ({"reference_audios": [text(image())]}, 400, "reference_audios.0"),
        ({"reference_audios": "x"}, 422, "reference_audios"),
        ({"reference_videos": [text(sound("wav", 0.5))]}, 400, "reference_videos.0"),
    ],
)
async def test_what_is_wrong_is_said_and_costs_nothing(
    client: Client, fields: dict[str, Any], status: int, words: str
) -> None:
    before = (await client.jobs())["total"]
    problem = (await client.generate(prompt="x", model="animatic/storyboard", **fields)).problem(status)
    assert words in problem["detail"]
    assert (await client.jobs())["total"] == before


@pytest.mark.parametrize(
    ("model", "fields", "words"),
    [
        ("google/veo-3.1-generate-001", {"video_task": "edit"}, "video_task 'edit' is not offered by"),
        ("google/veo-3.1-generate-001", {"video_task": "upscale"}, "it offers 'extend'"),
        (
            "google/veo-3.1-generate-001",
            {"reference_audios": [text(sound("wav", 1))]},
            "reference_audios is not offered",
        ),
        ("google/gemini-omni-1.1-flash", {"video_task": "edit", "duration": 4}, "duration 4 is not offered"),
    ],
)
async def test_what_the_model_lacks_is_refused_with_what_it_has(
    client: Client, clip: str, model: str, fields: dict[str, Any], words: str
) -> None:
    answer = await client.post(GENERATIONS, json={"prompt": "x", "model": model, "video": clip, **fields})
    assert words in answer.problem(400)["detail"]


async def test_a_file_of_the_wrong_length_is_refused_before_the_job(client: Client, clip: str) -> None:
    body = {"prompt": "x", "model": "google/gemini-omni-1.2-flash", "video": clip, "video_task": "edit"}
    problem = (await client.post(GENERATIONS, json=body)).problem(400)
    assert "video lasts 2 s; 'gemini-omni-1.2-flash' takes at least 3 s" in problem["detail"]


async def test_another_accounts_job_an_unfinished_one_and_both_videos_are_refused(
    service: Service, held: Service, client: Client, clip: str
) -> None:
    first = await client.create()
    await client.reached(first["job_id"], "completed")
    async with Client(service, service.key(account="stranger").text) as stranger:
        refused = await stranger.generate(prompt="x", model="animatic/storyboard", previous_job_id=first["job_id"])
        refused.problem(404)
    both = {"prompt": "x", "model": "animatic/storyboard", "previous_job_id": first["job_id"], "video": clip}
    assert "only one" in (await client.post(GENERATIONS, json=both)).problem(400)["detail"]
    async with Client(held, held.key().text) as waiting:
        pending = await waiting.create()
        refused = await waiting.generate(prompt="x", model="animatic/storyboard", previous_job_id=pending["job_id"])
        assert "is pending" in refused.problem(409)["detail"]


async def test_a_video_that_is_no_longer_kept_is_410(retentive: Service) -> None:
    async with Client(retentive, retentive.key().text) as client:
        first = await client.create()
        await client.reached(first["job_id"], "completed")
        refused = await client.generate(prompt="x", model="animatic/storyboard", previous_job_id=first["job_id"])
        assert "no longer kept" in refused.problem(410)["detail"]


async def test_the_command_line_says_all_of_it(service: Service, tmp_path: Path) -> None:
    key = service.key(account="cli")
    (tmp_path / "voice.wav").write_bytes(sound("wav", 1))
    video(tmp_path / "clip.mp4", frames=24)
    settings = {"RUSHES_BASE_URL": service.url, "RUSHES_API_KEY": key.text}
    quick = ("--model", "animatic/storyboard", "--resolution", "360p", "--duration", "1", "--detach")
    command = ("generate", "a kite", *quick)
    made = run(
        [
            *command, "--reference-video", tmp_path / "clip.mp4", "--reference-audio", tmp_path / "voice.wav",
            "--user", "u9", "--metadata", "k=v=w",
        ],
        cwd=tmp_path, env=settings, timeout_s=30,
    )  # fmt: skip
    assert made.returncode == 0, made.stderr
    async with Client(service, key.text) as client:
        job = await client.reached(made.stdout.strip(), "completed")
        assert (job["user"], job["metadata"]) == ("u9", {"k": "v=w"})
        assert [item["role"] for item in job["request"]["media"]] == ["reference_video", "reference_audio"]
        listed = run(["jobs", "list", "--user", "u9", "--json"], cwd=tmp_path, env=settings, timeout_s=30)
        assert job["job_id"] in listed.stdout, listed.stderr
        none = run(["jobs", "list", "--user", "u0", "--json"], cwd=tmp_path, env=settings, timeout_s=30)
        assert job["job_id"] not in none.stdout
        longer = run(
            [*command, "--previous-job", job["job_id"], "--video-task", "extend"],
            cwd=tmp_path, env=settings, timeout_s=30,
        )  # fmt: skip
        assert longer.returncode == 0, longer.stderr
        extended = await client.reached(longer.stdout.strip(), "completed")
        assert round(extended["result"]["duration"]) == 2


async def test_the_python_client_says_all_of_it(service: Service, tmp_path: Path) -> None:
    (tmp_path / "voice.mp3").write_bytes(sound("mp3", 1))
    async with AsyncClient(api_key=service.key(account="python").text, base_url=service.url) as client:
        first = await client.generate(
            "a kite", model="animatic/storyboard", resolution="360p", duration=1,
            reference_audios=[tmp_path / "voice.mp3"], user="u1", metadata={"k": "v"},
        )  # fmt: skip
        assert (first.user, first.metadata) == ("u1", {"k": "v"})
        longer = await client.generate(
            "and on", model="animatic/storyboard", resolution="360p", duration=1, previous_job_id=first.id
        )
        assert round(longer.videos[0].duration_s or 0) == 2
        assert [job.id async for job in client.jobs(user="u1")] == [first.id]


async def test_a_user_given_to_openai_s_routes_is_the_same_tag(service: Service) -> None:
    async with Client(service, service.key(account="tagged-there").text) as client:
        body = {"prompt": "a kite", "model": "animatic/storyboard", "seconds": "4", "size": "1280x720"}
        tagged = (await client.post("/v1/videos", json={**body, "user": "u1"})).ok()["id"]
        other = (await client.post("/v1/videos", json=body)).ok()["id"]
        listed = await client.jobs(user="u1")
        assert [(one["job_id"], one["user"]) for one in listed["jobs"]] == [(tagged, "u1")]
        for job_id in (tagged, other):
            await client.reached(job_id)
        usage = (await client.get("/api/v1/analytics/usage", params={"group_by": "user"})).ok()
        assert ("u1", 1) in [(group["group"], group["requests"]) for group in usage["data"]]
        assert (await client.post("/v1/videos", json={**body, "user": 7})).status == 400


async def test_nothing_of_a_finished_job_stays_in_scratch(service: Service, clip: str) -> None:
    async with Client(service, service.key(account="tidy").text) as client:
        started = await client.create(reference_videos=[clip], reference_audios=[text(sound("mp3", 2))])
        await client.reached(started["job_id"], "completed")
        scratch = service.data_dir / "scratch"
        await until(lambda: not any(path.is_file() for path in scratch.rglob("*")))
        assert (await client.call("DELETE", f"/api/v1/videos/jobs/{started['job_id']}")).status == 204
        assert not any(path.is_file() for path in scratch.rglob("*"))
