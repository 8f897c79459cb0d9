"""What the embedded provider declares: no options and no key."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from rushes.providers.animatic.adapter import Animatic
from rushes.providers.base import Provider
from rushes.providers.declaration import Declaration, Options, Parts


def _open(_options: Options, parts: Parts) -> Mapping[str | None, Provider]:
    return {None: Animatic(parts.box, parts.drawings, parts.scratch, parts.clock)}


PROVIDER: Final = Declaration(name="animatic", open=_open)
