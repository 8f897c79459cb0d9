"""Every adapter by its provider and surface: the one place that knows them all."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

from rushes.clock import Clock
from rushes.net.client import HttpClient
from rushes.offload import Offload
from rushes.providers.animatic import Animatic
from rushes.providers.base import Provider
from rushes.providers.bedrock import Bedrock
from rushes.providers.google import GOOGLE_URL, Gemini, Place, Vertex
from rushes.providers.openai_shape import OpenaiShape, Server

Surface = tuple[str, str | None]
"""A provider, and which of its APIs where it has several."""


def open_providers(
    *,
    offload: Offload,
    scratch: Path,
    clock: Clock,
    client: HttpClient,
    base_url: Callable[[str], str | None],
    options: Callable[[str], Mapping[str, str]],
    servers: Iterable[Server] = (),
) -> dict[Surface, Provider]:
    """The adapters that this service can use. Raises StartupError for a setting that cannot be.

    `base_url` is where the operator has a provider reached, if anywhere, and `options` what else is set for it;
    `servers` are the operator's own.
    """
    return {
        ("animatic", None): Animatic(offload, scratch, clock),
        ("google", "gemini"): Gemini(client, base_url("google") or GOOGLE_URL, clock=clock),
        ("google", "vertex"): Vertex(client, _vertex_place(options("google")), clock=clock),
        ("bedrock", None): Bedrock(base_url("bedrock"), options("bedrock").get("storage_url"), clock=clock),
        **{(server.name, None): OpenaiShape(client, server, clock=clock) for server in servers},
    }


def _vertex_place(options: Mapping[str, str]) -> Place:
    names = {
        "location": "location",
        "project": "project",
        "bucket": "bucket",
        "vertex_base_url": "base_url",
        "token_url": "token_url",
        "storage_url": "storage_url",
    }
    return Place(**{name: options[option] for option, name in names.items() if option in options})
