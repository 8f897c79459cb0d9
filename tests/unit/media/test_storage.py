"""How files arrive at every storage: in batches, one ahead of what is being written."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rushes.errors import BodyTooLarge
from rushes.media.storage import JOINED_BYTES, WRITE_BYTES, Batch, pass_on

PLENTY = 1024**3


async def chunks_of(chunks: Sequence[bytes]) -> AsyncIterator[bytes]:
    for chunk in chunks:
        yield chunk


def bytes_of(batch: Batch) -> bytes:
    return b"".join(batch)


SIZES = st.lists(
    st.sampled_from([0, 1, 700, JOINED_BYTES - 1, JOINED_BYTES, 256 * 1024, WRITE_BYTES, WRITE_BYTES + 1]), max_size=30
)


@given(SIZES)
def test_every_byte_is_handed_over_once_in_order_and_in_batches_of_few_pieces(sizes: list[int]) -> None:
    chunks = [bytes([number % 251]) * size for number, size in enumerate(sizes)]
    batches: list[Batch] = []

    async def take(batch: Batch) -> None:
        batches.append(batch)

    asyncio.run(pass_on(chunks_of(chunks), PLENTY, take))
    assert b"".join(bytes_of(batch) for batch in batches) == b"".join(chunks)
    assert batches, "a storage has to be told of an empty file, too"
    for batch in batches:
        assert len(bytes_of(batch)) < WRITE_BYTES + max(sizes, default=1)
        assert len(batch) <= 2 * WRITE_BYTES // JOINED_BYTES + 1


async def test_the_next_batch_is_collected_while_one_is_written_and_no_more() -> None:
    collected = 0
    may_go_on = asyncio.Event()

    async def chunks() -> AsyncIterator[bytes]:
        nonlocal collected
        for _ in range(5):
            yield bytes(WRITE_BYTES)
            collected += 1

    async def take(batch: Batch) -> None:
        await may_go_on.wait()

    passing = asyncio.create_task(pass_on(chunks(), PLENTY, take))
    for _ in range(50):
        await asyncio.sleep(0)
    # The first is being written, the second waits; the generator was not asked for what follows it.
    assert collected == 1
    may_go_on.set()
    await passing
    assert collected == 5


async def test_what_is_being_written_is_over_when_the_source_fails() -> None:
    over = False

    async def chunks() -> AsyncIterator[bytes]:
        yield bytes(WRITE_BYTES)
        # A moment, so that the batch is being written.
        await asyncio.sleep(0)
        raise ConnectionError("cut short")

    async def take(batch: Batch) -> None:
        nonlocal over
        try:
            await asyncio.Event().wait()
        finally:
            over = True

    with pytest.raises(ConnectionError):
        await pass_on(chunks(), PLENTY, take)
    assert over


async def test_what_is_being_written_is_over_when_the_write_is_cancelled() -> None:
    begun, over = asyncio.Event(), False

    async def chunks() -> AsyncIterator[bytes]:
        yield bytes(WRITE_BYTES)
        await asyncio.Event().wait()

    async def take(batch: Batch) -> None:
        nonlocal over
        begun.set()
        try:
            await asyncio.Event().wait()
        finally:
            over = True

    passing = asyncio.create_task(pass_on(chunks(), PLENTY, take))
    await begun.wait()
    passing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await passing
    assert over


async def test_a_write_that_fails_ends_the_transfer_with_its_error() -> None:
    async def take(batch: Batch) -> None:
        raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        await pass_on(chunks_of([bytes(WRITE_BYTES)] * 3), PLENTY, take)


async def test_one_byte_too_many_is_refused() -> None:
    async def take(batch: Batch) -> None:
        pass

    await pass_on(chunks_of([b"ab", b"c"]), 3, take)
    with pytest.raises(BodyTooLarge):
        await pass_on(chunks_of([b"ab", b"cd"]), 3, take)
