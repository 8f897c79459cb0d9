from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from tests.contract.database_harness import HARNESSES, Desk, Harness


@pytest.fixture(params=HARNESSES)
async def desk(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Desk]:
    """The stores over each kind of database."""
    make: Callable[[Path], Harness] = request.param
    harness = make(tmp_path)
    yield Desk(harness)
    await harness.close()
