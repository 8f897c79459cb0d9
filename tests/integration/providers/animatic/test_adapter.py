from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace

import av
import pytest

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
from rushes.shared_places import DRAWINGS, SharedPlace
from tests.fixtures.box_processes import tasks_of
from tests.fixtures.catalogue import shipped_catalogue

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


async def test_a_drawing_whose_process_is_killed_is_drawn_again(studio: Studio) -> None:
    submission = await studio.submit("storyboard", replace(TINY, resolution="720p", duration_s=30))
    await studio.until_written("att_1.progress")
    await until(lambda: tasks_of(studio.box))
    kill(tasks_of(studio.box))
    assert isinstance(await studio.until_ended(submission.handle), Done)


async def test_a_drawing_that_always_ends_its_process_fails(studio: Studio) -> None:
    submission = await studio.submit("storyboard", replace(TINY, resolution="4k", duration_s=60))
    ended = None
    while not isinstance(ended, Failed):
        kill(tasks_of(studio.box))
        await asyncio.sleep(0.05)
        ended = await studio.poll(submission.handle)
        assert not isinstance(ended, Done)
    assert isinstance(ended.error, ProviderRejected)
    assert "died" in ended.error.message
    assert isinstance(await studio.poll(submission.handle), Failed)


async def test_an_input_that_is_gone_is_refused_by_the_name_of_its_field(studio: Studio) -> None:
    submission = await studio.submit("storyboard", replace(TINY, media=(studio.image("red", Role.LAST_FRAME),)))
    await studio.until_ended(submission.handle)
    for name in ("mp4", "input-0"):
        (studio.scratch / f"att_1.{name}").unlink()
    ended = await studio.until_ended(submission.handle)
    assert isinstance(ended, Failed)
    assert "'last_frame' is no longer" in ended.error.message


async def test_a_released_drawing_leaves_no_files(studio: Studio) -> None:
    media = (studio.image("red", Role.INPUT_IMAGE), studio.image("blue", Role.LAST_FRAME))
    for attempt in ("att_1", "att_2"):
        submission = await studio.submit("storyboard", replace(TINY, media=media), attempt)
        assert isinstance(await studio.until_ended(submission.handle), Done)
    await studio.adapter.release({**submission.handle, "attempt_id": "att_1"}, credential=NO_CREDENTIAL)
    left = {path.name.partition(".")[0] for path in studio.scratch.iterdir()}
    assert left == {"att_2"}
    await studio.adapter.release(submission.handle, credential=NO_CREDENTIAL)
    await studio.adapter.release(submission.handle, credential=NO_CREDENTIAL)
    assert list(studio.scratch.iterdir()) == []


async def test_releasing_a_drawing_under_way_ends_its_process(studio: Studio) -> None:
    submission = await studio.submit("storyboard", replace(TINY, resolution="4k", duration_s=60))
    await until(lambda: tasks_of(studio.box))
    await studio.adapter.release(submission.handle, credential=NO_CREDENTIAL)
    await until(lambda: not tasks_of(studio.box))
    assert list(studio.scratch.iterdir()) == []


async def test_accounts_take_turns_at_drawing(studio: Studio) -> None:
    studio.drawings = SharedPlace(DRAWINGS, most=1)
    studio.adapter = studio.another_adapter()
    finished = []

    async def draw(attempt_id: str, account_id: str) -> None:
        of = replace(NO_CREDENTIAL, account_id=account_id)
        submission = await studio.submit("storyboard", TINY, attempt_id, of)
        while isinstance(await studio.adapter.poll(submission.handle, credential=of), Working):  # noqa: ASYNC110
            await asyncio.sleep(0.01)
        finished.append(account_id)

    many = [asyncio.create_task(draw(f"att_{number}", "many")) for number in range(6)]
    await until(lambda: studio.drawings.waiting == 5)
    await draw("att_one", "one")
    assert finished.count("many") <= 2
    await asyncio.gather(*many)


async def until(happens: Callable[[], object]) -> None:
    while not happens():  # noqa: ASYNC110 - a process is no event of ours
        await asyncio.sleep(0.01)


def kill(processes: list[int]) -> None:
    for process_id in processes:
        with contextlib.suppress(ProcessLookupError):
            os.kill(process_id, signal.SIGKILL)


async def test_an_input_that_cannot_be_decoded_fails_by_the_name_of_its_field(studio: Studio) -> None:
    broken = studio.media(b"not an image", Role.LAST_FRAME)
    submission = await studio.submit("storyboard", replace(TINY, media=(broken,)))
    ended = await studio.until_ended(submission.handle)
    assert isinstance(ended, Failed)
    assert isinstance(ended.error, ProviderRejected)
    assert "'last_frame'" in ended.error.message
    assert not list(studio.scratch.glob("*.mp4*"))


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
    assert {model.id for model in shipped_catalogue().models("animatic")} == set(BEHAVIOURS)


def test_two_slow_ones_run_at_once_and_the_others_as_many_as_come() -> None:
    limited = {
        model.id: model.concurrency for model in shipped_catalogue().models("animatic") if model.concurrency is not None
    }
    assert limited == {"slow": 2}


def test_the_serving_process_does_not_load_pillow_or_pyav() -> None:
    code = "import sys, rushes.providers.animatic; print(sorted({'PIL', 'av'} & set(sys.modules)))"
    printed = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert printed.strip() == "[]"
