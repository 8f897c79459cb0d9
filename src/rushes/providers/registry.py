"""Every adapter by its provider and surface: the one place that knows them all."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from rushes.clock import Clock
from rushes.net.client import HttpClient
from rushes.offload import Offload
from rushes.providers.animatic import Animatic
from rushes.providers.base import Provider
from rushes.providers.google import GOOGLE_URL, Gemini

Surface = tuple[str, str | None]
"""A provider, and which of its APIs where it has several."""


def open_providers(
    *,
    offload: Offload,
    scratch: Path,
    clock: Clock,
    client: HttpClient,
    base_url: Callable[[str], str | None],
) -> dict[Surface, Provider]:
    """The adapters that this service can use. `base_url` is where the operator has a provider reached, if anywhere."""
    return {
        ("animatic", None): Animatic(offload, scratch, clock),
        ("google", "gemini"): Gemini(client, base_url("google") or GOOGLE_URL, clock=clock),
    }
