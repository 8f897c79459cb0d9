from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from rushes.net.client import HttpClient, Sink
from tests.contract.database_harness import HARNESSES, Desk, Harness


@pytest.fixture
async def client() -> AsyncIterator[HttpClient]:
    """A client that may fetch results from fakes on this machine."""
    client = HttpClient(allow={Sink.RESULTS: ("127.0.0.1/32",)})
    yield client
    await client.close()


@pytest.fixture(params=HARNESSES)
async def desk(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Desk]:
    """The stores over each kind of database."""
    make: Callable[[Path], Harness] = request.param
    harness = make(tmp_path)
    yield Desk(harness)
    await harness.close()
