"""How a shape becomes an answer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel
from starlette.responses import Response

from rushes.jobs.idempotency import Replay
from rushes.json_text import json_bytes

if TYPE_CHECKING:
    from _typeshed import DataclassInstance


def json_response(
    shape: BaseModel | DataclassInstance, *, status: int = 200, headers: dict[str, str] | None = None
) -> Response:
    """The shape as JSON."""
    return Response(json_bytes(shape), status, headers, "application/json")


def json_of(content: Mapping[str, Any], *, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """The content as JSON."""
    return Response(json_bytes(content), status, headers, "application/json")


def replayed(replay: Replay, *, status: int = 200) -> Response:
    """The answer that the same request got before."""
    return Response(replay.answer, status, {"Idempotent-Replayed": "true"}, "application/json")
