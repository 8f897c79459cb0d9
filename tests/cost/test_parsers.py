"""What reads a stranger's bytes takes at most about twice as long for twice of them, and holds few times their size."""

from __future__ import annotations

import contextlib
import json
import time
import tracemalloc
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest
from starlette.requests import Request

from rushes.api.cursors import seq_of
from rushes.api.http.multipart import parts_of
from rushes.api.http.prefer import preference_of
from rushes.api.http.ranges import parse_range
from rushes.errors import RushesError
from rushes.intake.body import LARGEST_BODY_BYTES, read_json_object, refuse_unknown
from rushes.jobs.idempotency import check_key, hash_body
from rushes.media.encoded import decode, decode_data_url
from rushes.media.sniff import content_type_of, kind_of
from rushes.near_names import near_names
from rushes.net.client import HttpClient, Sink
from rushes.net.redact import scrub, scrub_path
from rushes.net.retry_after import retry_after_s
from rushes.net.urls import joined
from rushes.origin import valid_traceparent
from rushes.providers.animatic.typesetting import font, is_mostly_lost, showable, wrap
from tests.fixtures.asking import request_of

Parser = Callable[[int], Awaitable[object]]

SIZE = 100_000
WORST_RATIO = 2.6
TOO_QUICK_S = 0.004
"""Below this a clock says nothing of how the time grows; what grows with the square is far above it."""
TRIES = 6
MIB = 1024**2
JSON = {"Content-Type": "application/json"}
NAMES = ("prompt", "model", "duration", "aspect_ratio", "resolution")
CLIENT = HttpClient()


async def every(chunks: AsyncIterator[object]) -> None:
    async for _ in chunks:
        pass


def header(name: str, value: str) -> Request:
    return request_of(headers={name: value})


async def form(body: bytes) -> None:
    async def pieces() -> AsyncIterator[bytes]:
        for start in range(0, len(body), 65536):
            yield body[start : start + 65536]

    async for part in parts_of("multipart/form-data; boundary=line", pieces()):
        await every(part.chunks)


