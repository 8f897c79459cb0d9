"""Oracles: our adapters and fakes against the vendors' own clients, types and documents.

Each vendor has a script in `sdk/` (plain functions, run in .venv-oracles, where the vendor's packages are) and a test
module that calls it: `sdk = await start("runway")`, then `await sdk.call("create", url=stub.base_url, model="gen4.5")`.
A client in JavaScript has its script in `tests/node/sdk`: `await start("xai.mjs")`; each function takes one object.
There are three kinds of comparison. The client and our adapter send the same intent to one `stub`, and the requests
must be equal. The vendor's types validate our body. The client calls our fake upstream and must accept its replies.
Set `max_retries=0` on a client that has it: several repeat a call that fails, also a submit.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable
from pathlib import Path
from typing import Protocol

import pytest

from tests.oracles.sdk_process import Sdk, missing, start_sdk
from tests.oracles.stub import Stub


class Start(Protocol):
    """Starts a script of `sdk/` for one test; see `start_sdk`."""

    def __call__(self, name: str, *, apart: bool = False, **settings: str) -> Awaitable[Sdk]: ...


@pytest.fixture
async def start(tmp_path: Path) -> AsyncIterator[Start]:
    """Scripts of `sdk/` that end with the test."""
    started: list[Sdk] = []

    async def start(name: str, *, apart: bool = False, **settings: str) -> Sdk:
        what_is_missing = missing(name)
        if what_is_missing is not None:
            pytest.skip(what_is_missing)
        sdk = await start_sdk(name, tmp_path, apart=apart, **settings)
        started.append(sdk)
        return sdk

    yield start
    for sdk in started:
        await sdk.close()


@pytest.fixture
async def stub() -> AsyncIterator[Stub]:
    """A server that records what it was asked and answers with what the test gives it."""
    async with Stub() as stub:
        yield stub
