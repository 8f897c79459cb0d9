"""The providers as the settings have them: catalogue, adapters, the operator's keys and own servers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from rushes.app.own_servers import own_servers, with_own_servers
from rushes.app.provider_options import provider_options
from rushes.catalogue.load import Catalogue, load
from rushes.catalogue.model import Model
from rushes.clock import Clock
from rushes.errors import InvalidRequest, StartupError
from rushes.providers.base import Provider
from rushes.providers.credentials import Keyring, KeyTerms, Pinned
from rushes.providers.declaration import CredentialShape, Declaration, Options, Parts
from rushes.providers.own_server import OwnServer
from rushes.providers.registry import ProviderApi, declarations
from rushes.settings import KeySettings, Settings, key_variable, keys_field, usual_variables

MOST_KEYS = 100
"""Of one provider: each is a label of metrics."""


@dataclass(frozen=True, slots=True)
class Providers:
    """Every provider that this service can use."""

    declared: Mapping[str, Declaration]
    options: Mapping[str, Options]
    own: Sequence[OwnServer]
    """The operator's own servers."""
    catalogue: Catalogue
    keyring: Keyring

    def complaints(self) -> Iterator[str]:
        """What of the credentials has no effect, a sentence each; it does not keep the service from starting."""
        for provider in self.keyring.providers:
            its = self.keyring.all_of(provider)
            if not self.keyring.of(provider):
                yield f"every key of '{provider}' has enabled = false, so it takes no new jobs but on callers' own keys"
            if provider in (server.name for server in self.own if server.discovers):
                continue
            for pinned in its:
                for pattern in pinned.terms.models:
                    only = replace(pinned, terms=replace(pinned.terms, models=(pattern,)))
                    if not any(only.is_for(model) for model in self.catalogue.models(provider)):
                        yield (
                            f"[[providers.{provider}.keys]] '{pinned.name}': models has '{pattern}', "
                            f"which matches no model of '{provider}'"
                        )

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
        listed = settings.provider_keys(name)
        try:
            if listed:
                found[name] = list(_pool(takes, name, listed, is_list=settings.has_list_of_keys(name)))
            elif (secret := _usual_key(its_shapes, options.get(name))) is not None:
                found[name] = [takes.recognise(name, secret, field=key_variable(name))]
        except InvalidRequest as exc:
            raise StartupError(exc.message) from exc
    return Keyring(shapes, found)


def _pool(takes: Keyring, provider: str, listed: Sequence[KeySettings], *, is_list: bool) -> Iterator[Pinned]:
    """The credentials of one provider. Raises StartupError or InvalidRequest naming the one that is wrong."""
    where = f"[[providers.{provider}.keys]]"
    if len(listed) > MOST_KEYS:
        raise StartupError(f"{where}: there are {len(listed)} keys; at most {MOST_KEYS} are allowed")
    if not any(one.weight for one in listed if one.enabled) and any(one.enabled for one in listed):
        raise StartupError(f"{where}: every enabled key has weight 0, so none would take a job; give one a weight")
    names: dict[str, str] = {}
    for one in listed:
        secret = one.key.get_secret_value()
        if one.name in names:
            raise StartupError(f"{where}: two keys have the name '{one.name}'; give each a name of its own")
        twin = next((name for name, other in names.items() if other == secret), None)
        if twin is not None:
            raise StartupError(f"{where}: '{twin}' and '{one.name}' hold the same key; list each key once")
        if one.name == secret:
            raise StartupError(f"{where}: a key is its own name; names show in logs and metrics, so give it another")
        names[one.name] = secret
        field = keys_field(provider, one.name) if is_list else key_variable(provider)
        pinned = takes.recognise(provider, secret, field=field)
        terms = KeyTerms(one.weight, one.models, one.requests_per_minute, one.in_flight, one.enabled)
        yield replace(pinned, name=one.name, terms=terms)


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
