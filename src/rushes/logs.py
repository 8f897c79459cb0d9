"""How log lines are written: one event a line, on standard error, with the ids to follow a request or a job by."""

from __future__ import annotations

import logging
import re
import sys
import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, TextIO

import structlog
from structlog.typing import EventDict, WrappedLogger

_NUMBERS = (int, float)
_UNMISTAKABLE = re.compile(r"[\w./:@+-]+", re.ASCII)


def configure(level: str, form: str) -> None:
    """Set up logging for the whole process; `form` is `text` for people or `json` for machines."""
    threshold = logging.getLevelNamesMapping()[level.upper()]
    lines = Lines(sys.stderr)
    structlog.configure(
        # Whatever is added here has to be added to the short way in `_logger_class` too.
        processors=[
            # The ids of the request or the job that a task is at work on.
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
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

    # Every request has such a line, and the way through the processors costs as much as reading its job.
    def info(self: Any, event: str, *values: object, **named: object) -> None:
        if values or self._context or "exc_info" in named:
            usual.info(self, event, *values, **named)
        else:
            structlog.contextvars.merge_contextvars(self._logger, "info", named)
            self._logger.msg(_line(_now(), "info", event, named))

    return type("PlainLogger", (usual,), {"info": info})


class Lines:
    """What writes lines to a stream, each at once and whole.

    A log that cannot be written (its disk is full, or who read it has gone) fails nothing of what it tells of.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        # Python may collect garbage amid a line, and what is freed then may have something to say, in the same thread.
        self._lock = threading.RLock()

    def msg(self, line: str) -> None:
        """Write the line."""
        with self._lock, suppress(OSError, ValueError):
            self._stream.write(line + "\n")
            self._stream.flush()

    debug = info = warning = warn = error = critical = fatal = exception = log = msg


class _Forwarding(logging.Handler):
    """What libraries say by the standard's logging, as lines of ours."""

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
    """The moment as `2026-04-07T12:00:00.123456Z`, for less than taking the date apart each time."""
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

    What a terminal's renderer adds in colours and columns would cost a request more than its answer.
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
    """As it is if that can only be read one way, else quoted and escaped: no value can begin a line of its own."""
    text = str(value)
    # Ids are told faster than by a pattern.
    if text.isascii() and text.isidentifier():
        return text
    return text if _UNMISTAKABLE.fullmatch(text) else repr(text)
