"""Reading a request's body, form or JSON: texts bounded, files streamed to storage, whatever their number."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing

from starlette.requests import Request

from rushes.accounts.keys import Caller
from rushes.accounts.revocations import while_valid
from rushes.api.http.multipart import Part, parts_of
from rushes.api.openai.fields import FIELDS, FILE_FIELDS, Given, read_form
from rushes.api.services import services_of
from rushes.errors import BodyTooLarge, FieldError, WrongContentType
from rushes.intake.body import (
    LARGEST_BODY_BYTES,
    PARSED_HERE_BYTES,
    hold_body,
    invalid_fields,
    read_json_object,
    refuse_encoding,
    refuse_unknown,
)
from rushes.media.input_store import StoredInput
from rushes.media.inputs import MIB, MOST_VIDEO_BYTES
from rushes.shared_places import UPLOADS

FORM = "multipart/form-data"

MOST_FILES = 16


async def read_fields(request: Request, caller: Caller) -> Given:
    """The body's fields; a file is stored as an input of the caller's account.

    Raises WrongContentType, BodyTooLarge, InvalidRequest, UnknownField, UnusableInput or InputQuotaReached.
    """
    refuse_encoding(request)
    content_type = request.headers.get("content-type", "")
    media_type = content_type.partition(";")[0].strip().lower()
    if media_type == "application/json" or media_type.endswith("+json"):
        return await read_json_object(request)
    if media_type != FORM:
        raise WrongContentType(f"The body must be {FORM} or application/json, not '{media_type[:100] or 'untyped'}'")
    request.state.body_unread = True
    announced = request.headers.get("content-length", "")
    if announced.isdecimal() and int(announced) > LARGEST_BODY_BYTES + MOST_VIDEO_BYTES:
        raise _too_large()
    texts: list[tuple[str, str]] = []
    files: list[tuple[str, StoredInput]] = []
    text_bytes = 0
    hold = hold_body(request)
    async with aclosing(_body(request)) as body, aclosing(parts_of(content_type, body)) as parts:
        async for part in parts:
            name = part.name.partition("[")[0]
            refuse_unknown([name], FIELDS)
            if part.is_file or (part.has_media_type and name in FILE_FIELDS):
                files.append((part.name, await _store(request, caller, part, len(files))))
                continue
            content = bytearray()
            async for chunk in part.chunks:
                hold(len(chunk))
                content += chunk
                text_bytes += len(chunk)
                if text_bytes > LARGEST_BODY_BYTES:
                    raise _too_large()
            texts.append((part.name, _text(part.name, content)))
    given = await asyncio.to_thread(read_form, texts) if text_bytes > PARSED_HERE_BYTES else read_form(texts)
    for name, file in files:
        _add_file(given, name, file)
    return given


async def _store(request: Request, caller: Caller, part: Part, already: int) -> StoredInput:
    name = part.name.removesuffix("[]")
    if name not in FILE_FIELDS:
        raise invalid_fields([FieldError(name[:100], "is not a field that takes a file")])
    if already >= MOST_FILES:
        raise invalid_fields([FieldError(name, f"is one file too many; a request may have {MOST_FILES}")])
    services = services_of(request)
    with services.places[UPLOADS].take(caller.account_id), services.revocations.watch(caller.key_id) as key:
        return await services.inputs.receive(caller.tenant, while_valid(part.chunks, key), name)


def _add_file(given: Given, full_name: str, file: StoredInput) -> None:
    name = full_name.removesuffix("[]")
    # A name that comes once more, for several files, is as good as one in brackets; what takes one file says so.
    before = given.get(name)
    if before is None:
        given[name] = [file] if full_name != name else file
    elif isinstance(before, list):
        before.append(file)
    else:
        given[name] = [before, file]


def _text(name: str, content: bytearray) -> str:
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError as exc:
        raise invalid_fields([FieldError(name[:100], "is not UTF-8 text")]) from exc


async def _body(request: Request) -> AsyncGenerator[bytes, None]:
    async for chunk in request.stream():
        if chunk:
            yield chunk
    request.state.body_unread = False


def _too_large() -> BodyTooLarge:
    return BodyTooLarge(
        f"The body is larger than {LARGEST_BODY_BYTES // MIB} MiB without its files, or a file is larger than "
        f"{MOST_VIDEO_BYTES // MIB} MiB; send large media as a URL or by POST /api/v1/uploads"
    )
