"""Kling: the API of 2026 by one API key (`unified.py`), and the one before by a pair of keys (`legacy.py`)."""

from __future__ import annotations

from rushes.providers.kling.declaration import PROVIDER
from rushes.providers.kling.legacy import KlingLegacy
from rushes.providers.kling.unified import Kling

__all__ = ["PROVIDER", "Kling", "KlingLegacy"]