def plain(parse: Callable[[str], object], unit: str) -> Parser:
    async def run(size: int) -> object:
        return parse((unit * (size // len(unit) + 1))[:size])

    return run


def body(unit: bytes, begin: bytes = b'{"a":[', end: bytes = b"0]}") -> Parser:
    async def run(size: int) -> object:
        return await read_json_object(request_of([begin + unit * (size // len(unit)) + end], headers=JSON))

    return run


PARSERS: dict[str, Parser] = {
    "json numbers": body(b"0,"),
    "json lists": body(b"[],"),
    "json depth": body(b"[", end=b""),
    "json members": body(b'"a":1,', b"{", b'"b":1}'),
    "json escapes": body(b"\\u0041", b'{"a":"', b'"}'),
    "json digits": body(b"9", b'{"a":', b"}"),
    "json spaces": body(b" \n", b"{", b"}"),
    "form parts": lambda size: form(b'--line\r\nContent-Disposition: form-data; name="a"\r\n\r\nx\r\n' * (size // 60)),
    "form almost boundaries": lambda size: form(
        b'--line\r\nContent-Disposition: form-data; name="a"\r\n\r\n' + b"\r\n--lin" * (size // 7)
    ),
    "form header": lambda size: form(b'--line\r\nContent-Disposition: form-data; name="' + b'\\"' * size),
    "base64": lambda size: every(decode("QUJD" * size, "image")),
    "base64 padding": lambda size: every(decode("=" * size, "image")),
    "base64 spaces": lambda size: every(decode(" " * 4 * size, "image")),
    "data url": lambda size: every(decode_data_url("data:image/png;base64," + "%41" * size, "image")),
    "data url head": lambda size: every(decode_data_url("data:" + ";a" * size, "image")),
    "percent data url": lambda size: every(decode_data_url("data:," + "%2" * size, "image")),
    "idempotency key": plain(check_key, "é "),
    "idempotency body": plain(lambda text: hash_body({"a": list(text)}), "ab"),
    "prefer": plain(lambda text: preference_of(header("Prefer", text)), 'a="\\,'),
    "prefer commas": plain(lambda text: preference_of(header("Prefer", text)), ",;="),
    "range": plain(lambda text: parse_range(f"bytes={text}", 1000), "0-,"),
    "cursor": plain(seq_of, "djE6"),
    "traceparent": plain(valid_traceparent, "00-"),
    "retry after": plain(lambda text: retry_after_s(text, now_ms=0, longest_s=9), "Mon, 1 "),
    "retry after digits": plain(lambda text: retry_after_s(text, now_ms=0, longest_s=9), "9"),
    "webhook url": plain(lambda text: CLIENT.check_url(f"https://{text}", Sink.WEBHOOKS), "a.-"),
    "webhook url path": plain(lambda text: CLIENT.check_url(f"https://a.example/{text}", Sink.WEBHOOKS), "%2F../@"),
    "redirect": plain(lambda text: joined(CLIENT.check_url("https://a.example", Sink.INPUTS), text), "../"),
    "unknown names": plain(lambda text: refuse_unknown(text.split(), NAMES), "promp "),
    "near names": plain(lambda text: near_names(text, NAMES), "prompt_"),
    "keys in a text": plain(scrub, "rushes_live_ "),
    "logged path": plain(scrub_path, "eyJ-eyJ-."),
    "kind of file": plain(lambda text: (content_type_of(text.encode()), kind_of(text.encode())), "ftypisom"),
    "prompt shown": plain(lambda text: (showable(text), is_mostly_lost(text)), "e\u0301\u200f\U0001f600 "),
    "prompt wrapped": plain(lambda text: wrap(showable(text), font(24), 600, 6), "W"),
}


async def seconds(parser: Parser, size: int) -> float:
    began = time.process_time()
    # A refusal is an answer too.
    with contextlib.suppress(RushesError, ValueError):
        await parser(size)
    return time.process_time() - began


@pytest.mark.parametrize("name", PARSERS)
async def test_twice_the_input_takes_at_most_about_twice_the_time(name: str) -> None:
    parser = PARSERS[name]
    await seconds(parser, 10)
    ratios: list[float] = []
    # Others use this machine too: one good try shows how the time grows.
    while len(ratios) < TRIES and (not ratios or min(ratios) > WORST_RATIO):
        short = min([await seconds(parser, SIZE) for _ in range(3)])
        long = min([await seconds(parser, 2 * SIZE) for _ in range(3)])
        ratios.append(1.0 if long < TOO_QUICK_S else long / max(short, 1e-9))
    assert min(ratios) <= WORST_RATIO


async def test_a_parser_whose_time_grows_with_the_square_would_be_noticed() -> None:
    async def quadratic(size: int) -> object:
        return sum(("a" * (size // 20)).count("a" * number + "b") for number in range(size // 20))

    assert await seconds(quadratic, 2 * SIZE) / await seconds(quadratic, SIZE) > WORST_RATIO


SHAPES = {
    "one text": b'{"a":"' + b"A" * 8 * MIB + b'"}',
    "numbers": b'{"a":[' + b"0," * 4 * MIB + b"0]}",
    "lists": b'{"a":[' + b"[]," * 3 * MIB + b"0]}",
    "objects": b'{"a":[' + b"{}," * 3 * MIB + b"0]}",
    "members": b"{" + b",".join(b'"%07d":0' % number for number in range(MIB)) + b"}",
    "nested": b'{"a":' + b"[" * 8 * MIB,
}
MOST_TIMES = 4


@pytest.mark.parametrize("name", SHAPES)
async def test_a_body_takes_a_few_times_its_size_in_memory_whatever_its_shape(name: str) -> None:
    text = SHAPES[name]
    assert len(text) < LARGEST_BODY_BYTES
    request = request_of([text[start : start + 65536] for start in range(0, len(text), 65536)], headers=JSON)
    tracemalloc.start()
    try:
        content: object = None
        with contextlib.suppress(RushesError):
            content = await read_json_object(request)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < MOST_TIMES * len(text)
    assert content is None or len(json.dumps(content)) >= len(text)
