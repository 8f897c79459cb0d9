"""Every provider that this installation has: our own adapters, then those of other packages."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from importlib import import_module
from importlib.metadata import entry_points
from types import MappingProxyType
from typing import Final

from rushes.errors import StartupError
from rushes.providers.declaration import Declaration
from rushes.providers.own_server import ServerKind

ProviderApi = tuple[str, str | None]
"""A provider, and which of its APIs where it has several."""

ADAPTERS: Final = (
    "rushes.providers.animatic",
    "rushes.providers.bedrock",
    "rushes.providers.dashscope",
    "rushes.providers.fal",
    "rushes.providers.google",
    "rushes.providers.kling",
    "rushes.providers.luma",
    "rushes.providers.minimax",
    "rushes.providers.openrouter",
    "rushes.providers.replicate",
    "rushes.providers.runway",
    "rushes.providers.seedance",
    "rushes.providers.xai",
)
"""The modules of our adapters, in alphabetical order. Each has a `PROVIDER`."""

SERVER_KINDS: Final = MappingProxyType(
    {
        "comfyui": "rushes.providers.comfyui",
        "openai": "rushes.providers.openai_shape",
    }
)
"""The modules of the kinds of own servers, by the name that a configuration asks with. Each has a `KIND`."""

GROUP: Final = "rushes.providers"
"""The entry point group by which another package offers its declaration."""


@cache
def declarations() -> MappingProxyType[str, Declaration]:
    """Every declaration by its provider's name. Raises StartupError for a package that cannot be used."""
    found: dict[str, Declaration] = {}
    for source, declared in _declared():
        if not isinstance(declared, Declaration):
            raise StartupError(f"{source} is not a rushes.providers.declaration.Declaration")
        if declared.name in found:
            raise StartupError(f"{source} declares the provider '{declared.name}', which another adapter has already")
        found[declared.name] = declared
    return MappingProxyType(found)


def server_kind(name: str) -> ServerKind | None:
    """The kind of own servers that has this name, imported when it is first used."""
    module = SERVER_KINDS.get(name)
    if module is None:
        return None
    kind: ServerKind = import_module(module).KIND
    return kind


def _declared() -> Iterator[tuple[str, object]]:
    for module in ADAPTERS:
        yield f"{module}.PROVIDER", import_module(module).PROVIDER
    for point in sorted(entry_points(group=GROUP), key=lambda point: point.name):
        source = f"the entry point '{point.name} = {point.value}' of group {GROUP}"
        try:
            yield source, point.load()
        except Exception as exc:
            raise StartupError(f"{source} cannot be loaded: {exc}") from exc
