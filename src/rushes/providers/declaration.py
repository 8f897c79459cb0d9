"""What an adapter declares of itself: its options, the credentials that it takes, and how it is opened.

The registry collects the declarations, so settings, keys, routing and documentation need no list of providers.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict

from rushes.catalogue.model import Model
from rushes.clock import Clock
from rushes.decoding.box import Box
from rushes.errors import FieldError
from rushes.net.client import HttpClient
from rushes.providers.base import Provider
from rushes.shared_places import DRAWINGS, SharedPlace


class Options(BaseModel):
    """What an operator may set for a provider besides its key, as `[providers.NAME]`; nothing secret.

    An adapter with more options than a base URL subclasses this. Each has a default, or None for "not set".
    """

    # An id such as 123456 arrives from the environment as a number.
    model_config = ConfigDict(frozen=True, extra="forbid", coerce_numbers_to_str=True)

    base_url: str | None = None
    """Where the provider is reached; a trusted origin, also on loopback. None: the provider's own address."""


def never_wrong(_secret: str) -> str | None:
    """The check of a shape that takes every text."""
    return None


def nothing_wrong(_model: Model) -> FieldError | None:
    """The check of an adapter that reads no `wire` table."""
    return None


def no_region(_options: Options) -> str | None:
    """The region of a provider that has only one."""
    return None


@dataclass(frozen=True, slots=True)
class CredentialShape:
    """One shape of secret that a provider takes.

    Shapes are tried in the order in which they are declared; the first that `fits` is the one that is meant.
    """

    kind: str
    """Its name in `Credential.kind`."""
    words: str
    """What messages and docs call it, such as "an API key"."""
    fits: Callable[[str], bool]
    """Whether a secret is meant to be of this shape, by a first look at it."""
    api: str | None = None
    """Which of the provider's APIs it opens, where the provider has several."""
    problem: Callable[[str], str | None] = never_wrong
    """What is wrong with a secret of this shape, as the end of a sentence about it; None if nothing is.

    The words never show the secret.
    """
    variables: tuple[str, ...] = ()
    """Environment variables where people already have it; each holds the whole secret."""
    read_variables: tuple[str, ...] = ()
    """Variables that hold parts of it, for `compose`."""
    compose: Callable[[Mapping[str, str], Any], str | None] | None = None
    """The secret made from those of `read_variables` that are set, and the provider's options; None if parts lack."""


@dataclass(frozen=True, slots=True)
class Parts:
    """What adapters are built from."""

    client: HttpClient
    clock: Clock
    scratch: Path
    """A folder for temporary files."""
    box: Box = field(default_factory=Box)
    """Where files of strangers are decoded."""
    drawings: SharedPlace = field(default_factory=lambda: SharedPlace(DRAWINGS))
    """How many drawings this machine makes at once, and how many of them one account."""


@dataclass(frozen=True, slots=True)
class Declaration:
    """A provider, as its adapter's module states it in `PROVIDER`."""

    name: str
    open: Callable[[Any, Parts], Mapping[str | None, Provider]]
    """The adapter of each of its APIs, from the options; one under None where there is only one API.

    Raises StartupError for an option that cannot be used.
    """
    options: type[Options] = Options
    credentials: tuple[CredentialShape, ...] = ()
    """The shapes of credential that it takes; none if it needs no key."""
    check: Callable[[Model], FieldError | None] = nothing_wrong
    """What in a catalogue entry the adapter has no words for, above all in its `wire` table; None if nothing."""
    region: Callable[[Any], str | None] = no_region
    """The region that the options choose, where the provider has several: other regions' models and prices are not
    served then. None: there is only one."""
    catalogue: Traversable | None = None
    """Its catalogue file, if that is not `rushes/catalogue/NAME.toml`: for adapters from other packages."""
