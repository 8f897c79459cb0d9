"""`rushes mcp`: the tools for agents over standard input and output."""

from __future__ import annotations

import asyncio
import sys

import typer

from rushes.cli.connection import service_settings
from rushes.cli.options import ApiKey, BaseUrl


def mcp(
    base_url: BaseUrl = None,
    api_key: ApiKey = None,
) -> None:
    """Give an agent's program (Claude Desktop and others) the tools of a running service, by MCP over stdio.

    The program starts this command itself. RUSHES_BASE_URL and RUSHES_API_KEY name the service and the key.
    """
    from rushes.client import NotConfigured
    from rushes.client.http import Http
    from rushes.client.mcp import Bridge

    settings = service_settings(base_url, api_key)

    async def run() -> None:
        http = Http(settings.base_url, settings.api_key)
        try:
            await Bridge(http, sys.stdin.buffer, sys.stdout.buffer).run()
        finally:
            await http.close()

    try:
        asyncio.run(run())
    except NotConfigured as exc:
        raise typer.BadParameter(str(exc), param_hint="--base-url / RUSHES_BASE_URL") from exc
    except (KeyboardInterrupt, BrokenPipeError):
        # The program that started us has gone.
        return
