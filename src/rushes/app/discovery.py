"""Asks the operator's own servers which models they have, while the service runs: a server may come up after us."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Final

import structlog

from rushes.app.own_servers import models_at
from rushes.catalogue.load import Catalogue
from rushes.clock import Clock
from rushes.errors import ProviderError
from rushes.providers.base import NO_CREDENTIAL, Provider
from rushes.providers.credentials import Keyring
from rushes.providers.own_server import OwnServer
from rushes.providers.registry import ProviderApi

log = structlog.get_logger(__name__)

FIRST_WAIT_S: Final = 1.0
LONGEST_WAIT_S: Final = 60.0


class Discovery:
    """Keeps the catalogue's list of what each of these servers has. A model that was seen once stays."""

    def __init__(
        self,
        catalogue: Catalogue,
        servers: Sequence[OwnServer],
        providers: Mapping[ProviderApi, Provider],
        keyring: Keyring,
        clock: Clock,
    ) -> None:
        self._catalogue = catalogue
        self._servers = tuple(servers)
        self._providers = providers
        self._keyring = keyring
        self._clock = clock

    async def run(self) -> None:
        """Ask each server until it answers, and then once a minute: what it serves may change."""
        await asyncio.gather(*(self._follow(server) for server in self._servers))

    async def _follow(self, server: OwnServer) -> None:
        wait_s = FIRST_WAIT_S
        while True:
            try:
                found = await self._ask(server)
                wait_s = LONGEST_WAIT_S
                if found:
                    log.info("models_discovered", provider=server.name, models=found)
            except ProviderError as error:
                log.info("models_not_discovered", provider=server.name, reason=error.message, again_in_s=wait_s)
            await self._clock.sleep(wait_s)
            wait_s = min(2 * wait_s, LONGEST_WAIT_S)

    async def _ask(self, server: OwnServer) -> list[str]:
        """Ask once; the ids that are new."""
        adapter = self._providers[server.name, None]
        pinned = self._keyring.find(server.name, None)
        ids = await adapter.list_models(credential=NO_CREDENTIAL if pinned is None else pinned.credential)
        new = [model_id for model_id in ids if self._catalogue.find(server.name, model_id) is None]
        self._catalogue.add(models_at(server, [{"id": model_id} for model_id in new], self._clock))
        return new
