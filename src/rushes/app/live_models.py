"""What differs between the catalogue and the lists of models that providers give out."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

import structlog

from rushes.app.providers import Providers
from rushes.catalogue.model import Model, Price
from rushes.clock import Clock, SystemClock
from rushes.domain.request import Role
from rushes.errors import ProviderError, UnsupportedOption
from rushes.net.client import HttpClient
from rushes.providers.base import Provider
from rushes.providers.credentials import Pinned
from rushes.providers.declaration import Parts
from rushes.providers.registry import ProviderApi

log = structlog.get_logger(__name__)

ANSWER_S: Final = 15.0
"""How long a provider may take to answer."""
DAY_S: Final = 86_400.0
HOUR_S: Final = 3600.0
MOST_LOGGED: Final = 20
"""Of differences, in one line of the log."""


@dataclass(frozen=True, slots=True)
class LiveList:
    """One provider's list, or one of its API's, held against the catalogue."""

    provider: str
    api: str | None
    missing: tuple[str, ...] = ()
    """Models of ours, not retired, that the list lacks."""
    unknown: tuple[str, ...] = ()
    """Ids on the list that the catalogue lacks."""
    differing: tuple[str, ...] = ()
    """What the list states otherwise than the catalogue: a sentence a field."""
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
    models = providers.catalogue.models(name)
    try:
        async with asyncio.timeout(ANSWER_S):
            return await _read(adapter, models, pinned, today)
    except UnsupportedOption:
        return None
    except ProviderError as exc:
        return LiveList(name, pinned.api, trouble=exc.message)
    except TimeoutError:
        return LiveList(name, pinned.api, trouble=f"no answer within {ANSWER_S:g} s")


async def _read(adapter: Provider, models: tuple[Model, ...], pinned: Pinned, today: date) -> LiveList:
    try:
        entries = await adapter.list_entries(credential=pinned.credential)
    except UnsupportedOption:
        entries = tuple({"id": name} for name in await adapter.list_models(credential=pinned.credential))
    ids = tuple(str(entry["id"]) for entry in entries)
    differing = tuple(differences(models, pinned.api, entries))
    return replace(compared(models, adapter.name, pinned.api, ids, today), differing=differing)


def differences(models: Iterable[Model], api: str | None, entries: Iterable[Mapping[str, Any]]) -> Iterator[str]:
    """What the entries of a list state otherwise than these models of ours, a sentence a field."""
    by_id = {model.upstream_id(api): model for model in models}
    for entry in entries:
        model = by_id.get(str(entry["id"]))
        if model is None:
            continue
        theirs = Model.model_validate({**model.model_dump(), **entry, "id": model.id})
        for field in (name for name in entry if name in COMPARED):
            said, ours = (COMPARED[field](getattr(one, field)) for one in (theirs, model))
            if said != ours:
                yield f"'{model.id}': {field} is {_shown(said)} there and {_shown(ours)} here"


def _in_order(values: Iterable[Any]) -> Any:
    return tuple(sorted(values))


def _frames(inputs: Mapping[Role, int]) -> Any:
    return _in_order(role.value for role in inputs if role in (Role.INPUT_IMAGE, Role.LAST_FRAME))


def _priced(prices: Iterable[Price]) -> Any:
    return tuple(
        ", ".join(f"{name} {_plainly(value)}" for name, value in price if value != Price.model_fields[name].default)
        for price in prices
    )


def _plainly(value: object) -> str:
    return f"{value.normalize():f}" if isinstance(value, Decimal) else str(value)


COMPARED: Final[Mapping[str, Callable[[Any], Any]]] = {
    "aspect_ratios": _in_order,
    "resolutions": _in_order,
    "durations_s": _in_order,
    "inputs": _frames,
    "audio": str,
    "seed": bool,
    "prices": _priced,
}
"""The fields that are held against a list, in a form that can be compared. Of inputs, lists state the frames alone."""


def _shown(value: Any) -> str:
    if not isinstance(value, tuple):
        return str(value)
    return "(" + "; ".join(map(str, value)) + ")" if value else "nothing"


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


class ListReading:
    """Reads the lists that state more than ids, at the start and daily, and logs how they differ from the catalogue.

    A list never changes a model: a price that moves by itself would surprise an operator who set a spend limit.
    """

    def __init__(self, providers: Providers, adapters: Mapping[ProviderApi, Provider], clock: Clock) -> None:
        self._providers = providers
        self._adapters = adapters
        self._clock = clock

    async def run(self) -> None:
        """Ask each provider for which the operator has a key; one that fails is asked again in an hour."""
        keyring = self._providers.keyring
        asked = [
            self._follow(self._adapters[name, pinned.api], pinned)
            for name in keyring.providers
            for pinned in keyring.of(name)
            if (name, pinned.api) in self._adapters
        ]
        await asyncio.gather(*asked)

    async def _follow(self, adapter: Provider, pinned: Pinned) -> None:
        # Most lists have ids alone: they are for `rushes models check`, and are not asked for here.
        while type(adapter).list_entries is not Provider.list_entries:
            today = datetime.fromtimestamp(self._clock.now_ms() / 1000, UTC).date()
            found = await _ask(self._providers, adapter, adapter.name, pinned, today)
            wait_s = DAY_S
            if found is not None and found.trouble is not None:
                wait_s = HOUR_S
                log.info("model_list_not_read", provider=adapter.name, reason=found.trouble, again_in_s=wait_s)
            elif found is not None:
                self._say(found)
            await self._clock.sleep(wait_s)

    def _say(self, found: LiveList) -> None:
        if not found.missing and not found.unknown and not found.differing:
            log.info("model_list_agrees", provider=found.provider)
            return
        # What the catalogue lacks harms no request, so it is no reason to wake anyone.
        say = log.warning if found.missing or found.differing else log.info
        say(
            "model_list_differs",
            provider=found.provider,
            missing=list(found.missing[:MOST_LOGGED]),
            unknown=list(found.unknown[:MOST_LOGGED]),
            differing=list(found.differing[:MOST_LOGGED]),
            see="rushes models check",
        )
