"""Reads the catalogue: one TOML file per provider, checked as a whole before the service starts."""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from decimal import Decimal
from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from rushes.catalogue.consistency import inconsistency, successor_inconsistency
from rushes.catalogue.model import Frozen, Model
from rushes.errors import StartupError

PACKAGE: Traversable = resources.files("rushes.catalogue")


class ProviderEntry(Frozen):
    """What a catalogue file says about its provider as a whole."""

    provider: str
    name: str
    """What people call it; the file may leave it out where that is `provider`."""
    source: str | None = None
    checked: date | None = None
    """Which pages were read and when, for every model that does not say so itself."""
    reserved_params: tuple[str, ...] = ()
    """Names in additional_params that our adapter sets, or that change price, address or storage. Dots reach inside."""
    takes_null: bool = True
    """Whether null can be sent in additional_params: a form has no word for it."""


class Catalogue:
    """Every model we know, by provider. Providers and models keep the order of their files.

    Nothing in it changes, but models that a server turns out to have may be added while the service runs.
    """

    def __init__(self, entries: Iterable[ProviderEntry], models: Iterable[Model]) -> None:
        self._entries = {entry.provider: entry for entry in entries}
        self._index(models)

    def _index(self, models: Iterable[Model]) -> None:
        self._models = tuple(models)
        self._by_name = {(model.provider, model.id): model for model in self._models}
        self._by_provider: dict[str, tuple[Model, ...]] = {
            provider: tuple(model for model in self._models if model.provider == provider) for provider in self._entries
        }
        self._by_id: dict[str, tuple[Model, ...]] = {}
        for model in self._models:
            self._by_id[model.id] = (*self._by_id.get(model.id, ()), model)

    @property
    def providers(self) -> tuple[str, ...]:
        """The providers' names."""
        return tuple(self._entries)

    def models(self, provider: str | None = None) -> tuple[Model, ...]:
        """All models, or one provider's; none for a provider that is not in the catalogue."""
        return self._models if provider is None else self._by_provider.get(provider, ())

    def find(self, provider: str, model_id: str) -> Model | None:
        """One provider's model by its exact id."""
        return self._by_name.get((provider, model_id))

    def find_provider(self, provider: str) -> ProviderEntry | None:
        """What is known of a provider as a whole."""
        return self._entries.get(provider)

    def extended(self, entry: ProviderEntry, models: Iterable[Model]) -> Catalogue:
        """A catalogue with one more provider."""
        return Catalogue([*self._entries.values(), entry], [*self._models, *models])

    def add(self, models: Iterable[Model]) -> None:
        """Take in models of known providers, which were found at their servers; what is known already stays."""
        new = {(model.provider, model.id): model for model in models}
        self._index([*self._models, *(model for name, model in new.items() if name not in self._by_name)])

    def offering(self, model_id: str) -> tuple[Model, ...]:
        """The models of this id at every provider that has one, in order."""
        return self._by_id.get(model_id, ())


def load(directory: Path | Traversable = PACKAGE, *, more: Iterable[Traversable] = ()) -> Catalogue:
    """The catalogue made of every `<provider>.toml` in `directory`, in order of file name, and then of `more` files.

    Raises StartupError naming the file, the model and the field that is wrong.
    """
    try:
        files = sorted(
            (file for file in directory.iterdir() if file.name.endswith(".toml")), key=lambda file: file.name
        )
    except OSError as exc:
        raise StartupError(f"the catalogue folder '{directory}' cannot be read: {exc}") from exc
    entries: list[ProviderEntry] = []
    models: list[Model] = []
    for file in (*files, *more):
        entry, its_models = _read(file)
        entries.append(entry)
        models.extend(its_models)
    return Catalogue(entries, models)


def _read(file: Path | Traversable) -> tuple[ProviderEntry, list[Model]]:
    try:
        # Prices are money: "0.10" must not pass through a binary float.
        content = tomllib.loads(file.read_text(encoding="utf-8"), parse_float=Decimal)
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as exc:
        raise StartupError(f"catalogue file '{file.name}' cannot be read: {exc}") from exc

    tables = content.pop("models", [])
    entry = _entry(file.name, content)
    where = f"catalogue file '{file.name}'"
    if not isinstance(tables, list) or not all(isinstance(table, dict) for table in tables):
        raise StartupError(f"{where}: write each model under [[models]]")
    return entry, models_of(where, entry, tables)


def models_of(where: str, entry: ProviderEntry, tables: Iterable[Mapping[str, Any]]) -> list[Model]:
    """A provider's models, each from one table, checked by themselves and against each other.

    Raises StartupError naming `where` they are written, the model and the field that is wrong.
    """
    models = [_model(where, entry, table) for table in tables]
    _check(where, models)
    return models


def _entry(file_name: str, content: dict[str, Any]) -> ProviderEntry:
    try:
        entry = ProviderEntry.model_validate({"name": content.get("provider"), **content})
    except ValidationError as exc:
        raise StartupError(f"catalogue file '{file_name}', {_first(exc)}") from exc
    if f"{entry.provider}.toml" != file_name or "/" in entry.provider:
        raise StartupError(
            f"catalogue file '{file_name}', field 'provider': '{entry.provider}' is not the file's name without '.toml'"
        )
    return entry


def _model(where: str, entry: ProviderEntry, table: Mapping[str, Any]) -> Model:
    where = f"{where}, model '{table.get('id', '?')}'"
    if "provider" in table:
        raise StartupError(f"{where}, field 'provider': it is said once, for all models")
    inherited = {"source": entry.source, "checked": entry.checked}
    given = {name: value for name, value in inherited.items() if value is not None}
    try:
        return Model.model_validate({"provider": entry.provider, **given, **table})
    except ValidationError as exc:
        raise StartupError(f"{where}, {_first(exc)}") from exc


def _check(where: str, models: Sequence[Model]) -> None:
    by_id: dict[str, Model] = {}
    for model in models:
        if model.id in by_id:
            raise StartupError(f"{where}, model '{model.id}', field 'id': it is listed twice")
        by_id[model.id] = model
    for model in models:
        found = inconsistency(model) or successor_inconsistency(model, by_id)
        if found is not None:
            raise StartupError(f"{where}, model '{model.id}', field '{found.field}': {found.message}")


def _first(exc: ValidationError) -> str:
    error = exc.errors(include_url=False)[0]
    # Pydantic marks a wrong key of a table with a last part of its own.
    names = [str(part) for part in error["loc"] if part != "[key]"]
    return f"field '{'.'.join(names)}': {error['msg']}"
