"""What a caller may ask for by name, on the surfaces where the operator's aliases hold."""

from __future__ import annotations

from collections.abc import Mapping

from rushes.api.services import Services
from rushes.catalogue.model import Model


def named_models(services: Services) -> Mapping[str, Model]:
    """Aliases first, then the whole catalogue as `provider/ID`; retired models too, for successors serve them."""
    models = {f"{model.provider}/{model.id}": model for model in services.catalogue.models()}
    # A server of the operator's own may not have said yet that it has what an alias stands for.
    aliases = {alias: models[name] for alias, name in services.model_aliases.items() if name in models}
    return aliases | models
