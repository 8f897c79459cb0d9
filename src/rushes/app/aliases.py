"""The operator's own names for models, checked at start so that none leads nowhere."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from rushes.catalogue.load import Catalogue
from rushes.errors import StartupError
from rushes.providers.own_server import OwnServer
from rushes.settings import Settings


def model_aliases(settings: Settings, catalogue: Catalogue, discovering: Sequence[OwnServer]) -> Mapping[str, str]:
    """Each alias with the `provider/ID` it means. Raises StartupError for one that names no model.

    A server in `discovering` may not have listed its models yet, so an alias of its model is taken as written.
    """
    undecided = {server.name for server in discovering}
    for alias, name in settings.model_aliases.items():
        provider, _, model_id = name.partition("/")
        where = f"model_aliases (RUSHES_MODEL_ALIASES): '{alias}'"
        if not alias or not model_id:
            raise StartupError(f"{where} must lead to a model as provider/ID, not '{name}'")
        if provider not in catalogue.providers:
            raise StartupError(f"{where} leads to provider '{provider}', which does not exist")
        if catalogue.find(provider, model_id) is None and provider not in undecided:
            raise StartupError(f"{where} leads to '{name}', which does not exist; `rushes models` lists what does")
    return settings.model_aliases
