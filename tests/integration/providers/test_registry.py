"""Every adapter of the registry stands alone, and a package that cannot be used is refused by name."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from importlib.metadata import EntryPoint
from importlib.util import find_spec
from pathlib import Path

import pytest

from rushes.errors import StartupError
from rushes.providers import registry

FORBIDDEN = (
    *registry.ADAPTERS,
    *registry.SERVER_KINDS.values(),
    "rushes.providers.registry",
    *(f"rushes.{folder}" for folder in ("accounts", "api", "app", "cli", "db", "engine", "jobs", "media", "money")),
    "rushes.settings",
)


def imports(module: str) -> Iterator[str]:
    """What the module, or any module of the package, imports."""
    spec = find_spec(module)
    assert spec is not None
    assert spec.origin is not None
    origin = Path(spec.origin)
    for file in origin.parent.rglob("*.py") if origin.name == "__init__.py" else [origin]:
        for node in ast.walk(ast.parse(file.read_text("utf-8"))):
            if isinstance(node, ast.ImportFrom):
                yield node.module or ""
                yield from (f"{node.module}.{name.name}" for name in node.names)
            elif isinstance(node, ast.Import):
                yield from (name.name for name in node.names)


@pytest.mark.parametrize("adapter", [*registry.ADAPTERS, *registry.SERVER_KINDS.values()])
def test_an_adapter_imports_no_other_and_nothing_above_it(adapter: str) -> None:
    forbidden = [name for name in FORBIDDEN if name != adapter]
    found = set(imports(adapter))
    assert found
    assert [name for name in found if any(name == one or name.startswith(f"{one}.") for one in forbidden)] == []


@pytest.mark.parametrize("name", registry.SERVER_KINDS)
def test_a_kind_of_server_has_the_name_that_it_is_listed_under(name: str) -> None:
    kind = registry.server_kind(name)
    assert kind is not None
    assert kind.name == name


def test_the_registry_lists_each_adapter_once_in_alphabetical_order() -> None:
    assert list(registry.ADAPTERS) == sorted(set(registry.ADAPTERS))


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ("no_such_package:PROVIDER", "cannot be loaded: No module named 'no_such_package'"),
        ("rushes.providers.google:GOOGLE_URL", "is not a rushes.providers.declaration.Declaration"),
        ("rushes.providers.google:PROVIDER", "declares the provider 'google', which another adapter has already"),
    ],
)
def test_an_entry_point_that_cannot_be_used_is_refused_by_name(
    monkeypatch: pytest.MonkeyPatch, value: str, said: str
) -> None:
    point = EntryPoint("acme", value, registry.GROUP)
    monkeypatch.setattr(registry, "entry_points", lambda *, group: [point])
    with pytest.raises(StartupError) as caught:
        registry.declarations.__wrapped__()
    assert f"'acme = {value}'" in caught.value.message
    assert said in caught.value.message
