"""The console of this process, over the same services as its API."""

from __future__ import annotations

from yarl import URL

from rushes.accounts.sessions import SessionStore
from rushes.api.process_status import ProcessStatus
from rushes.api.services import Services
from rushes.app.foundation import Foundation
from rushes.console.entry import LazyConsole
from rushes.console.services import ConsoleServices
from rushes.media.storage import Storage
from rushes.operations.needs_operator import NeedsOperatorStore
from rushes.sealing import Sealer
from rushes.telemetry.store import TelemetryStore


def console_of(
    base: Foundation, services: Services, process_status: ProcessStatus, media_origin: str | None
) -> LazyConsole:
    """The console; nothing of it is imported before its first page is asked for."""

    async def trouble() -> str | None:
        condition = await process_status.condition()
        return condition.trouble or next((found for found in condition.parts.values() if found is not None), None)

    return LazyConsole(
        ConsoleServices(
            sessions=SessionStore(base.database),
            keys=services.keys,
            accounts=services.accounts,
            limits=services.limits,
            settings=services.settings,
            audit=services.audit,
            people=services.people,
            identity=services.identity,
            sign_in_sealer=Sealer(base.keys.derive("sign-in")),
            default_limits=services.default_limits,
            allowances=services.allowances,
            spending=services.spending,
            rates=services.rates,
            jobs=services.jobs,
            history=services.history,
            watching=services.watching,
            revocations=services.revocations,
            inputs=services.inputs,
            storage=services.storage,
            usage=services.usage,
            webhooks=services.webhooks,
            catalogue=services.catalogue,
            served_apis=services.served_apis,
            links=services.links,
            needs_operator=NeedsOperatorStore(base.database),
            decisions=services.decisions,
            telemetry=TelemetryStore(base.database),
            breakers=process_status.breakers,
            credentials=process_status.credentials,
            ready=trouble,
            clock=services.clock,
            session_s=base.settings.console_session_s,
            media_origin=media_origin,
        )
    )


async def media_origin_of(storage: Storage) -> str | None:
    """The origin that links to videos lead to where the storage gives links of its own, else None."""
    link = await storage.link("videos/any", ttl_s=60, content_type="video/mp4", disposition="inline")
    return None if link is None else str(URL(link).origin())
