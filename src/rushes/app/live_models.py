"""What differs between the catalogue and the lists of models that providers give out."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Final

from rushes.app.providers import Providers
from rushes.catalogue.model import Model
from rushes.clock import SystemClock
from rushes.errors import ProviderError, UnsupportedOption
from rushes.net.client import HttpClient
from rushes.providers.base import Provider
from rushes.providers.credentials import Pinned
from rushes.providers.declaration import Parts

ANSWER_S: Final = 15.0
"""How long a provider may take to answer."""


@dataclass(frozen=True, slots=True)
class LiveList:
    """One provider's list, or one of its API's, held against the catalogue."""

    provider: str
    api: str | None
    missing: tuple[str, ...] = ()
    """Models of ours, not retired, that the list lacks."""
    unknown: tuple[str, ...] = ()
    """Ids on the list that the catalogue lacks."""
    trouble: str | None = None
    """Why the list could not be read, if it could not."""


async def live_lists(providers: Providers, scratch: Path, today: date) -> list[LiveList]:
    """Ask each provider that has a credential of the operator's and a list. One that fails is reported, not raised."""
    client = HttpClient()
    adapters = providers.open(Parts(client=client, clock=SystemClock(), scratch=scratch))
    try:
        asked = [
            _ask(providers, adapters[name, pinned.api], name, pinned, today)
            for name in providers.keyring.providers
            for pinned in providers.keyring.of(name)
            if (name, pinned.api) in adapters and name in providers.declared
        ]
        return [found for found in await asyncio.gather(*asked) if found is not None]
    finally:
        for adapter in adapters.values():
            await adapter.close()
        await client.close()


async def _ask(providers: Providers, adapter: Provider, name: str, pinned: Pinned, today: date) -> LiveList | None:
    try:
        async with asyncio.timeout(ANSWER_S):
            ids = await adapter.list_models(credential=pinned.credential)
    except UnsupportedOption:
        return None
    except ProviderError as exc:
        return LiveList(name, pinned.api, trouble=exc.message)
    except TimeoutError:
        return LiveList(name, pinned.api, trouble=f"no answer within {ANSWER_S:g} s")
    return compared(providers.catalogue.models(name), name, pinned.api, ids, today)


def compared(models: tuple[Model, ...], provider: str, api: str | None, ids: tuple[str, ...], today: date) -> LiveList:
    """What these models of one provider and its list lack of each other."""
    here = [model for model in models if not model.apis or api in model.apis]
    known = {name for model in models for name in (model.id, model.upstream_id(api), *model.upstream_ids.values())}
    alive = [model for model in here if model.retired is None or model.retired > today]
    return LiveList(
        provider,
        api,
        missing=tuple(
            model.id for model in alive if not {model.upstream_id(api), *model.upstream_ids.values()} & set(ids)
        ),
        unknown=tuple(sorted(set(ids) - known)),
    )
