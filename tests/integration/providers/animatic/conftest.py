"""The studio: an adapter with a real boxed process to draw in."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from rushes.decoding.box import Box

from .studio import Studio


@pytest.fixture
async def studio(tmp_path: Path) -> AsyncIterator[Studio]:
    box = Box()
    made = Studio(box, tmp_path / "scratch")
    yield made
    await made.adapter.close()
    box.close()
