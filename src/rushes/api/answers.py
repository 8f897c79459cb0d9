"""How a shape becomes an answer."""

from __future__ import annotations

from typing import TYPE_CHECKING

import orjson
from pydantic import BaseModel
from pydantic_core import to_json
from starlette.responses import Response

if TYPE_CHECKING:
    from _typeshed import DataclassInstance


def json_response(
    shape: BaseModel | DataclassInstance, *, status: int = 200, headers: dict[str, str] | None = None
) -> Response:
    """The shape as JSON."""
    return Response(json_of(shape), status, headers, "application/json")


def json_of(shape: BaseModel | DataclassInstance) -> bytes:
    """The text of a shape."""
    if isinstance(shape, BaseModel):
        return to_json(shape)
    try:
        return orjson.dumps(shape)
    except TypeError:
        # It knows no whole number beyond 64 bits, and a provider's own options may hold one.
        return to_json(shape)
