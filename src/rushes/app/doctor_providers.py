"""Whether each provider takes the operator's credential: asked by a call that costs nothing."""

from __future__ import annotations

import asyncio
from pathlib import Path
from tempfile import TemporaryDirectory

from rushes.app.findings import Finding, State
from rushes.app.providers import Providers, configured_providers
from rushes.clock import SystemClock
from rushes.errors import (
    LookRefused,
    ProviderAuth,
    ProviderCreditEmpty,
    ProviderError,
    ProviderRejected,
    StartupError,
    UnsupportedOption,
)
from rushes.net.client import HttpClient
from rushes.providers.base import NO_CREDENTIAL, Credential, Provider
from rushes.providers.declaration import Parts
from rushes.settings import Settings

ANSWER_S = 10.0


async def provider_findings(settings: Settings) -> list[Finding]:
    """A finding for each credential and each own server; one for all if none is configured."""
    providers = configured_providers(settings, SystemClock())
    with TemporaryDirectory() as scratch:
        found = await _ask_all(providers, Path(scratch))
    if not found:
        advice = "set a provider's key, such as GEMINI_API_KEY; test keys work without"
        return [Finding("providers", State.WARNING, "no provider has a credential", advice)]
    return found


async def _ask_all(providers: Providers, scratch: Path) -> list[Finding]:
    client = HttpClient()
    adapters = providers.open(Parts(client=client, clock=SystemClock(), scratch=scratch))
    try:
        asked = [
            (name, pinned.api, pinned.credential)
            for name in providers.keyring.providers
            for pinned in providers.keyring.of(name)
        ]
        with_key = {name for name, _, _ in asked}
        asked += [(server.name, None, NO_CREDENTIAL) for server in providers.own if server.name not in with_key]
        return list(
            await asyncio.gather(
                *(
                    _ask(name, adapters[name, api], credential, providers.setting_names(name)[0])
                    for name, api, credential in asked
                    if (name, api) in adapters
                )
            )
        )
    finally:
        for adapter in adapters.values():
            await adapter.close()
        await client.close()


async def _ask(name: str, adapter: Provider, credential: Credential, variable: str) -> Finding:
    part = f"provider {name}"
    is_free = credential.kind == NO_CREDENTIAL.kind
    try:
        async with asyncio.timeout(ANSWER_S):
            await adapter.try_credential(credential=credential)
    except UnsupportedOption:
        return Finding(part, State.OK, "a credential of the right shape is set; no call that costs nothing proves it")
    except (LookRefused, ProviderAuth, ProviderRejected) as exc:
        return Finding(part, State.FAILED, f"it refuses the credential: {exc.message}", f"set {variable} anew")
    except ProviderCreditEmpty as exc:
        return Finding(part, State.WARNING, exc.message, "add credit there")
    except (ProviderError, StartupError) as exc:
        return Finding(part, State.WARNING, exc.message, "the credential is not proven; look at its network and status")
    except TimeoutError:
        return Finding(part, State.WARNING, f"no answer within {ANSWER_S:.0f} s", "look at its network and status")
    return Finding(part, State.OK, "it answers, without a credential" if is_free else "it takes the credential")
