"""Reading a JSON body: bounded, of the right type, an object with known fields of the right types."""

from __future__ import annotations

import asyncio
import io
from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeVar

import pydantic_core
from pydantic import BaseModel, ValidationError
from starlette.requests import ClientDisconnect, Request

from rushes.errors import BodyTooLarge, EncodedBody, FieldError, InvalidRequest, UnknownField, WrongContentType
from rushes.near_names import near_names
from rushes.shared_places import BODIES, Holding, SharedPlaces

LARGEST_BODY_BYTES = 64 * 1024**2

PARSED_HERE_BYTES = 256 * 1024
"""Parsing more than this takes longer than a request should wait for another's."""

MOST_VALUES = 50_000
"""A list of empty lists takes 30 times its own bytes once it is parsed, and no other thread runs meanwhile. The 64 KiB
that a stored request may have hold fewer values than this."""

MOST_ERRORS = 20
SHOWN_NAME_CHARS = 100
SHOWN_MESSAGE_CHARS = 500
BYTE_ORDER_MARK = b"\xef\xbb\xbf"

Shape = TypeVar("Shape", bound=BaseModel)


async def read_json_object(request: Request) -> dict[str, Any]:
    """The body as a JSON object.

    Raises WrongContentType, EncodedBody, BodyTooLarge (without reading it all), InvalidRequest, AccountBusy or
    Overloaded.
    """
    content = await parsed(await read_json_text(request))
    if not isinstance(content, dict):
        raise InvalidRequest("The body must be a JSON object")
    return content


async def read_json_text(
    request: Request, most_bytes: int = LARGEST_BODY_BYTES, otherwise: str = "as a URL or by POST /api/v1/uploads"
) -> bytes:
    """The body as it was sent, if it says that it is JSON; `otherwise` is how to send media that are larger.

    Raises WrongContentType, EncodedBody, BodyTooLarge (without reading it all), AccountBusy or Overloaded.
    """
    content_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if content_type != "application/json" and not content_type.endswith("+json"):
        raise WrongContentType(f"The body must be application/json, not '{content_type[:100] or 'of no stated type'}'")
    return await _read_bounded(request, most_bytes, otherwise)


async def parsed(text: bytes) -> Any:
    """The content of a JSON text. Raises InvalidRequest."""
    try:
        return await asyncio.to_thread(_parsed, text) if len(text) > PARSED_HERE_BYTES else _parsed(text)
    except ValueError as exc:
        raise InvalidRequest(f"The body is not complete, correct JSON: {exc}") from exc


def hold_body(request: Request) -> Callable[[int], None]:
    """A function to call with each number of bytes that stay in memory until the request is answered.

    It raises AccountBusy or Overloaded where that is more than the account, or all, may hold.
    """
    places: SharedPlaces | None = getattr(request.state, "places", None)
    if places is None:
        return _not_counted
    holding = Holding(places[BODIES], request.state.caller.account_id, 0)
    request.state.holdings.append(holding)
    return holding.grow


def _not_counted(_size_bytes: int) -> None:
    """A process without shared places has no one to share them with."""


def refuse_encoding(request: Request) -> None:
    """Raise EncodedBody for a body that is compressed: a small one can become an endless one."""
    encoding = request.headers.get("content-encoding", "identity").strip().lower()
    if encoding not in ("", "identity"):
        raise EncodedBody(f"The body must be sent as it is, not with Content-Encoding '{encoding[:100]}'")


def refuse_unknown(given: Iterable[str], known: Iterable[str], what: str = "field") -> None:
    """Raise UnknownField for the first name that does not exist, with those that come near."""
    names = list(known)
    for name in given:
        if name not in names:
            near = near_names(name, names)
            hint = f"; did you mean {' or '.join(repr(one) for one in near)}?" if near else ""
            short = name[:SHOWN_NAME_CHARS]
            raise UnknownField(f"There is no {what} '{short}'{hint}", field=short, suggestions=near)


def shaped(shape: type[Shape], content: Mapping[str, Any]) -> Shape:
    """The content as `shape`, types and ranges checked. Raises InvalidRequest naming the fields that are wrong.

    A number such as 1.0 or 1e0 is an integer, as JSON Schema has it (2020-12, section 6.1.1).
    """
    try:
        return shape.model_validate({name: whole_as_int(value) for name, value in content.items()})
    except ValidationError as exc:
        fields = [
            FieldError(".".join(str(part) for part in error["loc"]), error["msg"])
            for error in exc.errors(include_url=False, include_context=False, include_input=False)
        ]
        raise invalid_fields(fields) from exc


def whole_as_int(value: Any) -> Any:
    """The value, a whole number as an integer."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


def invalid_fields(fields: list[FieldError]) -> InvalidRequest:
    """One sentence for all that is wrong with a request, or for the first 20 faults of it."""
    shown = [
        FieldError(field.field[:SHOWN_NAME_CHARS], field.message[:SHOWN_MESSAGE_CHARS])
        for field in fields[:MOST_ERRORS]
    ]
    message = "; ".join(f"{field.field}: {field.message}" for field in shown)
    if len(fields) > MOST_ERRORS:
        message += f"; and {len(fields) - MOST_ERRORS} more"
    return InvalidRequest(message, shown)


def _parsed(text: bytes) -> Any:
    # NaN and Infinity are Python's own, not JSON's: no provider could be sent them. RFC 8259 (section 8.1) lets a
    # reader pass over a byte order mark, which editors and .NET put first.
    return pydantic_core.from_json(text.removeprefix(BYTE_ORDER_MARK), allow_inf_nan=False)


async def _read_bounded(request: Request, most_bytes: int, otherwise: str) -> bytes:
    request.state.body_unread = True
    refuse_encoding(request)
    too_large = BodyTooLarge(f"The body is larger than {most_bytes // 1024**2} MiB; send large media {otherwise}")
    announced = request.headers.get("content-length", "")
    if announced.isdigit() and int(announced) > most_bytes:
        raise too_large
    # It gives its buffer away as it is, where joining a list would hold all twice, and the event loop up.
    text = io.BytesIO()
    values = 0
    hold = hold_body(request)
    is_coming = True
    while is_coming:
        message = await request.receive()
        if message["type"] == "http.disconnect":
            raise ClientDisconnect
        chunk, is_coming = message.get("body", b""), message.get("more_body", False)
        hold(len(chunk))
        values += chunk.count(b",") + chunk.count(b"[") + chunk.count(b"{")
        if values > MOST_VALUES:
            raise InvalidRequest(
                f"The body has more than {MOST_VALUES} values or commas; send a large file as base64, or {otherwise}"
            )
        if text.tell() + len(chunk) > most_bytes:
            raise too_large
        text.write(chunk)
    request.state.body_unread = False
    return text.getvalue()
