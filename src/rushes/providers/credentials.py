"""Which credentials a provider takes, and the ones that the operator has configured."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from rushes.catalogue.load import ProviderEntry
from rushes.catalogue.model import CredentialKind
from rushes.errors import FieldError, InvalidRequest
from rushes.providers.base import Credential

LONGEST_SECRET = 16_384
SERVICE_ACCOUNT_FIELDS = ("client_email", "private_key", "private_key_id", "project_id")
AWS_FIELDS: Final = {
    "access_key_id": re.compile(r"\w{16,128}", re.ASCII),
    "secret_access_key": re.compile(r"[\x21-\x7e]{16,256}"),
    "region": re.compile(r"[a-z]{2,4}(-[a-z]{2,10}){1,3}-\d{1,2}"),
    "bucket": re.compile(r"[a-z0-9][.\-a-z0-9]{1,61}[a-z0-9]"),
    "session_token": re.compile(r"[\x21-\x7e]{16,8192}"),
}
AWS_OPTIONAL: Final = "session_token"


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
    """The credential that `secret` is: an API key, or JSON of a service account or of AWS keys, as its provider has.

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
    elif kind is CredentialKind.AWS:
        _check_aws(secret, field)
    elif not secret.isascii() or not secret.isprintable() or " " in secret or len(secret) < 8:
        raise _unusable(field, f"{field} is not a key: it must be at least 8 printable characters without spaces")
    return Pinned(Credential(kind=kind, secret=secret), kinds[kind])


def credential_from(secret: str) -> Credential:
    """The caller's own credential, which `recognise` found in this secret before."""
    return Credential(kind=_kind_of(secret), secret=secret, is_callers=True)


def _kind_of(secret: str) -> CredentialKind:
    if not secret.lstrip().startswith("{"):
        return CredentialKind.API_KEY
    content = _object(secret)
    # Google writes the type into its own; the document with AWS keys is of our making and has none.
    is_aws = content is not None and "type" not in content and "access_key_id" in content
    return CredentialKind.AWS if is_aws else CredentialKind.SERVICE_ACCOUNT


_NAMES = {
    CredentialKind.API_KEY: "an API key",
    CredentialKind.SERVICE_ACCOUNT: "the JSON of a service account",
    CredentialKind.AWS: "JSON with access_key_id, secret_access_key, region and bucket",
}


def _check_service_account(secret: str, field: str) -> None:
    content = _object(secret)
    if content is None or content.get("type") != "service_account":
        raise _unusable(field, f"{field} must be an API key or JSON of type 'service_account'; no other type is taken")
    missing = [name for name in SERVICE_ACCOUNT_FIELDS if not isinstance(content.get(name), str) or not content[name]]
    if missing:
        raise _unusable(field, f"{field} lacks {', '.join(missing)}, which a service account has")


def _check_aws(secret: str, field: str) -> None:
    content = _object(secret) or {}
    # Exactly these: a name such as `credential_process` or `profile` would reach into the machine that we run on.
    others = content.keys() - AWS_FIELDS.keys()
    if others:
        raise _unusable(field, f"{field} holds more than {', '.join(AWS_FIELDS)}, which is all that is taken")
    for name, pattern in AWS_FIELDS.items():
        if name == AWS_OPTIONAL and name not in content:
            continue
        value = content.get(name)
        if not isinstance(value, str) or pattern.fullmatch(value) is None:
            raise _unusable(field, f"{field} has no '{name}' as AWS writes it")


def _object(secret: str) -> dict[str, Any] | None:
    try:
        content = json.loads(secret.encode())
    except (ValueError, RecursionError):
        return None
    return content if isinstance(content, dict) else None


def _unusable(field: str, message: str) -> InvalidRequest:
    return InvalidRequest(message, [FieldError(field, message)])
