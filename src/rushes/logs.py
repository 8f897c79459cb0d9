"""How log lines are written: one event a line, on standard error, with the ids to follow a request or a job by."""

from __future__ import annotations

import json
import logging
import re
import sys
import time
from datetime import UTC, datetime
from functools import lru_cache

import orjson
import structlog
from structlog.typing import EventDict, WrappedLogger

_NUMBERS = (int, float)
_UNMISTAKABLE = re.compile(r"[\w./:@+-]+", re.ASCII)


def configure(level: str, form: str) -> None:
    """Set up logging for the whole process; `form` is `text` for people or `json` for machines."""
    threshold = logging.getLevelNamesMapping()[level.upper()]
    structlog.configure(
        processors=[
            # The ids of the request or the job that a task is at work on.
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            timestamped,
            *_rendering(form),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(threshold),
        logger_factory=structlog.WriteLoggerFactory(file=sys.stderr),
        cache_logger_on_first_use=True,
    )
    logging.basicConfig(level=max(threshold, logging.WARNING), handlers=[_Forwarding()], force=True)


class _Forwarding(logging.Handler):
    """What libraries say by the standard's logging, as lines of ours."""

    def emit(self, record: logging.LogRecord) -> None:
        structlog.get_logger().log(
            record.levelno, "library", name=record.name, detail=record.getMessage(), exc_info=record.exc_info
        )


def _rendering(form: str) -> list[structlog.typing.Processor]:
    if form == "json":
        return [structlog.processors.format_exc_info, structlog.processors.JSONRenderer(as_json)]
    if sys.stderr.isatty():
        return [structlog.dev.ConsoleRenderer(colors=True, exception_formatter=structlog.dev.plain_traceback)]
    return [structlog.processors.format_exc_info, plain_line]


def timestamped(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """The moment as `2026-04-07T12:00:00.123456Z`, for less than taking the date apart each time."""
    seconds, rest_us = divmod(time.time_ns() // 1000, 1_000_000)
    event["timestamp"] = f"{_second(seconds)}.{rest_us:06d}Z"
    return event


@lru_cache(2)
def _second(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S")


def as_json(event: EventDict, **_options: object) -> str:
    """The event as JSON, whatever it holds."""
    try:
        return orjson.dumps(event, default=repr).decode()
    except TypeError:
        # It knows no number beyond 64 bits and no half of a surrogate pair.
        return json.dumps(event, default=repr)


def plain_line(_logger: WrappedLogger, _method: str, event: EventDict) -> str:
    """`TIME [LEVEL] EVENT NAME=VALUE ...`, then a traceback if there is one.

    What a terminal's renderer adds in colours and columns would cost a request more than its answer.
    """
    exception = event.pop("exception", None)
    line = f"{event.pop('timestamp')} [{event.pop('level')}] {event.pop('event')}"
    for name, value in event.items():
        line += f" {name}={value if type(value) in _NUMBERS else _shown(value)}"
    return line if exception is None else f"{line}\n{exception}"


def _shown(value: object) -> str:
    """As it is if that can only be read one way, else quoted and escaped: no value can begin a line of its own."""
    text = str(value)
    # Ids are told faster than by a pattern.
    if text.isascii() and text.isidentifier():
        return text
    return text if _UNMISTAKABLE.fullmatch(text) else repr(text)
