"""By which of our routes a request was answered: few words, however many addresses are asked for."""

from __future__ import annotations

from typing import Final

from starlette.types import Scope

PREFIXES: Final = ("/api/v1", "/v1beta1", "/v1beta", "/v1")
OTHER: Final = "other"
METHODS: Final = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})


def route_of(scope: Scope) -> str:
    """The route's path with names for its parameters, as in the documentation; `other` for a path that is not ours."""
    known: str | None = scope["state"].get("route")
    if known is not None:
        return known
    path: str | None = getattr(scope.get("route"), "path", None)
    if path is None:
        return OTHER
    # The framework names a route without the prefix that it was included under.
    prefix = next((found for found in PREFIXES if scope["path"].startswith(f"{found}/")), "")
    return path if path.startswith(f"{prefix}/") and prefix else prefix + path


def method_of(scope: Scope) -> str:
    """The request's method; `other` for one that no route of ours has."""
    method: str = scope["method"]
    return method if method in METHODS else OTHER
