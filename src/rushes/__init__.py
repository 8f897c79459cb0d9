"""rushes: a self-hosted video generation gateway. Its folders are named after what they do.

Programs that call a service use `from rushes import Client` or `AsyncClient`. These names are imported when they are
first used, so that the server does not load the client.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rushes.client import AsyncClient, Client
else:
    # Hidden from type checkers, which would accept any name.
    def __getattr__(name: str) -> object:
        if name in ("AsyncClient", "Client"):
            from rushes import client

            return getattr(client, name)
        raise AttributeError(f"module 'rushes' has no attribute '{name}'")


__all__ = ["AsyncClient", "Client", "__version__"]
__version__ = "0.1.0"
