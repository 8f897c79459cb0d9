"""FastMCP's client as a caller of our /mcp."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from rushes.api.mcp.tools import TOOLS
from tests.fixtures.fronts import QUICK, Front, running_front
from tests.oracles.conftest import Start
from tests.oracles.sdk_process import SdkError

RUSHES = Path(sys.executable).with_name("rushes")


@pytest.fixture
async def serving(tmp_path: Path) -> AsyncIterator[Front]:
    async with running_front(tmp_path, test_hold_s=0.0, hold_s=0.0, poll_interval_s=0.05) as running:
        yield running


async def test_fastmcp_makes_and_shows_a_video(start: Start, serving: Front) -> None:
    sdk = await start("fastmcp")
    there = {"url": f"{serving.url}/mcp", "key": serving.key}
    listed = await sdk.call("tools", **there)
    assert [tool["name"] for tool in listed] == [tool.name for tool in TOOLS]
    started = await sdk.call("call", **there, name="generate_video", arguments=QUICK)
    waiting = {"job_id": started["structured"]["job_id"], "wait_s": 50}
    while (shown := await sdk.call("call", **there, name="get_video", arguments=waiting))["structured"][
        "status"
    ] != "completed":
        assert shown["kinds"] == ["text"]
    assert shown["kinds"] == ["text", "resource_link", "image"]
    by_stdio = await sdk.call(
        "call_by_stdio", command=str(RUSHES), url=serving.url, key=serving.key, name="get_video", arguments=waiting
    )
    assert by_stdio["kinds"] == shown["kinds"]


async def test_fastmcp_raises_its_own_error_for_a_tool_that_refuses(start: Start, serving: Front) -> None:
    sdk = await start("fastmcp")
    with pytest.raises(SdkError, match="did you mean") as caught:
        await sdk.call(
            "call", url=f"{serving.url}/mcp", key=serving.key, name="quote_video",
            arguments={**QUICK, "model": "animatic/storybord"},
        )  # fmt: skip
    assert caught.value.name == "ToolError"
