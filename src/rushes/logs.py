"""How log lines are written: one event a line, on standard error, with the ids of the request or the job."""

from __future__ import annotations

import logging
import re
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, TextIO

import structlog
from structlog.typing import EventDict, WrappedLogger

OUTAGES = frozenset({"database_unavailable", "outcome_unknown", "storage_unavailable", "overloaded"})
"""Error codes of what many loops and jobs meet at the same time, again and again."""
OUTAGE_AGAIN_S = 60.0

_NUMBERS = (int, float)
_UNMISTAKABLE = re.compile(r"[\w./:@+-]+", re.ASCII)


def configure(level: str, form: str) -> None:
    """Set up logging for the whole process; `form` is `text` for people or `json` for machines."""
    threshold = logging.getLevelNamesMapping()[level.upper()]
    lines = Lines(sys.stderr)
    structlog.configure(
        # A processor that is added here must be added to the short way in `_logger_class` too.
        processors=[
            # The ids of the request or the job that the task works on.
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            OutageWarnings(),
            timestamped,
            *_rendering(form),
        ],
        wrapper_class=_logger_class(threshold, form),
        logger_factory=lambda *_args: lines,
        cache_logger_on_first_use=True,
    )
    logging.basicConfig(level=max(threshold, logging.WARNING), handlers=[_Forwarding()], force=True)


def _logger_class(threshold: int, form: str) -> type[structlog.typing.BindableLogger]:
    usual = structlog.make_filtering_bound_logger(threshold)
    if form == "json" or sys.stderr.isatty() or threshold > logging.INFO:
        return usual

    # Every request writes such a line, and the processors cost as much as reading a job.
    def info(self: Any, event: str, *values: object, **named: object) -> None:
        if values or self._context or "exc_info" in named:
            usual.info(self, event, *values, **named)
        else:
            structlog.contextvars.merge_contextvars(self._logger, "info", named)
            self._logger.msg(_line(_now(), "info", event, named))

    return type("PlainLogger", (usual,), {"info": info})


class Lines:
    """Writes each line to a stream at once and whole.

    A log that cannot be written (a full disk, a reader that has gone) does not fail the work that it reports.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        # Garbage collection in the middle of a line may run a finalizer that logs, in the same thread.
        self._lock = threading.RLock()

    def msg(self, line: str) -> None:
        """Write the line."""
        with self._lock, suppress(OSError, ValueError):
            self._stream.write(line + "\n")
            self._stream.flush()

    debug = info = warning = warn = error = critical = fatal = exception = log = msg


class OutageWarnings:
    """Lets one warning a minute through for each kind of outage, whichever loop or job gives it.

    `not_logged` counts those that were left out since the last one.
    """

    def __init__(self, clock_s: Callable[[], float] = time.monotonic) -> None:
        self._clock_s = clock_s
        self._again_s: dict[str, float] = {}
        self._left_out: Counter[str] = Counter()

    def __call__(self, _logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
        """The event, or DropEvent."""
        code = event.get("error_code")
        if code not in OUTAGES or event["level"] != "warning":
            return event
        now_s = self._clock_s()
        if now_s < self._again_s.get(code, now_s):
            self._left_out[code] += 1
            raise structlog.DropEvent
        self._again_s[code] = now_s + OUTAGE_AGAIN_S
        left_out = self._left_out.pop(code, 0)
        if left_out:
            event["not_logged"] = left_out
        return event


class _Forwarding(logging.Handler):
    """Writes the log records of libraries as lines of this log."""

    def emit(self, record: logging.LogRecord) -> None:
        structlog.get_logger().log(
            record.levelno, "library", name=record.name, detail=record.getMessage(), exc_info=record.exc_info
        )


def _rendering(form: str) -> list[structlog.typing.Processor]:
    if form == "json":
        return [structlog.processors.format_exc_info, structlog.processors.JSONRenderer()]
    if sys.stderr.isatty():
        return [structlog.dev.ConsoleRenderer(colors=True, exception_formatter=structlog.dev.plain_traceback)]
    return [structlog.processors.format_exc_info, plain_line]


def timestamped(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """Add the time as `2026-04-07T12:00:00.123456Z`, without formatting the date again for each line."""
    event["timestamp"] = _now()
    return event


def _now() -> str:
    seconds, rest_us = divmod(time.time_ns() // 1000, 1_000_000)
    return f"{_second(seconds)}.{rest_us:06d}Z"


@lru_cache(2)
def _second(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S")


def plain_line(_logger: WrappedLogger, _method: str, event: EventDict) -> str:
    """`TIME [LEVEL] EVENT NAME=VALUE ...`, then a traceback if there is one.

    The renderer for terminals, with colours and columns, costs more than the answer to a request.
    """
    exception = event.pop("exception", None)
    line = _line(event.pop("timestamp"), event.pop("level"), event.pop("event"), event)
    return line if exception is None else f"{line}\n{exception}"


def _line(timestamp: str, level: str, event: str, values: Mapping[str, object]) -> str:
    line = f"{timestamp} [{level}] {event}"
    for name, value in values.items():
        line += f" {name}={value if type(value) in _NUMBERS else _shown(value)}"
    return line


def _shown(value: object) -> str:
    """The value as it is if that is unambiguous, else quoted and escaped: no value can start a line of its own."""
    text = str(value)
    # This is faster than the pattern, and most values are ids.
    if text.isascii() and text.isidentifier():
        return text
    return text if _UNMISTAKABLE.fullmatch(text) else repr(text)
