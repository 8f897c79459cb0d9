"""Hostile files are refused within their limits, and accounts do not wait for each other's files."""

from __future__ import annotations

import asyncio
import io
from collections.abc import AsyncGenerator, AsyncIterator
from pathlib import Path

import pytest
from PIL import Image

from rushes.decoding.box import Box, TaskEndedError
from rushes.decoding.sandbox import MIB, Limits
from rushes.errors import AccountBusy, OutputInvalid, Overloaded, UnusableInput
from rushes.media import decoder as module
from rushes.media.decoder import Decoder
from rushes.media.inspection import Facts
from rushes.media.local import LocalStorage
from rushes.media.poster import Posters
from rushes.shared_places import DECODERS, SharedPlaces
from tests.fixtures.media import endless_samples, growing_video, image, pixel_bomb, scan_bomb, video


class World:
    """A decoder over a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.box = Box()
        self.places = SharedPlaces()
        self.storage = LocalStorage(folder / "files")
        self.decoder = Decoder(self.storage, self.box, self.places)
        self._stored = 0

    async def store(self, content: bytes) -> str:
        self._stored += 1
        key = f"inputs/{self._stored}"
        await self.storage.put(key, once(content), max_bytes=2**30)
        return key

    async def inspect(self, content: bytes, account_id: str = "acc") -> Facts:
        return await self.decoder.inspect(await self.store(content), "The file", account_id)

    async def refusal(self, content: bytes) -> str:
        with pytest.raises(UnusableInput) as caught:
            await self.inspect(content)
        return caught.value.message


async def once(content: bytes) -> AsyncGenerator[bytes, None]:
    yield content


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    made = World(tmp_path)
    yield made
    made.box.close()


async def test_inputs_are_inspected(world: World) -> None:
    assert await world.inspect(image()) == Facts("image/png", 64, 48)
    found = await world.inspect(video(world.folder / "a.mp4"))
    assert found == Facts("video/mp4", 64, 48, 0.5)


async def test_the_largest_image_that_is_taken_fits_into_its_memory(world: World) -> None:
    out = io.BytesIO()
    Image.new("RGBA", (7070, 7070), "teal").save(out, "PNG", compress_level=1)
    found = await world.inspect(out.getvalue())
    assert (found.width, found.height) == (7070, 7070)


async def test_the_largest_frame_that_is_taken_fits_into_its_memory(world: World) -> None:
    found = await world.inspect(video(world.folder / "a.mp4", frames=8, size=(8192, 4320)))
    assert (found.width, found.height) == (8192, 4320)


@pytest.mark.parametrize("size", [(30_000, 30_000), (60_000, 900), (8_000, 7_000)])
async def test_a_picture_of_too_many_pixels_is_refused_by_its_header(world: World, size: tuple[int, int]) -> None:
    assert "megapixels" in await world.refusal(pixel_bomb(*size))


async def test_tables_that_grow_to_gigabytes_are_refused_within_the_limit(world: World) -> None:
    content = endless_samples(world.folder / "a.mp4")
    assert len(content) < 5000
    assert await world.refusal(content)
    assert (await world.inspect(image())).width == 64


async def test_a_jpeg_of_many_scans_is_refused(world: World) -> None:
    assert "scans" in await world.refusal(scan_bomb(2000))
    found = await world.inspect(scan_bomb(20, (200, 200)))
    assert found.width == 200


async def test_frames_that_grow_are_bounded_as_the_first_is(world: World) -> None:
    key = await world.store(growing_video(world.folder / "a.webm", (64, 48), (10_000, 6_000)))
    await world.decoder.inspect(key, "The file", "acc")
    with pytest.raises(OutputInvalid):
        await world.decoder.poster(key, "acc")
    fits = await world.store(growing_video(world.folder / "b.webm", (64, 48), (128, 96)))
    assert await world.decoder.poster(fits, "acc")


async def test_a_file_of_too_many_boxes_is_refused(world: World) -> None:
    content = video(world.folder / "a.mp4")
    assert "boxes" in await world.refusal(content + b"\0\0\0\x08free" * 100_001)


async def test_time_grows_with_the_size_of_the_file_and_is_bounded() -> None:
    seconds = [Limits.for_file(size).cpu_s for size in (0, 1 * MIB, 10 * MIB, 10**9, 10**12)]
    assert seconds == sorted(seconds)
    assert seconds[0] >= 5
    assert seconds[-1] <= 30


async def test_a_file_that_ends_its_process_is_refused_and_others_are_read(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(module, "_TASKS", "tests.fixtures.boxed_tasks")
        key = await world.store(b"any")
        for task, words in (("crash", "ends the process"), ("run_out_of_memory", "too much memory")):
            with pytest.raises(UnusableInput, match=words):
                await _inspect_by(world, task, key)
    assert (await world.inspect(image())).width == 64


async def _inspect_by(world: World, task: str, key: str) -> None:
    """Inspect with another task than the usual one."""
    try:
        await world.decoder._run(DECODERS, "acc", key, task)
    except TaskEndedError as exc:
        raise UnusableInput(exc.sentence("The file")) from exc


async def test_an_account_that_holds_its_share_does_not_delay_another(world: World) -> None:
    key = await world.store(image())
    held = world.places[DECODERS].take("many")
    waiting = [asyncio.create_task(world.decoder.inspect(key, "The file", "many")) for _ in range(10)]
    while world.places[DECODERS].waiting < 10:  # noqa: ASYNC110 - a place tells no event
        await asyncio.sleep(0)
    assert (await world.inspect(image(), "one")).width == 64
    assert not any(task.done() for task in waiting)
    held.release()
    await asyncio.gather(*waiting)


async def test_an_account_has_a_bounded_number_of_files_that_wait(world: World) -> None:
    key = await world.store(image())
    place = world.places[DECODERS]
    with place.take("many"):
        most = place.declaration.queue
        waiting = [asyncio.create_task(world.decoder.inspect(key, "The file", "many")) for _ in range(most)]
        while place.waiting < most:  # noqa: ASYNC110 - a place tells no event
            await asyncio.sleep(0)
        with pytest.raises(AccountBusy) as caught:
            await world.decoder.inspect(key, "The file", "many")
        assert caught.value.retry_after_s
        assert (await world.inspect(image(), "one")).width == 64
        for task in waiting:
            task.cancel()
        await asyncio.gather(*waiting, return_exceptions=True)
    assert place.held == place.waiting == 0


async def test_a_result_is_measured_or_said_why_not(world: World) -> None:
    key = await world.store(video(world.folder / "a.mp4"))
    facts = await world.decoder.measure(key, "acc")
    assert (facts.width, facts.height, facts.duration_s, facts.codec) == (64, 48, 0.5, "h264")
    broken = await world.store(endless_samples(world.folder / "b.mp4"))
    with pytest.raises(OutputInvalid):
        await world.decoder.measure(broken, "acc")


async def test_without_processes_an_input_waits_and_a_result_is_kept(world: World) -> None:
    key = await world.store(video(world.folder / "a.mp4"))
    world.box.close()
    with pytest.raises(Overloaded):
        await world.decoder.inspect(key, "The file", "acc")
    with pytest.raises(OutputInvalid, match="at the moment"):
        await world.decoder.measure(key, "acc")


async def test_a_poster_is_made_once(world: World) -> None:
    key = await world.store(video(world.folder / "a.mp4"))
    posters = Posters(world.storage, world.decoder)
    first, second = await asyncio.gather(*(posters.get("posters/a.jpg", key, "acc") for _ in range(2)))
    assert first == second
    assert Image.open(io.BytesIO(first)).size == (64, 48)
    await world.storage.delete(key)
    assert await posters.get("posters/a.jpg", key, "acc") == first
    with pytest.raises(FileNotFoundError):
        await posters.get("posters/b.jpg", key, "acc")


async def test_a_file_that_is_gone_is_told_apart_from_one_that_is_broken(world: World) -> None:
    with pytest.raises(FileNotFoundError):
        await world.decoder.measure("videos/absent", "acc")
