"""Imports the packages that the oracles are made of."""

from __future__ import annotations

import importlib
from importlib.metadata import version


def version_of(package: str, module: str) -> str:
    importlib.import_module(module)
    return version(package)
