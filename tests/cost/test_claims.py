"""What jobs in flight hold in memory: the same, however large their requests are."""

from __future__ import annotations

import gc
from pathlib import Path

from rushes.domain.progress import Working
from rushes.domain.request import VideoRequest
from rushes.engine.claims import ClaimStore
from rushes.jobs.rows import LONGEST_KEPT_CHARS
from tests.cost.measure import peak_bytes
from tests.fixtures.engine import LEASE_S, Engine

SHORT = VideoRequest(prompt="a lighthouse")
LONG = VideoRequest(prompt="a lighthouse", additional_params={"values": [[] for _ in range(20_000)]})
"""As large as a request may be that is stored, and some thirty times larger in memory."""
JOBS = 64
WORST_RATIO = 1.2


async def claim(path: Path, request: VideoRequest) -> int:
    """What a claim of many such jobs takes at most."""
    engine = Engine(path)
    try:
        for number in range(JOBS):
            await engine.create(number, request=request)
        claims = ClaimStore(engine.database, "worker_1", clock=engine.clock)
        await claims.beat(LEASE_S)
        with peak_bytes() as count:
            assert len(await claims.claim(JOBS)) == JOBS
        return count.value
    finally:
        await engine.close()


async def test_a_claim_takes_no_more_memory_for_long_requests(tmp_path: Path) -> None:
    assert LONGEST_KEPT_CHARS < 60_000 < len(LONG.to_json()) < 65_536
    await claim(tmp_path / "first", SHORT)
    short = await claim(tmp_path / "short", SHORT)
    assert await claim(tmp_path / "long", LONG) < WORST_RATIO * short


async def test_a_job_that_waits_for_its_provider_holds_no_long_request(tmp_path: Path) -> None:
    engine = Engine(tmp_path / "rushes.db")
    try:
        engine.provider.polls = [Working(wait_s=10)]
        for number in range(8):
            await engine.create(number, request=LONG)
        await engine.worker().start(alone=True)
        await engine.clock.run_until(lambda: len(engine.provider.asked("poll")) > 40)
        assert len(engine.provider.asked("submit")) == 8
        gc.collect()
        held = [one for one in gc.get_objects() if isinstance(one, VideoRequest) and "values" in one.additional_params]
        assert held == [LONG]
    finally:
        await engine.close()
