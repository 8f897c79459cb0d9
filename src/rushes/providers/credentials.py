"""Which credentials a provider takes, and the ones that the operator has configured."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

from rushes.catalogue.model import Model
from rushes.errors import FieldError, InvalidRequest
from rushes.providers.base import Credential
from rushes.providers.declaration import CredentialShape

LONGEST_SECRET = 16_384
SHORTEST_KEY = 8


@dataclass(frozen=True, slots=True)
class KeyTerms:
    """How one credential of a pool is used: its share of the jobs, its models and its limits; None: no limit."""

    weight: float = 1
    models: tuple[str, ...] = ("*",)
    requests_per_minute: int | None = None
    in_flight: int | None = None
    enabled: bool = True

    @property
    def has_limits(self) -> bool:
        """Whether the database counts its use."""
        return self.requests_per_minute is not None or self.in_flight is not None


FREE = KeyTerms()
"""A credential without limits, for all models."""


@dataclass(frozen=True, slots=True)
class Pinned:
    """A credential, which API of its provider it opens, and its name and terms in the provider's pool."""

    credential: Credential
    api: str | None
    name: str = "default"
    terms: KeyTerms = FREE

    def is_for(self, model: Model) -> bool:
        """Whether one of its patterns names this model, by its id alone or behind its provider's name."""
        names = (model.id, f"{model.provider}/{model.id}")
        return any(fnmatchcase(name, pattern) for pattern in self.terms.models for name in names)

    @property
    def fingerprint(self) -> str:
        """Tells credentials apart without telling what they are."""
        return hashlib.sha256(b"rushes credential:" + self.credential.secret.encode()).hexdigest()[:12]


class Keyring:
    """The shapes of credential that each provider takes, and the operator's own ones, the preferred one first.

    Those that are not enabled take no new jobs; `named` and `made_with` find them for the jobs that they have.
    """

    def __init__(
        self,
        shapes: Mapping[str, Sequence[CredentialShape]],
        by_provider: Mapping[str, Sequence[Pinned]] | None = None,
    ) -> None:
        self._shapes = {provider: tuple(its) for provider, its in shapes.items()}
        self._by_provider = {provider: tuple(pinned) for provider, pinned in (by_provider or {}).items()}

    def of(self, provider: str) -> tuple[Pinned, ...]:
        """The credentials that take new jobs for this provider; none if nothing is configured."""
        return tuple(pinned for pinned in self.all_of(provider) if pinned.terms.enabled)

    def all_of(self, provider: str) -> tuple[Pinned, ...]:
        """Also those that are not enabled."""
        return self._by_provider.get(provider, ())

    def named(self, provider: str, name: str) -> Pinned | None:
        """The credential of this name."""
        return next((pinned for pinned in self.all_of(provider) if pinned.name == name), None)

    def made_with(self, provider: str, fingerprint: str | None, api: str | None) -> Pinned | None:
        """The credential of a job that has no name of one: it was submitted by a release before pools."""
        its = [pinned for pinned in self.all_of(provider) if pinned.api == api]
        same = next((pinned for pinned in its if pinned.fingerprint == fingerprint), None)
        # Then there was one credential for an API, and after a replacement its jobs went on with the new one.
        return same or next((pinned for pinned in its if pinned.name == "default" or len(its) == 1), None)

    def find(self, provider: str, api: str | None) -> Pinned | None:
        """The preferred credential for one API of a provider."""
        return next((pinned for pinned in self.of(provider) if pinned.api == api), None)

    def needs_key(self, provider: str) -> bool:
        """Whether this provider takes credentials at all."""
        return bool(self._shapes.get(provider))

    def recognise(self, provider: str, secret: str, *, field: str) -> Pinned:
        """The credential that `secret` is for this provider. Raises InvalidRequest naming `field`, never its value."""
        return recognise(provider, self._shapes.get(provider, ()), secret, field=field)

    def callers(self, provider: str, secret: str) -> Credential:
        """The caller's own credential, which `recognise` found in this secret before."""
        return credential_from(self._shapes.get(provider, ()), secret)

    @property
    def providers(self) -> Iterable[str]:
        """Every provider that has a credential."""
        return self._by_provider.keys()


def recognise(provider: str, shapes: Sequence[CredentialShape], secret: str, *, field: str) -> Pinned:
    """The credential that `secret` is, of one of these shapes. Raises InvalidRequest naming `field`, not its value."""
    if not shapes:
        raise _unusable(field, f"'{provider}' needs no key; leave {field} out")
    shape = next((shape for shape in shapes if shape.fits(secret)), None)
    if shape is None:
        raise _unusable(field, f"{field} must be {' or '.join(shape.words for shape in shapes)} for '{provider}'")
    if len(secret) > LONGEST_SECRET:
        raise _unusable(field, f"{field} is longer than any key of '{provider}'")
    problem = shape.problem(secret)
    if problem is not None:
        raise _unusable(field, f"{field} {problem}")
    return Pinned(Credential(kind=shape.kind, secret=secret), shape.api)


def credential_from(shapes: Sequence[CredentialShape], secret: str) -> Credential:
    """The caller's own credential, which `recognise` found in this secret before."""
    kind = next((shape.kind for shape in shapes if shape.fits(secret)), "unknown")
    return Credential(kind=kind, secret=secret, is_callers=True)


def api_key(*variables: str, api: str | None = None) -> CredentialShape:
    """The shape that most providers have: one line of text. `variables` are where people usually keep it."""
    return CredentialShape(
        kind="api_key",
        words="an API key",
        api=api,
        fits=lambda secret: not secret.lstrip().startswith("{"),
        problem=_key_problem,
        variables=variables,
    )


def json_object(secret: str) -> dict[str, Any] | None:
    """The JSON object that a secret is, or None."""
    try:
        content = json.loads(secret.encode())
    except (ValueError, RecursionError):
        return None
    return content if isinstance(content, dict) else None


def _key_problem(secret: str) -> str | None:
    if not secret.isascii() or not secret.isprintable() or " " in secret or len(secret) < SHORTEST_KEY:
        return f"is not a key: it must be at least {SHORTEST_KEY} printable characters without spaces"
    return None


def _unusable(field: str, message: str) -> InvalidRequest:
    return InvalidRequest(message, [FieldError(field, message)])
