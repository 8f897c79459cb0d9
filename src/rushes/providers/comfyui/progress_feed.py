"""Real progress, from a server's WebSocket: ComfyUI tells it nowhere else.

A server runs one job at a time, so one socket a server is enough: it follows the job that was last seen to run. Each
prompt is sent under a client id of its own, which is its prompt id, so any process can go on listening. What is lost
with a process or a socket is a number that the next message brings back.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import aclosing
from typing import Final
from urllib.parse import quote

import structlog

from rushes.errors import RushesError
from rushes.providers.comfyui.reply import fraction_of
from rushes.providers.http import Origin

log = structlog.get_logger(__name__)

MESSAGE_LIMIT_BYTES: Final = 4 * 1024 * 1024


class ProgressFeed:
    """How far the running job of one server is."""

    def __init__(self, origin: Origin) -> None:
        self._origin = origin
        self._prompt_id = ""
        self._fraction: float | None = None
        self._listening: asyncio.Task[None] | None = None
        self._ending: set[asyncio.Task[None]] = set()

    def fraction(self, prompt_id: str, steps: Sequence[str], nodes: int, *, headers: Mapping[str, str]) -> float | None:
        """How far the job is that runs now; None until the server has sent its progress."""
        if self._prompt_id != prompt_id:
            self.end(self._prompt_id)
            self._prompt_id, self._fraction = prompt_id, None
        if self._listening is None or self._listening.done():
            self._listening = asyncio.create_task(self._listen(prompt_id, steps, nodes, headers))
        return self._fraction

    def end(self, prompt_id: str) -> None:
        """Stop listening, if it is to this job."""
        if self._prompt_id != prompt_id or self._listening is None:
            return
        self._listening.cancel()
        self._ending.add(self._listening)
        self._listening.add_done_callback(self._ending.discard)
        self._prompt_id, self._fraction, self._listening = "", None, None

    async def close(self) -> None:
        """Stop listening."""
        self.end(self._prompt_id)
        await asyncio.gather(*self._ending, return_exceptions=True)

    async def _listen(self, prompt_id: str, steps: Sequence[str], nodes: int, headers: Mapping[str, str]) -> None:
        path = f"/ws?clientId={quote(prompt_id, safe='')}"
        try:
            async with aclosing(
                self._origin.messages(path, headers=headers, limit_bytes=MESSAGE_LIMIT_BYTES)
            ) as messages:
                async for message in messages:
                    if not isinstance(message, dict) or message.get("type") != "progress_state":
                        continue
                    state = message.get("data")
                    if isinstance(state, dict) and state.get("prompt_id") == prompt_id:
                        found = fraction_of(state, steps, nodes)
                        self._fraction = self._fraction if found is None else found
        except RushesError as error:
            # The next poll opens another one.
            log.debug("progress_not_received", reason=error.message)
