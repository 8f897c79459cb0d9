"""Which page answers which address."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass

from starlette.responses import Response
from starlette.routing import compile_path

from rushes.accounts.keys import Scope
from rushes.console.visit import Visit

Handler = Callable[[Visit], Awaitable[Response]]


@dataclass(frozen=True, slots=True)
class Page:
    """One address below /console and its handler. `scope` None: the page needs no session.

    `reads_form` False leaves the body of a POST to the handler; its token then comes in a header.
    """

    method: str
    path: str
    handler: Handler
    scope: Scope | None = Scope.READ
    reads_form: bool = True


class Routes:
    """Finds pages. The first that matches wins."""

    def __init__(self, pages: Iterable[Page]) -> None:
        self._pages: list[tuple[re.Pattern[str], Page]] = [(compile_path(page.path)[0], page) for page in pages]

    def find(self, method: str, path: str) -> tuple[Page, Mapping[str, str]] | None:
        """The page and the parameters in its path; HEAD is answered as GET."""
        wanted = "GET" if method == "HEAD" else method
        for pattern, page in self._pages:
            match = pattern.match(path)
            if match is not None and page.method == wanted:
                return page, match.groupdict()
        return None

    def methods(self, path: str) -> list[str]:
        """The methods that this path answers; empty where there is no such page."""
        return sorted({page.method for pattern, page in self._pages if pattern.match(path) is not None})
