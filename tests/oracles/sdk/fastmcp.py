"""FastMCP's client of MCP, with which many agents are written."""

from __future__ import annotations

import asyncio
from typing import Any

from fastmcp import Client
from fastmcp.client.auth import BearerAuth
from fastmcp.client.transports import StdioTransport, StreamableHttpTransport


def tools(url: str, key: str) -> Any:
    async def run() -> Any:
        async with _client(url, key) as client:
            return [tool.model_dump(mode="json", by_alias=True) for tool in await client.list_tools()]

    return asyncio.run(run())


def call(url: str, key: str, name: str, arguments: dict[str, Any]) -> Any:
    async def run() -> Any:
        async with _client(url, key) as client:
            return _shown(await client.call_tool(name, arguments))

    return asyncio.run(run())


def call_by_stdio(command: str, url: str, key: str, name: str, arguments: dict[str, Any]) -> Any:
    async def run() -> Any:
        environment = {"RUSHES_BASE_URL": url, "RUSHES_API_KEY": key}
        async with Client(StdioTransport(command, ["mcp"], env=environment)) as client:
            return _shown(await client.call_tool(name, arguments))

    return asyncio.run(run())


def _client(url: str, key: str) -> Client[Any]:
    return Client(StreamableHttpTransport(url, auth=BearerAuth(key)))


def _shown(result: Any) -> Any:
    return {"structured": result.structured_content, "kinds": [one.type for one in result.content]}
