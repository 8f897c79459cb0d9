"""The server of the official SDK (`mcp` 2.x) with our tools and tasks. Imported when the first agent calls.

It speaks every revision of the protocol from 2024-11-05 to 2026-07-28 without sessions: each message stands alone.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import Any

import structlog
from mcp.server.caching import CacheHint
from mcp.server.context import ServerRequestContext
from mcp.server.lowlevel.server import Server
from mcp.server.streamable_http_manager import StreamableHTTPSessionManager
from mcp.server.transport_security import TransportSecuritySettings
from mcp.shared.exceptions import MCPError
from mcp_types import (
    INTERNAL_ERROR,
    INVALID_PARAMS,
    METHOD_NOT_FOUND,
    CallToolRequestParams,
    CallToolResult,
    ContentBlock,
    ImageContent,
    ListToolsResult,
    PaginatedRequestParams,
    RequestParams,
    ResourceLink,
    TextContent,
)
from mcp_types import Tool as ToolOnTheWire
from mcp_types.jsonrpc import MISSING_REQUIRED_CLIENT_CAPABILITY
from mcp_types.version import MODERN_PROTOCOL_VERSIONS, is_version_at_least
from starlette.requests import Request

from rushes import __version__
from rushes.accounts.keys import Scope
from rushes.api.authentication import require
from rushes.api.errors import status_of
from rushes.api.mcp.arguments import tool_named
from rushes.api.mcp.calls import carry_out
from rushes.api.mcp.errors import OUR_SIDE, REFUSED, facts_of, message_of
from rushes.api.mcp.outcomes import Outcome, job_outcome
from rushes.api.mcp.tasks import CREATED, EXTENSION, declares_tasks, task_of
from rushes.api.mcp.tools import INSTRUCTIONS, TOOLS, Tool
from rushes.api.services import services_of
from rushes.domain.job import Job
from rushes.errors import JobNotFound, NotCancellable, RushesError, UnknownField

log = structlog.get_logger(__name__)

Context = ServerRequestContext[Any, Request]

LISTED_FOR_MS = 300_000
"""How long a client may keep the list of tools, which changes with our releases alone."""
FIRST_WITH_LINKS = "2025-06-18"
"""The revision that added links to resources."""
ERROR_FACTS = "rushes/error"
"""Under which `_meta` of a refused call has its code and arguments, for programs."""


class TaskParams(RequestParams):
    """What names a task."""

    task_id: str


def build_manager(largest_message_bytes: int) -> StreamableHTTPSessionManager:
    """The SDK's handler of HTTP requests. Who calls it has checked the host, the key and the message."""
    return StreamableHTTPSessionManager(
        build_server(),
        json_response=True,
        stateless=True,
        # The SDK knows names by heart alone; `hosts.py` has looked already.
        security_settings=TransportSecuritySettings(enable_dns_rebinding_protection=False),
        max_request_body_size=largest_message_bytes,
    )


def build_server() -> Server[Any]:
    """The server, with a handler for each method."""
    server: Server[Any] = Server(
        "rushes",
        title="rushes: video generation",
        version=__version__,
        instructions=INSTRUCTIONS,
        on_list_tools=_list_tools,
        cache_hints={"tools/list": CacheHint(ttl_ms=LISTED_FOR_MS, scope="public")},
        # No argument of ours is mirrored in a header.
        get_tool_input_schema=lambda _name: None,
    )
    # Our own tracing follows jobs; see telemetry/.
    server.middleware.clear()
    server.extensions[EXTENSION] = {}
    server.add_request_handler("tools/call", CallToolRequestParams, _call_tool)
    server.add_request_handler("tasks/get", TaskParams, _get_task)
    server.add_request_handler("tasks/update", TaskParams, _update_task)
    server.add_request_handler("tasks/cancel", TaskParams, _cancel_task)
    return server


async def _list_tools(_context: Context, _params: PaginatedRequestParams | None) -> ListToolsResult:
    return ListToolsResult(tools=[_on_the_wire(tool) for tool in TOOLS])


def _on_the_wire(tool: Tool) -> ToolOnTheWire:
    return ToolOnTheWire.model_validate(
        {
            "name": tool.name,
            "description": tool.description,
            "inputSchema": tool.arguments,
            "outputSchema": tool.result,
            "annotations": tool.hints(),
        }
    )


