"""The providers as the settings have them: catalogue, adapters, the operator's keys and own servers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from rushes.app.own_servers import own_servers, with_own_servers
from rushes.app.provider_options import provider_options
from rushes.catalogue.load import Catalogue, load
from rushes.catalogue.model import Model
from rushes.clock import Clock
from rushes.errors import InvalidRequest, StartupError
from rushes.providers.base import Provider
from rushes.providers.credentials import Keyring, Pinned
from rushes.providers.declaration import CredentialShape, Declaration, Options, Parts
from rushes.providers.own_server import OwnServer
from rushes.providers.registry import ProviderApi, declarations
from rushes.settings import Settings, key_variable, usual_variables


@dataclass(frozen=True, slots=True)
class Providers:
    """Every provider that this service can use."""

    declared: Mapping[str, Declaration]
    options: Mapping[str, Options]
    own: Sequence[OwnServer]
    """The operator's own servers."""
    catalogue: Catalogue
    keyring: Keyring

    def setting_names(self, provider: str) -> tuple[str, ...]:
        """The variables that can hold the operator's key for a provider, the one that wins first."""
        declared = self.declared.get(provider)
        shapes = () if declared is None else declared.credentials
        return (key_variable(provider), *(name for shape in shapes for name in shape.variables))

    def open(self, parts: Parts) -> dict[ProviderApi, Provider]:
        """The adapters. Raises StartupError for an option that cannot be used."""
        found: dict[ProviderApi, Provider] = {}
        for name, declared in self.declared.items():
            for api, adapter in declared.open(self.options[name], parts).items():
                found[name, api] = adapter
        for server in self.own:
            found[server.name, None] = server.open(parts)
        return found


def configured_providers(settings: Settings, clock: Clock) -> Providers:
    """The providers as these settings have them. Raises StartupError naming what is wrong."""
    declared = declarations()
    more = [one.catalogue for one in declared.values() if one.catalogue is not None]
    shipped = load(more=more, operator=settings.catalogue_dir)
    for name in declared:
        if name not in shipped.providers:
            raise StartupError(f"the adapter of provider '{name}' has no catalogue file '{name}.toml'")
    own = own_servers(settings, shipped)
    options = {name: provider_options(settings, name, one.options) for name, one in declared.items()}
    checked = _served(shipped, declared, options)
    catalogue = with_own_servers(checked, own, clock)
    return Providers(declared, options, own, catalogue, _keyring(settings, declared, options, own))


def _served(catalogue: Catalogue, declared: Mapping[str, Declaration], options: Mapping[str, Options]) -> Catalogue:
    """The models of the regions that are chosen, each checked by its adapter."""
    models: list[Model] = []
    for name, one in declared.items():
        region = one.region(options[name])
        for model in catalogue.models(name):
            found = one.check(model)
            if found is not None:
                raise StartupError(f"model '{name}/{model.id}', field '{found.field}': {found.message}")
            if region is None or not model.regions or region in model.regions:
                models.append(model.in_region(region))
    entries = (catalogue.find_provider(name) for name in catalogue.providers)
    return Catalogue([entry for entry in entries if entry is not None], models)


def _keyring(
    settings: Settings, declared: Mapping[str, Declaration], options: Mapping[str, Options], own: Sequence[OwnServer]
) -> Keyring:
    shapes = {name: one.credentials for name, one in declared.items()}
    shapes |= {server.name: server.credentials for server in own}
    takes = Keyring(shapes)
    found: dict[str, list[Pinned]] = {}
    for name, its_shapes in shapes.items():
        secret = settings.provider_key(name)
        if secret is None:
            secret = _usual_key(its_shapes, options.get(name))
        if secret is None:
            continue
        try:
            found[name] = [takes.recognise(name, secret, field=key_variable(name))]
        except InvalidRequest as exc:
            raise StartupError(exc.message) from exc
    return Keyring(shapes, found)


def _usual_key(shapes: Sequence[CredentialShape], options: Options | None) -> str | None:
    """The key from where people already have it."""
    for shape in shapes:
        for secret in usual_variables(shape.variables).values():
            return secret
        if shape.compose is not None:
            composed = shape.compose(usual_variables(shape.read_variables), options)
            if composed is not None:
                return composed
    return None
