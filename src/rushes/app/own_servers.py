"""The operator's own model servers: `[providers.NAME]` tables with a `kind`, as servers and as catalogue entries."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final

from rushes.app.provider_options import provider_options
from rushes.catalogue.load import Catalogue, models_of
from rushes.catalogue.model import Model
from rushes.clock import Clock
from rushes.errors import StartupError
from rushes.providers.openai_shape import FLAVORS, KIND, Server, ServerOptions, entry_of, table_of, unsayable
from rushes.settings import Settings

NAME: Final = re.compile(r"[a-z0-9][a-z0-9_-]{0,62}")


def own_servers(settings: Settings, catalogue: Catalogue) -> tuple[Server, ...]:
    """The servers that the settings name. Raises StartupError for one that cannot be meant so."""
    servers: list[Server] = []
    for name, written in settings.providers.items():
        where = f"[providers.{name}]"
        if written.kind is None:
            # A key alone may belong to a server whose name has a hyphen, which no variable's name can hold.
            if name not in catalogue.providers and written.options:
                raise StartupError(
                    f"{where}: there is no provider '{name}'; for a server of your own add kind = \"{KIND}\""
                )
            continue
        if written.kind != KIND:
            raise StartupError(f"{where}: kind '{written.kind}' is not known; the one kind of server is '{KIND}'")
        options = provider_options(settings, name, ServerOptions)
        if name in catalogue.providers:
            raise StartupError(f"{where}: '{name}' is a provider already; give your server another name")
        if not NAME.fullmatch(name):
            raise StartupError(f"{where}: a server's name is lower-case letters, digits, '-' and '_', such as 'my-gpu'")
        twin = next((server.name for server in servers if _variable(server.name) == _variable(name)), None)
        if twin is not None:
            raise StartupError(f"{where}: '{twin}' and '{name}' are too much alike: one variable would set both keys")
        if options.base_url is None:
            raise StartupError(f'{where}: base_url is missing, such as "http://127.0.0.1:8000"')
        has_key = settings.provider_key(name) is not None
        servers.append(
            Server(
                name=name,
                flavor=FLAVORS[options.flavor],
                base_url=options.base_url,
                key_header=options.key_header,
                needs_key=has_key if options.needs_key is None else options.needs_key,
            )
        )
    return tuple(servers)


def _variable(name: str) -> str:
    return name.replace("-", "_")


def with_own_servers(catalogue: Catalogue, servers: Sequence[Server], settings: Settings, clock: Clock) -> Catalogue:
    """The catalogue with the servers and the models that are listed for them. Raises StartupError."""
    for server in servers:
        models = models_at(server, _written(settings, server).models, clock)
        catalogue = catalogue.extended(entry_of(server), models)
    return catalogue


def models_at(server: Server, written: Sequence[Mapping[str, Any]], clock: Clock) -> list[Model]:
    """The models that these tables describe, completed. Raises StartupError naming the model and the field."""
    where = f"[[providers.{server.name}.models]]"
    today = datetime.fromtimestamp(clock.now_ms() / 1000, UTC).date()
    known = {"source": f"the configuration of '{server.name}'", "checked": today}
    models = models_of(where, entry_of(server), [known | table_of(server, table) for table in written])
    for model in models:
        found = unsayable(server, model)
        if found is not None:
            raise StartupError(f"{where}, model '{model.id}', field '{found.field}': {found.message}")
    return models


def assumed(servers: Sequence[Server], provider: str, model_id: str, clock: Clock) -> Model | None:
    """The entry of a model that one of these servers had when a job was accepted, whatever is listed now.

    None for other providers.
    """
    server = next((server for server in servers if server.name == provider), None)
    return None if server is None else models_at(server, [{"id": model_id}], clock)[0]


def discovering(servers: Sequence[Server], settings: Settings) -> tuple[Server, ...]:
    """The servers that are asked for their models."""

    def is_asked(server: Server) -> bool:
        written = _written(settings, server)
        return not written.models if written.discover is None else written.discover

    return tuple(server for server in servers if is_asked(server))


def _written(settings: Settings, server: Server) -> ServerOptions:
    return provider_options(settings, server.name, ServerOptions)
