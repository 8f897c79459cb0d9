"""MCP over standard input and output, for desktop clients: each message is passed on to the /mcp of a service.

Nothing is interpreted on the way but what the two transports say differently: over HTTP the protocol's revision and the
method stand in headers too (MCP 2026-07-28, Streamable HTTP, Standard MCP Request Headers).
"""

from __future__ import annotations

import asyncio
import base64
import json
import re
import threading
from collections.abc import Mapping
from typing import Any, BinaryIO, Final

from rushes.client.errors import ClientError
from rushes.client.http import Http

PATH: Final = "/mcp"
LONGEST_LINE: Final = 4 * 1024**2
MOST_AT_ONCE: Final = 32
"""Calls that are under way; more wait in the pipe."""
LAST_WORDS_S: Final = 2

PARSE_ERROR: Final = -32700
FAILED: Final = -32000

VERSION_KEY: Final = "io.modelcontextprotocol/protocolVersion"
NAMED_BY: Final = {
    "tools/call": "name",
    "tasks/get": "taskId",
    "tasks/update": "taskId",
    "tasks/cancel": "taskId",
}
"""By the method, the parameter that the header Mcp-Name repeats."""
_PLAIN: Final = re.compile(r"[!-~](?:[ -~]*[!-~])?")

Message = dict[str, Any]


class Bridge:
    """Passes the messages of one client on to one service until the client closes its end."""

    def __init__(self, http: Http, source: BinaryIO, sink: BinaryIO) -> None:
        self._http = http
        self._source = source
        self._sink = sink
        self._writing = asyncio.Lock()
        self._places = asyncio.Semaphore(MOST_AT_ONCE)
        self._calls: dict[str, asyncio.Task[None]] = {}
        self._version: str | None = None
        """What `initialize` has agreed on, for clients of the revisions that begin with it."""

    async def run(self) -> None:
        """Read to the end of the source; calls that are still under way then have two seconds to end."""
        lines: asyncio.Queue[bytes] = asyncio.Queue(1)
        # Not a thread of the loop's: that one would keep the process from ending while it reads.
        threading.Thread(target=self._read, args=(lines, asyncio.get_running_loop()), daemon=True).start()
        try:
            while line := await lines.get():
                await self._take(line)
            if self._calls:
                await asyncio.wait(self._calls.values(), timeout=LAST_WORDS_S)
        finally:
            under_way = list(self._calls.values())
            for call in under_way:
                call.cancel()
            await asyncio.gather(*under_way, return_exceptions=True)

    def _read(self, lines: asyncio.Queue[bytes], loop: asyncio.AbstractEventLoop) -> None:
        while True:
            line = self._source.readline(LONGEST_LINE)
            # The rest of a line that is too long would be read as messages of its own.
            is_cut = len(line) == LONGEST_LINE and not line.endswith(b"\n")
            while is_cut and (rest := self._source.readline(LONGEST_LINE)):
                is_cut = not rest.endswith(b"\n")
                line = b"[]" if rest else line
            try:
                asyncio.run_coroutine_threadsafe(lines.put(line), loop).result()
            except RuntimeError:
                return
            if not line:
                return

    async def _take(self, line: bytes) -> None:
        if not line.strip():
            return
        try:
            message = json.loads(line)
        except (ValueError, RecursionError):
            await self._write(_error(None, PARSE_ERROR, "The line is not a JSON-RPC message"))
            return
        if not isinstance(message, dict):
            await self._write(_error(None, PARSE_ERROR, f"Send one message a line, of at most {LONGEST_LINE} bytes"))
            return
        if message.get("method") == "notifications/cancelled":
            self._give_up(message)
        # Of notifications and answers the service, which keeps no sessions, has no use.
        if "method" not in message or "id" not in message:
            return
        await self._places.acquire()
        name = json.dumps(message["id"])
        call = asyncio.create_task(self._call(message, line))
        self._calls[name] = call
        call.add_done_callback(lambda _: self._ended(name, call))

    def _ended(self, name: str, call: asyncio.Task[None]) -> None:
        self._places.release()
        if self._calls.get(name) is call:
            del self._calls[name]

    def _give_up(self, message: Message) -> None:
        params = message.get("params")
        call = self._calls.get(json.dumps(params.get("requestId"))) if isinstance(params, dict) else None
        if call is not None:
            call.cancel()

    async def _call(self, message: Message, line: bytes) -> None:
        try:
            status, text = await self._http.exchange(PATH, line, self._headers(message))
            answer = _answer(message["id"], status, text, self._http.base_url)
        except ClientError as error:
            answer = _error(message["id"], FAILED, str(error))
        if message["method"] == "initialize" and isinstance(result := answer.get("result"), dict):
            self._version = result.get("protocolVersion")
        await self._write(answer)

    def _headers(self, message: Message) -> dict[str, str]:
        headers = {"Content-Type": "application/json", "Accept": "application/json, text/event-stream"}
        params = message.get("params")
        params = params if isinstance(params, dict) else {}
        meta = params.get("_meta")
        version = meta.get(VERSION_KEY) if isinstance(meta, dict) else None
        if not isinstance(version, str):
            earlier = None if message["method"] == "initialize" else self._version
            return headers if earlier is None else {**headers, "MCP-Protocol-Version": earlier}
        headers |= {"MCP-Protocol-Version": _in_a_header(version), "Mcp-Method": _in_a_header(str(message["method"]))}
        name = params.get(NAMED_BY.get(str(message["method"]), ""))
        return headers if not isinstance(name, str) else {**headers, "Mcp-Name": _in_a_header(name)}

    async def _write(self, message: Mapping[str, Any]) -> None:
        # ASCII alone, so that no line break of another alphabet can stand in it.
        line = json.dumps(message, separators=(",", ":")).encode() + b"\n"
        async with self._writing:
            await asyncio.to_thread(self._put, line)

    def _put(self, line: bytes) -> None:
        self._sink.write(line)
        self._sink.flush()


def _answer(message_id: object, status: int, text: bytes, base_url: str) -> Message:
    try:
        content = json.loads(text)
    except ValueError:
        content = None
    if not isinstance(content, dict) or content.get("jsonrpc") != "2.0":
        return _error(message_id, FAILED, f"{base_url} answered {status}, and not as a rushes service with MCP does")
    return content if content.get("id") is not None else {**content, "id": message_id}


def _error(message_id: object, code: int, message: str) -> Message:
    return {"jsonrpc": "2.0", "id": message_id, "error": {"code": code, "message": message}}


def _in_a_header(value: str) -> str:
    """The value, or its base64 in the form that the specification gives it where a header could not hold it."""
    if _PLAIN.fullmatch(value) and not (value.startswith("=?base64?") and value.endswith("?=")):
        return value
    return f"=?base64?{base64.b64encode(value.encode('utf-8', 'surrogatepass')).decode()}?="
