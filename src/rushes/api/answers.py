"""How a shape becomes an answer."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import BaseModel
from starlette.responses import Response

from rushes.json_text import json_bytes

if TYPE_CHECKING:
    from _typeshed import DataclassInstance


def json_response(
    shape: BaseModel | DataclassInstance, *, status: int = 200, headers: dict[str, str] | None = None
) -> Response:
    """The shape as JSON."""
    return Response(json_bytes(shape), status, headers, "application/json")
