"""The operator's own model servers: `[providers.NAME]` tables with a `kind`, as servers and as catalogue entries."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final

from rushes.app.provider_options import provider_options
from rushes.catalogue.load import Catalogue, models_of
from rushes.catalogue.model import Model
from rushes.clock import Clock
from rushes.errors import StartupError
from rushes.providers.own_server import OwnServer, WrongTableError
from rushes.providers.registry import SERVER_KINDS, server_kind
from rushes.settings import Settings, config_folder

NAME: Final = re.compile(r"[a-z0-9][a-z0-9_-]{0,62}")
KINDS: Final = " or ".join(f'"{kind}"' for kind in SERVER_KINDS)


def own_servers(settings: Settings, catalogue: Catalogue) -> tuple[OwnServer, ...]:
    """The servers that the settings name. Raises StartupError for one that cannot be meant so."""
    servers: list[OwnServer] = []
    for name, written in settings.providers.items():
        where = f"[providers.{name}]"
        if written.kind is None:
            # A key alone may belong to a server whose name has a hyphen, which no variable's name can hold.
            if name not in catalogue.providers and written.options:
                raise StartupError(
                    f"{where}: there is no provider '{name}'; for a server of your own add kind = {KINDS}"
                )
            continue
        kind = server_kind(written.kind)
        if kind is None:
            raise StartupError(f"{where}: kind '{written.kind}' is not known; the kinds of server are {KINDS}")
        options = provider_options(settings, name, kind.options)
        if name in catalogue.providers:
            raise StartupError(f"{where}: '{name}' is a provider already; give your server another name")
        if not NAME.fullmatch(name):
            raise StartupError(f"{where}: a server's name is lower-case letters, digits, '-' and '_', such as 'my-gpu'")
        twin = next((server.name for server in servers if _variable(server.name) == _variable(name)), None)
        if twin is not None:
            raise StartupError(f"{where}: '{twin}' and '{name}' are too much alike: one variable would set both keys")
        if options.base_url is None:
            raise StartupError(f'{where}: base_url is missing, such as "http://127.0.0.1:8000"')
        has_key = bool(settings.provider_keys(name))
        needs_key = has_key if options.needs_key is None else options.needs_key
        servers.append(kind.server(name, options, needs_key, config_folder()))
    return tuple(servers)


def _variable(name: str) -> str:
    return name.replace("-", "_")


def with_own_servers(catalogue: Catalogue, servers: Sequence[OwnServer], clock: Clock) -> Catalogue:
    """The catalogue with the servers and the models that are listed for them. Raises StartupError."""
    for server in servers:
        catalogue = catalogue.extended(server.entry, models_at(server, server.listed, clock))
    return catalogue


def models_at(server: OwnServer, written: Iterable[Mapping[str, Any]], clock: Clock) -> list[Model]:
    """The models that these tables describe, completed. Raises StartupError naming the model and the field."""
    tables = []
    for table in written:
        try:
            tables.append(server.table_of(table))
        except WrongTableError as exc:
            raise _wrong(server, table.get("id", "?"), exc.field, exc.message) from exc
    return _models(server, tables, clock)


def assumed(servers: Sequence[OwnServer], provider: str, model_id: str, clock: Clock) -> Model | None:
    """The entry of a model that one of these servers had when a job was accepted, whatever is listed now.

    None for other providers.
    """
    server = next((server for server in servers if server.name == provider), None)
    return None if server is None else _models(server, [server.unlisted(model_id)], clock)[0]


def discovering(servers: Sequence[OwnServer]) -> tuple[OwnServer, ...]:
    """The servers that are asked for their models."""
    return tuple(server for server in servers if server.discovers)


def _models(server: OwnServer, tables: Sequence[Mapping[str, Any]], clock: Clock) -> list[Model]:
    today = datetime.fromtimestamp(clock.now_ms() / 1000, UTC).date()
    known = {"source": f"the configuration of '{server.name}'", "checked": today}
    models = models_of(_where(server), server.entry, [{**known, **table} for table in tables])
    for model in models:
        found = server.unsayable(model)
        if found is not None:
            raise _wrong(server, model.id, found.field, found.message)
    return models


def _where(server: OwnServer) -> str:
    return f"[[providers.{server.name}.models]]"


def _wrong(server: OwnServer, model_id: object, field: str, message: str) -> StartupError:
    return StartupError(f"{_where(server)}, model '{model_id}', field '{field}': {message}")
