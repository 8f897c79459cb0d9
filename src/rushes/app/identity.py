"""The identity provider that the settings name."""

from __future__ import annotations

from urllib.parse import urlsplit

from rushes.accounts.people import Role
from rushes.app.foundation import Foundation
from rushes.identity.claims import ClaimRules
from rushes.identity.provider import IdentityConfig, IdentityProvider


def identity_of(base: Foundation) -> IdentityProvider | None:
    """The provider; nothing is asked of it, and no library for it imported, before the first person signs in."""
    settings = base.settings.oidc
    if settings is None:
        return None
    secret = settings.client_secret
    rules = ClaimRules(
        settings.account_claim, settings.role_claim, {word: Role(role) for word, role in settings.roles.items()}
    )
    config = IdentityConfig(
        issuer=settings.issuer,
        client_id=settings.client_id,
        rules=rules,
        name=settings.name or urlsplit(settings.issuer).hostname or "OpenID Connect",
        client_secret=None if secret is None else secret.get_secret_value(),
        cli_client_id=settings.cli_client_id,
        scope=settings.scope,
    )
    return IdentityProvider(config, base.client, base.clock)
