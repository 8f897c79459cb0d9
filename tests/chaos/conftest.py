"""Services for these tests, started as those of `e2e` are."""

from __future__ import annotations

from tests.e2e.conftest import service, start

__all__ = ["service", "start"]
