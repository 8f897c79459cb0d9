"""What a kind of own server is: a protocol of people's own machines, of which any number is configured by name.

A server becomes a provider, its models become catalogue entries: what the operator wrote, and defaults for the rest.
"""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Final

from pydantic import Field

from rushes.catalogue.load import ProviderEntry
from rushes.catalogue.model import Model
from rushes.errors import FieldError, ProviderAuth
from rushes.providers.base import Credential, Provider
from rushes.providers.credentials import api_key
from rushes.providers.declaration import CredentialShape, Options, Parts

PREFERRED: Final = {"aspect_ratio": "16:9", "resolution": "720p", "duration_s": 4}
"""What an option becomes that neither the caller nor the entry's defaults say, if the model offers it."""

# A model on one's own GPU costs nothing a second. Two at once, because the server draws one and keeps the rest in
# memory: those that wait with us can be cancelled, and survive its restart.
OWN_GPU: Final[Mapping[str, Any]] = {
    "seed": True,
    "negative_prompt": True,
    "prices": [{"usd_per_s": 0}],
    "concurrency": 2,
    "deadline_s": 6 * 3600,
}

SENDABLE_KEY: Final = re.compile(r"[\x21-\x7e]+")


class OwnServerOptions(Options):
    """What an operator writes for a server besides its key; a kind with more options subclasses this."""

    key_header: str = Field(default="Authorization", pattern=r"^[A-Za-z0-9-]+$")
    needs_key: bool | None = None
    """None: if `api_key` is set. True without one: only for callers who bring their own."""
    models: tuple[dict[str, Any], ...] = ()


class OwnServer(ABC):
    """One configured server. Its kind says what its models are taken to offer, and which adapter speaks to it."""

    name: str
    needs_key: bool
    listed: Sequence[Mapping[str, Any]]
    """The models as the operator wrote them."""
    discovers: bool
    """Whether the server is asked for its models."""
    is_checked: ClassVar[bool] = False
    """Whether the server is asked if it can run the models that are listed for it (`Provider.misfits`)."""

    @property
    def credentials(self) -> tuple[CredentialShape, ...]:
        """The shapes of credential that it takes."""
        return (api_key(),) if self.needs_key else ()

    @property
    @abstractmethod
    def entry(self) -> ProviderEntry:
        """What the catalogue says of the server as a whole."""

    @abstractmethod
    def table_of(self, written: Mapping[str, Any]) -> dict[str, Any]:
        """The model's table as `catalogue.load` takes it: `written` wins, then the kind's defaults.

        Raises WrongTableError.
        """

    def unlisted(self, model_id: str) -> dict[str, Any]:
        """The table of a model that is not listed, or no longer."""
        return self.table_of({"id": model_id})

    @abstractmethod
    def unsayable(self, model: Model) -> FieldError | None:
        """The first thing the entry offers that this server has no words for."""

    @abstractmethod
    def open(self, parts: Parts) -> Provider:
        """The adapter for it."""


class WrongTableError(Exception):
    """A field of what the operator wrote for a model cannot be used. It becomes a StartupError that names the model."""

    def __init__(self, field: str, message: str) -> None:
        super().__init__(message)
        self.field = field
        self.message = message


@dataclass(frozen=True, slots=True)
class ServerKind:
    """A kind of server, as `kind` in `[providers.NAME]` asks for it."""

    name: str
    options: type[OwnServerOptions]
    server: Callable[[str, Any, bool, Path], OwnServer]
    """The server of this name and these options; whether it needs a key, and the folder that paths begin in."""


def derive_from_sizes(table: dict[str, Any], written: Mapping[str, Any]) -> None:
    """Fill in the resolutions and aspect ratios that the sizes name, where the operator lists none."""
    sizes = written.get("sizes")
    if not isinstance(sizes, Mapping) or not all(isinstance(by_ratio, Mapping) for by_ratio in sizes.values()):
        return
    if "resolutions" not in written:
        table["resolutions"] = list(sizes)
    if "aspect_ratios" not in written:
        table["aspect_ratios"] = list(dict.fromkeys(ratio for by_ratio in sizes.values() for ratio in by_ratio))


def choose_defaults(table: dict[str, Any]) -> None:
    """Fill in the defaults that the operator has not written: what is preferred if offered, else the first."""
    chosen = table.get("defaults", {})
    if isinstance(chosen, Mapping):
        lists = {"aspect_ratio": "aspect_ratios", "resolution": "resolutions", "duration_s": "durations_s"}
        found = {name: _default(table.get(many), PREFERRED[name]) for name, many in lists.items()}
        table["defaults"] = {name: value for name, value in found.items() if value is not None} | dict(chosen)


def key_headers(credential: Credential, header: str, *, server: str) -> dict[str, str]:
    """The header of a key: as a bearer token in `Authorization`, bare in any other. Raises ProviderAuth."""
    if credential.kind == "none":
        return {}
    if not SENDABLE_KEY.fullmatch(credential.secret):
        raise ProviderAuth(
            f"the key for {server} is empty or holds characters that no key has; check how it was copied",
            provider_error="malformed key",
        )
    return {header: f"Bearer {credential.secret}" if header.lower() == "authorization" else credential.secret}


def _default(offered: Any, preferred: object) -> object:
    if not isinstance(offered, list | tuple) or not offered:
        return None
    return preferred if preferred in offered else offered[0]