async def _call_tool(context: Context, params: CallToolRequestParams) -> CallToolResult | dict[str, Any]:
    request = _request_of(context)
    try:
        tool_named(params.name)
    except UnknownField as error:
        raise MCPError(code=INVALID_PARAMS, message=error.message) from error
    try:
        outcome = await carry_out(request, params.name, params.arguments or {})
    except RushesError as error:
        return _refused(request, error)
    except Exception:
        log.exception("tool_failed", tool=params.name)
        return _broken(request)
    if outcome.started is not None and _takes_tasks(context):
        return {"resultType": CREATED, **task_of(outcome.started, services_of(request).clock.now_ms())}
    return _result(context, outcome)


async def _get_task(context: Context, params: TaskParams) -> dict[str, Any]:
    request, job = await _task(context, params, Scope.READ)
    task = task_of(job, services_of(request).clock.now_ms())
    if task["status"] == "completed":
        outcome = await job_outcome(request, job)
        result = _result(context, outcome).model_copy(update={"is_error": outcome.failed})
        task["result"] = result.model_dump(by_alias=True, mode="json", exclude_none=True)
    return task


async def _update_task(context: Context, params: TaskParams) -> dict[str, Any]:
    # No task of ours asks for anything, so there is nothing to take.
    await _task(context, params, Scope.READ)
    return {}


async def _cancel_task(context: Context, params: TaskParams) -> dict[str, Any]:
    request, job = await _task(context, params, Scope.GENERATE)
    try:
        await services_of(request).jobs.cancel(request.state.caller, job.id)
    except NotCancellable:
        # The specification asks for an acknowledgement all the same; the task's status tells what came of it.
        log.info("task_not_cancelled", job_id=job.id, status=job.status)
    except RushesError as error:
        raise _error(request, error) from error
    return {}


async def _task(context: Context, params: TaskParams, scope: Scope) -> tuple[Request, Job]:
    """The job behind a task. An error of the protocol if it does not exist, or the client has declared no tasks."""
    if context.protocol_version not in MODERN_PROTOCOL_VERSIONS:
        raise MCPError(code=METHOD_NOT_FOUND, message="Method not found", data=context.method)
    if not _takes_tasks(context):
        raise MCPError(
            code=MISSING_REQUIRED_CLIENT_CAPABILITY,
            message=f"This needs a client that declares the extension '{EXTENSION}'",
            data={"requiredCapabilities": {"extensions": {EXTENSION: {}}}},
        )
    request = _request_of(context)
    try:
        require(request.state.caller, scope)
        return request, await services_of(request).jobs.get(request.state.caller, params.task_id)
    except JobNotFound as error:
        raise MCPError(code=INVALID_PARAMS, message=f"taskId: {error.message}", data=facts_of(error)) from error
    except RushesError as error:
        raise _error(request, error) from error


def _takes_tasks(context: Context) -> bool:
    if context.protocol_version not in MODERN_PROTOCOL_VERSIONS:
        return False
    capabilities = context.session.client_capabilities
    return capabilities is not None and declares_tasks(capabilities.extensions)


def _result(context: Context, outcome: Outcome) -> CallToolResult:
    content: list[ContentBlock] = [TextContent(text=outcome.text)]
    if is_version_at_least(context.protocol_version, FIRST_WITH_LINKS):
        content += [
            ResourceLink(uri=link.url, name=link.name, mime_type=link.content_type, size=link.size_bytes)
            for link in outcome.links
        ]
    content += [
        ImageContent(data=base64.b64encode(poster.content).decode(), mime_type="image/jpeg")
        for poster in outcome.posters
    ]
    return CallToolResult(content=content, structured_content=outcome.structured)


def _refused(request: Request, error: RushesError) -> CallToolResult:
    if status_of(error) is None:
        log.error("tool_failed", error_code=error.code)
        return _broken(request)
    return _failure(message_of(error), facts_of(error))


def _broken(request: Request) -> CallToolResult:
    return _failure(OUR_SIDE.format(request.state.request_id), {"code": "internal"})


def _failure(message: str, facts: Mapping[str, Any]) -> CallToolResult:
    return CallToolResult(
        content=[TextContent(text=f"{message} [{facts['code']}]")], is_error=True, _meta={ERROR_FACTS: dict(facts)}
    )


def _error(request: Request, error: RushesError) -> MCPError:
    """The error of a method that has no result to put it in."""
    if status_of(error) is None:
        return MCPError(code=INTERNAL_ERROR, message=OUR_SIDE.format(request.state.request_id))
    return MCPError(code=REFUSED, message=message_of(error), data=facts_of(error))


def _request_of(context: Context) -> Request:
    """The HTTP request that the message came in."""
    if context.request is None:
        raise RuntimeError("a message that came in no request")
    return context.request
