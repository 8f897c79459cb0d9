from __future__ import annotations

import asyncio
import json
import multiprocessing
import os
import signal
import subprocess
import sys
from dataclasses import replace

import av
import pytest

from rushes.catalogue.load import load
from rushes.domain.progress import Done, Failed, Working
from rushes.domain.request import Role
from rushes.errors import (
    ContentFiltered,
    OutputLost,
    ProviderRejected,
    ProviderUnavailable,
    SubmissionUnknown,
)
from rushes.providers.animatic.behaviours import BEHAVIOURS
from rushes.providers.base import NO_CREDENTIAL

from .studio import TINY, Studio, catalogued


async def test_a_storyboard_is_drawn_and_its_bytes_are_an_mp4(studio: Studio) -> None:
    submission = await studio.submit("storyboard")
    ended = await studio.until_ended(submission.handle)
    assert isinstance(ended, Done)
    assert (await studio.fetched(submission.handle, ended))[4:8] == b"ftyp"


async def test_submit_answers_before_anything_is_drawn(studio: Studio) -> None:
    submission = await studio.submit("storyboard")
    assert isinstance(submission.progress, Working)
    assert not list(studio.scratch.glob("*.mp4"))


async def test_handle_and_output_survive_json(studio: Studio) -> None:
    submission = await studio.submit("storyboard", replace(TINY, prompt="日本 😀", seed=0))
    handle = json.loads(json.dumps(submission.handle))
    ended = await studio.until_ended(handle)
    assert isinstance(ended, Done)
    assert json.loads(json.dumps(ended.outputs)) == list(ended.outputs)
    assert handle["seed"] == 0


async def test_submitting_twice_under_one_attempt_id_draws_once(studio: Studio) -> None:
    first = await studio.submit("storyboard")
    second = await studio.submit("storyboard")
    for handle in (first.handle, second.handle):
        assert isinstance(await studio.until_ended(handle), Done)
    assert len(list(studio.scratch.glob("*.mp4"))) == 1
    assert (studio.scratch / "att_1.progress").stat().st_size == 100


async def test_polling_after_done_is_done_again(studio: Studio) -> None:
    submission = await studio.submit("storyboard")
    assert await studio.until_ended(submission.handle) == await studio.poll(submission.handle)


async def test_fractions_never_fall(studio: Studio) -> None:
    seen: list[float] = []

    def see(progress: Working) -> None:
        assert progress.fraction is not None
        seen.append(progress.fraction)

    submission = await studio.submit("storyboard", replace(TINY, duration_s=5))
    await studio.until_ended(submission.handle, see)
    assert seen == sorted(seen)
    assert all(0 <= fraction < 1 for fraction in seen)


async def test_another_process_goes_on_from_the_handle_alone(studio: Studio) -> None:
    submission = await studio.submit("storyboard")
    await studio.adapter.close()
    studio.adapter = studio.another_adapter()
    assert isinstance(await studio.until_ended(submission.handle), Done)


async def test_a_film_swept_from_scratch_is_lost_to_fetch_and_drawn_again_by_poll(studio: Studio) -> None:
    submission = await studio.submit("storyboard")
    ended = await studio.until_ended(submission.handle)
    assert isinstance(ended, Done)
    film = await studio.fetched(submission.handle, ended)
    (studio.scratch / "att_1.mp4").unlink()
    with pytest.raises(OutputLost):
        await studio.fetched(submission.handle, ended)
    again = await studio.until_ended(submission.handle)
    assert isinstance(again, Done)
    assert await studio.fetched(submission.handle, again) == film


async def test_a_drawing_whose_child_is_killed_is_drawn_again(studio: Studio) -> None:
    submission = await studio.submit("storyboard", replace(TINY, resolution="720p", duration_s=30))
    await studio.until_written("att_1.progress")
    kill_children()
    assert isinstance(await studio.until_ended(submission.handle), Done)


async def test_a_drawing_that_always_kills_its_child_fails(studio: Studio) -> None:
    submission = await studio.submit("storyboard", replace(TINY, resolution="4k", duration_s=60))
    ended = None
    while not isinstance(ended, Failed):
        kill_children()
        await asyncio.sleep(0.05)
        ended = await studio.poll(submission.handle)
        assert not isinstance(ended, Done)
    assert isinstance(ended.error, ProviderRejected)
    assert "died" in ended.error.message
    assert isinstance(await studio.poll(submission.handle), Failed)


def kill_children() -> None:
    for child in multiprocessing.active_children():
        if child.pid is not None and child.name.startswith("SpawnProcess"):
            os.kill(child.pid, signal.SIGKILL)


async def test_an_input_that_cannot_be_decoded_fails_by_the_name_of_its_field(studio: Studio) -> None:
    broken = studio.media(b"not an image", Role.LAST_FRAME)
    submission = await studio.submit("storyboard", replace(TINY, media=(broken,)))
    ended = await studio.until_ended(submission.handle)
    assert isinstance(ended, Failed)
    assert isinstance(ended.error, ProviderRejected)
    assert "'last_frame'" in ended.error.message


