"""What a caller may ask for by name, on the surfaces where the operator's aliases hold."""

from __future__ import annotations

from collections.abc import Mapping

from rushes.accounts.keys import Caller
from rushes.api.services import Services
from rushes.catalogue.model import Model


async def named_models(services: Services, caller: Caller) -> Mapping[str, Model]:
    """Aliases first, then all models that the caller may use as `provider/ID`.

    Retired models too, for successors serve them.
    """
    catalogue = await services.jobs.catalogue_for(caller)
    models = {f"{model.provider}/{model.id}": model for model in catalogue.models()}
    # A server of the operator's own may not have said yet that it has what an alias stands for.
    aliases = {alias: models[name] for alias, name in services.model_aliases.items() if name in models}
    return aliases | models
