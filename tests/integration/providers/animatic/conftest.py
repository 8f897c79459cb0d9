"""The studio: an adapter with a real child process to draw in."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from rushes.offload import Offload

from .studio import Studio


@pytest.fixture
async def studio(tmp_path: Path) -> AsyncIterator[Studio]:
    offload = Offload(1)
    made = Studio(offload, tmp_path / "scratch")
    yield made
    await made.adapter.close()
    offload.close()