async def test_inputs_are_there_for_another_process(studio: Studio) -> None:
    media = (studio.image("red", Role.INPUT_IMAGE), studio.image("blue", Role.LAST_FRAME))
    submission = await studio.submit("storyboard", replace(TINY, media=media))
    await studio.adapter.close()
    studio.files.clear()
    studio.adapter = studio.another_adapter()
    assert isinstance(await studio.until_ended(submission.handle), Done)


async def test_options_that_cannot_be_drawn_are_rejected_at_submit(studio: Studio) -> None:
    with pytest.raises(ProviderRejected, match="'aspect_ratio' 'square' cannot be drawn"):
        await studio.submit("storyboard", replace(TINY, aspect_ratio="square"))


async def test_a_scratch_that_cannot_be_written_is_said_at_poll_and_healed_when_it_can(studio: Studio) -> None:
    studio.scratch.write_text("a file where the directory should be")
    submission = await studio.submit("storyboard")
    with pytest.raises(ProviderUnavailable, match="scratch"):
        await studio.until_ended(submission.handle)
    studio.scratch.unlink()
    assert isinstance(await until_ended_in_spite_of_errors(studio, submission.handle), Done)


async def until_ended_in_spite_of_errors(studio: Studio, handle: dict[str, object]) -> Done | Failed:
    while True:
        try:
            return await studio.until_ended(handle)
        except ProviderUnavailable:
            await asyncio.sleep(0.01)


async def test_slow_takes_ten_seconds_of_the_clock(studio: Studio) -> None:
    submission = await studio.submit("slow")
    await studio.until_written("att_1.mp4")
    await studio.clock.sleep(9.9)
    assert await studio.poll(submission.handle) == Working(0.99, 0.2)
    await studio.clock.sleep(0.1)
    assert isinstance(await studio.poll(submission.handle), Done)


async def test_slow_keeps_its_time_over_a_restart(studio: Studio) -> None:
    submission = await studio.submit("slow")
    await studio.clock.sleep(10)
    await studio.adapter.close()
    studio.adapter = studio.another_adapter()
    assert isinstance(await studio.until_ended(submission.handle), Done)


@pytest.mark.parametrize(("model_id", "error"), [("fail", ProviderRejected), ("filtered", ContentFiltered)])
async def test_models_that_fail_are_accepted_first(studio: Studio, model_id: str, error: type[Exception]) -> None:
    submission = await studio.submit(model_id)
    assert isinstance(await studio.poll(submission.handle), Working)
    await studio.clock.sleep(1)
    for _ in range(2):
        progress = await studio.poll(submission.handle)
        assert isinstance(progress, Failed)
        assert type(progress.error) is error


async def test_stuck_never_ends(studio: Studio) -> None:
    submission = await studio.submit("stuck")
    await studio.clock.sleep(1_000_000)
    assert isinstance(await studio.poll(submission.handle), Working)


def test_flaky_fails_about_every_other_attempt_and_always_the_same_ones() -> None:
    ending = BEHAVIOURS["flaky"].ending
    failed = [ending(f"att_{index}") is not None for index in range(400)]
    assert 150 < sum(failed) < 250
    assert failed == [ending(f"att_{index}") is not None for index in range(400)]


async def test_lost_is_accepted_and_nobody_can_say_so(studio: Studio) -> None:
    with pytest.raises(ProviderUnavailable) as lost:
        await studio.submit("lost")
    assert lost.value.accepted is None
    with pytest.raises(SubmissionUnknown):
        await studio.another_adapter().find("att_1", credential=NO_CREDENTIAL)
    assert not catalogued("lost").repeatable_submit


async def test_an_attempt_never_lost_is_surely_not_to_be_found(studio: Studio) -> None:
    assert await studio.adapter.find("att_2", credential=NO_CREDENTIAL) is None


async def test_old_files_are_swept_when_a_drawing_starts(studio: Studio) -> None:
    studio.scratch.mkdir()
    old, young = studio.scratch / "att_old.mp4", studio.scratch / "att_young.mp4"
    for file in (old, young):
        file.write_bytes(b"")
    os.utime(old, (1, 1))
    submission = await studio.submit("storyboard")
    await studio.until_ended(submission.handle)
    assert not old.exists()
    assert young.exists()


async def test_defaults_are_the_models_own(studio: Studio) -> None:
    request = replace(TINY, aspect_ratio=None, resolution=None, duration_s=None, generate_audio=None)
    submission = await studio.submit("storyboard", request)
    ended = await studio.until_ended(submission.handle)
    assert isinstance(ended, Done)
    with av.open(str(studio.scratch / "att_1.mp4")) as film:
        video = film.streams.video[0]
        assert (video.width, video.height, video.frames) == (1280, 720, 8 * 24)
        assert len(film.streams.audio) == 1


def test_the_catalogue_lists_the_models_that_have_a_behaviour() -> None:
    assert {model.id for model in load().models("animatic")} == set(BEHAVIOURS)


def test_two_slow_ones_run_at_once_and_the_others_as_many_as_come() -> None:
    limited = {model.id: model.concurrency for model in load().models("animatic") if model.concurrency is not None}
    assert limited == {"slow": 2}


def test_the_serving_process_does_not_load_pillow_or_pyav() -> None:
    code = "import sys, rushes.providers.animatic; print(sorted({'PIL', 'av'} & set(sys.modules)))"
    printed = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert printed.strip() == "[]"
