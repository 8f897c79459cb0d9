"""The guardrail as the settings have it."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Sequence

from rushes.app.foundation import Foundation
from rushes.errors import StartupError
from rushes.jobs.guardrail.gate import Gate, GuardPolicy, Guardrail, OnError
from rushes.jobs.guardrail.store import GuardStore
from rushes.settings import Settings
from rushes.shared_places import GUARDRAIL
from rushes.views.signed_links import Links
from rushes.webhooks.signing import PREFIX

SECRET_BYTES = range(24, 65)


def check_guardrail(settings: Settings) -> None:
    """Raise StartupError naming the setting that is missing or does nothing."""
    if settings.guardrail_url is None:
        for name in ("secrets", "api_key", "on_error"):
            if getattr(settings, f"guardrail_{name}") is not None:
                raise StartupError(f"RUSHES_GUARDRAIL_{name.upper()} is set and RUSHES_GUARDRAIL_URL is not")
        return
    if settings.guardrail_on_error is None:
        raise StartupError(
            "RUSHES_GUARDRAIL_ON_ERROR is not set: say whether requests that the guardrail has not judged are to be "
            "refused (block) or let through (allow)"
        )
    if settings.guardrail_preset == "rushes":
        _secrets(settings)


def gate_of(base: Foundation, links: Links) -> Gate | None:
    """Where requests are judged before they are accepted; None without a guardrail."""
    settings = base.settings
    guardrail = _guardrail(base)
    if guardrail is None or settings.guardrail_on_error is None:
        return None
    policy = GuardPolicy(
        OnError(settings.guardrail_on_error), settings.guardrail_timeout_s, settings.guardrail_keep_prompts
    )
    return Gate(
        guardrail, GuardStore(base.database), base.places[GUARDRAIL], policy, base.metrics.judged, links.to_input
    )


def _guardrail(base: Foundation) -> Guardrail | None:
    settings = base.settings
    if settings.guardrail_url is None:
        return None
    if settings.guardrail_preset == "openai":
        from rushes.guardrail.moderations import Moderations

        key = settings.guardrail_api_key
        return Moderations(
            base.client,
            settings.guardrail_url,
            None if key is None else key.get_secret_value(),
            model=settings.guardrail_model,
            timeout_s=settings.guardrail_timeout_s,
        )
    from rushes.guardrail.own_protocol import OwnGuardrail

    return OwnGuardrail(
        base.client, base.clock, settings.guardrail_url, _secrets(settings), timeout_s=settings.guardrail_timeout_s
    )


def _secrets(settings: Settings) -> Sequence[str]:
    given = "" if settings.guardrail_secrets is None else settings.guardrail_secrets.get_secret_value()
    found = [part.strip() for part in given.split(",") if part.strip()]
    if not found or not all(map(_is_secret, found)):
        raise StartupError(
            f"RUSHES_GUARDRAIL_SECRETS must hold what questions are signed with: {PREFIX} and 24 to 64 bytes in base64 "
            f'(`echo "{PREFIX}$(openssl rand -base64 32)"` makes one)'
        )
    return found


def _is_secret(text: str) -> bool:
    try:
        key = base64.b64decode(text.removeprefix(PREFIX), validate=True)
    except (binascii.Error, ValueError):
        return False
    return text.startswith(PREFIX) and len(key) in SECRET_BYTES
