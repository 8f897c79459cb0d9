"""Asks own servers whether they can run the models that are configured for them, at the start and until they answer."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import structlog

from rushes.app.providers import Providers
from rushes.catalogue.load import Catalogue
from rushes.clock import Clock, SystemClock
from rushes.errors import ProviderError, StartupError
from rushes.net.client import HttpClient
from rushes.providers.base import NO_CREDENTIAL, Provider
from rushes.providers.credentials import Keyring
from rushes.providers.declaration import Parts
from rushes.providers.own_server import OwnServer
from rushes.providers.registry import ProviderApi

log = structlog.get_logger(__name__)

FIRST_WAIT_S: Final = 2.0
LONGEST_WAIT_S: Final = 60.0
AT_START_S: Final = 5.0
"""How long a start waits for servers: one that is away must not keep the service down."""
ANSWER_S: Final = 15.0
"""How long a command waits for them."""
SHOWN: Final = 5


@dataclass(frozen=True, slots=True)
class Checked:
    """What a server said of its models: sentences on what it cannot run, or why it could not be asked."""

    misfits: tuple[str, ...] = ()
    unasked: str | None = None

    @property
    def sentence(self) -> str | None:
        """The trouble in a sentence, or None."""
        if self.unasked is not None:
            return f"its models are not checked yet: {self.unasked}"
        more = f" (and {len(self.misfits) - SHOWN} more)" if len(self.misfits) > SHOWN else ""
        return "; ".join(self.misfits[:SHOWN]) + more or None


class ServerChecks:
    """Holds the models of each server of a kind that can tell against the server itself."""

    def __init__(
        self,
        catalogue: Catalogue,
        servers: Sequence[OwnServer],
        providers: Mapping[ProviderApi, Provider],
        keyring: Keyring,
        clock: Clock,
    ) -> None:
        self._catalogue = catalogue
        # A server that takes callers' keys alone answers no question of ours.
        self._servers = tuple(
            server
            for server in servers
            if server.is_checked and server.listed and (keyring.of(server.name) or not server.needs_key)
        )
        self._providers = providers
        self._keyring = keyring
        self._clock = clock
        self._found: dict[str, Checked] = {}

    @property
    def troubles(self) -> Mapping[str, str]:
        """A sentence for each server that cannot run its models, or could not be asked yet."""
        sentences = {name: checked.sentence for name, checked in self._found.items()}
        return {name: sentence for name, sentence in sentences.items() if sentence is not None}

    async def at_start(self) -> None:
        """Ask each server once, for a few seconds at most.

        Raises StartupError if one answers that it cannot run what is configured. One that is away is asked again by
        `run`.
        """
        for name, checked in (await self.ask(AT_START_S)).items():
            if checked.misfits:
                raise StartupError(f"[providers.{name}]: {checked.sentence}")
            if checked.unasked is not None:
                log.warning("models_not_checked", provider=name, reason=checked.unasked)

    async def ask(self, seconds: float) -> Mapping[str, Checked]:
        """Ask each server once, within these seconds. One that fails is reported, not raised."""
        found = await asyncio.gather(*(self._ask(server, seconds) for server in self._servers))
        self._found = dict(zip((server.name for server in self._servers), found, strict=True))
        return self._found

    async def run(self) -> None:
        """Ask the servers that did not answer at the start until they do."""
        await asyncio.gather(*(self._follow(server) for server in self._servers))

    async def _follow(self, server: OwnServer) -> None:
        wait_s = FIRST_WAIT_S
        while self._found.get(server.name, Checked(unasked="")).unasked is not None:
            await self._clock.sleep(wait_s)
            wait_s = min(2 * wait_s, LONGEST_WAIT_S)
            checked = self._found[server.name] = await self._ask(server, LONGEST_WAIT_S)
            if checked.misfits:
                log.error("models_do_not_fit", provider=server.name, reason=checked.sentence)
            elif checked.unasked is None:
                log.info("models_checked", provider=server.name)

    async def _ask(self, server: OwnServer, seconds: float) -> Checked:
        pinned = self._keyring.find(server.name, None)
        credential = NO_CREDENTIAL if pinned is None else pinned.credential
        models = [model for model in self._catalogue.models(server.name) if model.wire]
        try:
            async with asyncio.timeout(seconds):
                return Checked(await self._providers[server.name, None].misfits(models, credential=credential))
        except ProviderError as error:
            return Checked(unasked=error.message)
        except TimeoutError:
            return Checked(unasked=f"no answer within {seconds:g} s")


async def checked_servers(providers: Providers, scratch: Path) -> Mapping[str, Checked]:
    """What each of these servers says of its models, outside a service."""
    client, clock = HttpClient(), SystemClock()
    adapters = providers.open(Parts(client=client, clock=clock, scratch=scratch))
    try:
        return await ServerChecks(providers.catalogue, providers.own, adapters, providers.keyring, clock).ask(ANSWER_S)
    finally:
        for adapter in adapters.values():
            await adapter.close()
        await client.close()
