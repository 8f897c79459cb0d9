"""rushes: a self-hosted video generation gateway. The top-level folders answer "what does this do?".

`from rushes import Client` (or `AsyncClient`) is the way in for programs that call a service; the import is made when
one of the names is first used, so that the server does not pay for it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rushes.client import AsyncClient, Client
else:
    # A type checker must not see this: it would take any name for granted.
    def __getattr__(name: str) -> object:
        if name in ("AsyncClient", "Client"):
            from rushes import client

            return getattr(client, name)
        raise AttributeError(f"module 'rushes' has no attribute '{name}'")


__all__ = ["AsyncClient", "Client", "__version__"]
__version__ = "0.1.0"
