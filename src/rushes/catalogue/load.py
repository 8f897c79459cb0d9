"""Reads the catalogue: one TOML file per provider, and the operator's own, checked before the service starts."""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from rushes.catalogue.consistency import inconsistency, successor_inconsistency
from rushes.catalogue.model import Frozen, Model
from rushes.catalogue.written import Place, Written
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
        """The entry of a provider as a whole."""
        return self._entries.get(provider)

    def extended(self, entry: ProviderEntry, models: Iterable[Model]) -> Catalogue:
        """A catalogue with one more provider."""
        return Catalogue([*self._entries.values(), entry], [*self._models, *models])

    def only(self, wanted: Callable[[Model], bool]) -> Catalogue:
        """A catalogue of the models that are wanted, without providers of which none is left."""
        models = [model for model in self._models if wanted(model)]
        named = {model.provider for model in models}
        return Catalogue([entry for entry in self._entries.values() if entry.provider in named], models)

    def add(self, models: Iterable[Model]) -> None:
        """Take in models of known providers, which were found at their servers; what is known already stays."""
        new = {(model.provider, model.id): model for model in models}
        self._index([*self._models, *(model for name, model in new.items() if name not in self._by_name)])

    def offering(self, model_id: str) -> tuple[Model, ...]:
        """The models of this id at every provider that has one, in order."""
        return self._by_id.get(model_id, ())


def load(
    directory: Path | Traversable = PACKAGE, *, more: Iterable[Traversable] = (), operator: Path | None = None
) -> Catalogue:
    """The catalogue made of every `<provider>.toml` in `directory`, in order of file name, and then of `more` files.

    Files of the same form in the folder `operator` add models to these providers, and replace fields of models that
    they have.

    Raises StartupError naming the file, the line, the model and the field that is wrong.
    """
    files = [_read(file, file.name) for file in (*_files_in(directory), *more)]
    written = {} if operator is None else _operators_files(operator, files)
    entries: list[ProviderEntry] = []
    models: list[Model] = []
    for file in files:
        entry = _entry(file)
        tables = [Written(file.place, index, table) for index, table in enumerate(file.tables)]
        own = written.get(entry.provider)
        added = [] if own is None else _with_operators(tables, own, entry)
        entries.append(entry)
        models.extend(_models(entry, tables, added))
    return Catalogue(entries, models)


@dataclass(frozen=True, slots=True)
class Change:
    """What the operator's own catalogue does to one model: the fields that it replaces, or None for a new model."""

    provider: str
    model_id: str
    fields: tuple[str, ...] | None


def operators_changes(operator: Path, catalogue: Iterable[Model]) -> list[Change]:
    """What the files in `operator` change of this catalogue of ours, in their order. Raises StartupError."""
    ours = {(model.provider, model.id) for model in catalogue}
    found = []
    for file in (_read(file, str(file)) for file in _files_in(operator)):
        provider = str(file.content.get("provider"))
        for table in file.tables:
            name = str(table.get("id"))
            fields = tuple(field for field in table if field != "id") if (provider, name) in ours else None
            found.append(Change(provider, name, fields))
    return found


def models_of(where: str, entry: ProviderEntry, tables: Iterable[Mapping[str, Any]]) -> list[Model]:
    """A provider's models, each from one table, checked by themselves and against each other.

    Raises StartupError naming `where` they are written, the model and the field that is wrong.
    """
    place = Place(where)
    return _models(entry, [Written(place, index, table) for index, table in enumerate(tables)], [])


@dataclass(frozen=True, slots=True)
class _File:
    place: Place
    stem: str
    content: Mapping[str, Any]
    """What it says of the provider."""
    tables: Sequence[Mapping[str, Any]]


def _files_in(directory: Path | Traversable) -> list[Path | Traversable]:
    try:
        files = [file for file in directory.iterdir() if file.name.endswith(".toml")]
    except OSError as exc:
        raise StartupError(f"the catalogue folder '{directory}' cannot be read: {exc}") from exc
    return sorted(files, key=lambda file: file.name)


