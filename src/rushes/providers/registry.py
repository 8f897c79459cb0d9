"""Every adapter by its provider's name: the one place that knows them all."""

from __future__ import annotations

from pathlib import Path

from rushes.clock import Clock
from rushes.offload import Offload
from rushes.providers.animatic import Animatic
from rushes.providers.base import Provider


def open_providers(*, offload: Offload, scratch: Path, clock: Clock) -> dict[str, Provider]:
    """The adapters that this service can use."""
    adapters: list[Provider] = [Animatic(offload, scratch, clock)]
    return {adapter.name: adapter for adapter in adapters}
