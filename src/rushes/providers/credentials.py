"""Which credentials a provider takes, and the ones that the operator has configured."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from rushes.catalogue.load import ProviderEntry
from rushes.catalogue.model import CredentialKind
from rushes.errors import FieldError, InvalidRequest
from rushes.providers.base import Credential

LONGEST_SECRET = 16_384
SERVICE_ACCOUNT_FIELDS = ("client_email", "private_key", "private_key_id", "project_id")


@dataclass(frozen=True, slots=True)
class Pinned:
    """A credential, and which surface of its provider it opens."""

    credential: Credential
    surface: str | None

    @property
    def fingerprint(self) -> str:
        """Tells credentials apart without telling what they are."""
        return hashlib.sha256(b"rushes credential:" + self.credential.secret.encode()).hexdigest()[:12]


class Keyring:
    """The operator's own credentials, per provider, the preferred one first."""

    def __init__(self, by_provider: Mapping[str, Sequence[Pinned]]) -> None:
        self._by_provider = {provider: tuple(pinned) for provider, pinned in by_provider.items()}

    def of(self, provider: str) -> tuple[Pinned, ...]:
        """The credentials for this provider; none if nothing is configured."""
        return self._by_provider.get(provider, ())

    def find(self, provider: str, surface: str | None) -> Pinned | None:
        """The credential for one surface of a provider."""
        return next((pinned for pinned in self.of(provider) if pinned.surface == surface), None)

    @property
    def providers(self) -> Iterable[str]:
        """Every provider that has a credential."""
        return self._by_provider.keys()


def recognise(entry: ProviderEntry, secret: str, *, field: str) -> Pinned:
    """The credential that `secret` is: an API key, or the JSON of a service account, as the provider has them.

    Of a service account only the identity is used: where its tokens come from is a setting of ours, for a caller's
    `token_uri` would be a stranger's address, and other types of credential file can name commands to run. Raises
    InvalidRequest naming `field`, never its value.
    """
    kinds = {shape.kind: shape.surface for shape in entry.credentials}
    if not kinds:
        raise _unusable(field, f"'{entry.provider}' needs no key; leave {field} out")
    kind = _kind_of(secret)
    if kind not in kinds:
        raise _unusable(field, f"{field} must be {' or '.join(_NAMES[one] for one in kinds)} for '{entry.provider}'")
    if len(secret) > LONGEST_SECRET:
        raise _unusable(field, f"{field} is longer than any key of '{entry.provider}'")
    if kind is CredentialKind.SERVICE_ACCOUNT:
        _check_service_account(secret, field)
    elif not secret.isascii() or not secret.isprintable() or " " in secret or len(secret) < 8:
        raise _unusable(field, f"{field} is not a key: it must be at least 8 printable characters without spaces")
    return Pinned(Credential(kind=kind, secret=secret), kinds[kind])


def credential_from(secret: str) -> Credential:
    """The caller's own credential, which `recognise` found in this secret before."""
    return Credential(kind=_kind_of(secret), secret=secret, is_callers=True)


def _kind_of(secret: str) -> CredentialKind:
    return CredentialKind.SERVICE_ACCOUNT if secret.lstrip().startswith("{") else CredentialKind.API_KEY


_NAMES = {
    CredentialKind.API_KEY: "an API key",
    CredentialKind.SERVICE_ACCOUNT: "the JSON of a service account",
}


def _check_service_account(secret: str, field: str) -> None:
    try:
        content = json.loads(secret.encode())
    except (ValueError, RecursionError):
        content = None
    if not isinstance(content, dict) or content.get("type") != "service_account":
        raise _unusable(field, f"{field} must be an API key or JSON of type 'service_account'; no other type is taken")
    missing = [name for name in SERVICE_ACCOUNT_FIELDS if not isinstance(content.get(name), str) or not content[name]]
    if missing:
        raise _unusable(field, f"{field} lacks {', '.join(missing)}, which a service account has")


def _unusable(field: str, message: str) -> InvalidRequest:
    return InvalidRequest(message, [FieldError(field, message)])