def _read(file: Path | Traversable, name: str) -> _File:
    try:
        text = file.read_text(encoding="utf-8")
        # Prices are money: "0.10" must not pass through a binary float.
        content = tomllib.loads(text, parse_float=Decimal)
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as exc:
        raise StartupError(f"catalogue file '{name}' cannot be read: {exc}") from exc
    place = Place(f"catalogue file '{name}'", text)
    tables = content.pop("models", [])
    if not isinstance(tables, list) or not all(isinstance(table, dict) for table in tables):
        raise place.wrong("write each model under [[models]]")
    return _File(place, file.name.removesuffix(".toml"), content, tables)


def _entry(file: _File) -> ProviderEntry:
    try:
        entry = ProviderEntry.model_validate({"name": file.content.get("provider"), **file.content})
    except ValidationError as exc:
        raise file.place.wrong(*_first(exc)) from exc
    if entry.provider != file.stem or "/" in entry.provider:
        raise file.place.wrong(f"'{entry.provider}' is not the file's name without '.toml'", "provider")
    return entry


def _operators_files(operator: Path, ours: Sequence[_File]) -> dict[str, _File]:
    """The operator's files by provider, what they say of the provider checked."""
    providers = [file.stem for file in ours]
    found = {}
    for file in (_read(file, str(file)) for file in _files_in(operator)):
        entry = _entry(file)
        if entry.provider not in providers:
            raise file.place.wrong(
                f"there is no provider '{entry.provider}'; there are {', '.join(providers)}", "provider"
            )
        for name in file.content.keys() & {"reserved_params", "name"}:
            raise file.place.wrong("it is the adapter's to say; leave it out", name)
        found[entry.provider] = file
    return found


def _with_operators(tables: list[Written], own: _File, ours: ProviderEntry) -> list[Written]:
    """Replace what the operator's file says of our models in `tables`, and return its new ones."""
    by_id = {str(one.table.get("id")): place for place, one in enumerate(tables)}
    said = {name: own.content[name] for name in ("source", "checked") if name in own.content}
    added: list[Written] = []
    seen: set[str] = set()
    for index, table in enumerate(own.tables):
        written = Written(own.place, index, table)
        model_id = str(table.get("id"))
        if model_id in seen:
            raise written.wrong("id", "it is listed twice")
        seen.add(model_id)
        if "prices" in table and "source" not in {**said, **table}:
            raise written.wrong("prices", "a price needs a source: add source, the page where it is read")
        if model_id in by_id:
            place = by_id[model_id]
            inherited = {"source": ours.source, "checked": ours.checked, **tables[place].table}
            tables[place] = Written(own.place, index, {**inherited, **(said if "prices" in table else {}), **table})
        else:
            # Our own source says nothing of a model that we do not know.
            added.append(Written(own.place, index, {"source": None, "checked": None, **said, **table}))
    return added


def _models(entry: ProviderEntry, tables: Sequence[Written], added: Sequence[Written]) -> list[Model]:
    every = [*tables, *added]
    models = [_model(entry, one) for one in every]
    by_id: dict[str, Model] = {}
    for one, model in zip(every, models, strict=True):
        if model.id in by_id:
            raise one.wrong("id", "it is listed twice")
        by_id[model.id] = model
    for one, model in zip(every, models, strict=True):
        found = inconsistency(model) or successor_inconsistency(model, by_id)
        if found is not None:
            raise one.wrong(found.field, found.message)
    return models


def _model(entry: ProviderEntry, written: Written) -> Model:
    if "provider" in written.table:
        raise written.wrong("provider", "it is said once, for all models")
    table = {"source": entry.source, "checked": entry.checked, **written.table}
    given = {name: value for name, value in table.items() if value is not None}
    try:
        return Model.model_validate({"provider": entry.provider, **given})
    except ValidationError as exc:
        message, field = _first(exc)
        raise written.wrong(field, message) from exc


def _first(exc: ValidationError) -> tuple[str, str]:
    """What is wrong first, and with which field."""
    error = exc.errors(include_url=False)[0]
    # Pydantic marks a wrong key of a table with a last part of its own.
    names = [str(part) for part in error["loc"] if part != "[key]"]
    message = "there is no such field" if error["type"] == "extra_forbidden" else error["msg"]
    return message, ".".join(names)
