"""The tools as agents are shown them."""

from __future__ import annotations

import json

import pytest

from rushes.api.mcp.tools import BY_NAME, INSTRUCTIONS, TOOLS, Tool
from rushes.domain.options import OPTIONS

CHARACTERS_A_TOKEN = 3
"""Fewer than any tokenizer in use makes of English and JSON, about 3.5 to 4."""


def shown(tool: Tool) -> dict[str, object]:
    return {
        "name": tool.name,
        "description": tool.description,
        "inputSchema": tool.arguments,
        "outputSchema": tool.result,
        "annotations": tool.hints(),
    }


def test_the_list_of_tools_takes_fewer_than_3000_tokens() -> None:
    text = json.dumps([shown(tool) for tool in TOOLS], separators=(",", ":"))
    assert (len(text) + len(INSTRUCTIONS)) / CHARACTERS_A_TOKEN < 3000


@pytest.mark.parametrize("name", ["quote_video", "generate_video"])
def test_every_portable_field_is_an_argument(name: str) -> None:
    offered = BY_NAME[name].arguments["properties"]
    assert {option.name for option in OPTIONS} <= offered.keys()
    assert all("enum" in one or "type" in one for one in offered.values())


def test_a_quote_takes_what_a_generation_takes_but_for_what_concerns_buying() -> None:
    quoted, generated = (BY_NAME[name].arguments["properties"] for name in ("quote_video", "generate_video"))
    assert generated.keys() - quoted.keys() == {"idempotency_key", "max_cost_usd"}


@pytest.mark.parametrize("tool", TOOLS, ids=lambda tool: tool.name)
def test_a_tool_says_what_it_takes_and_gives_and_no_more_is_taken(tool: Tool) -> None:
    assert tool.arguments["type"] == tool.result["type"] == "object"
    assert tool.arguments["additionalProperties"] is False
    assert set(tool.arguments.get("required", ())) <= tool.arguments["properties"].keys()
    assert set(tool.result["required"]) <= tool.result["properties"].keys()


def test_the_hints_tell_what_reads_from_what_spends_and_what_ends_work() -> None:
    assert {tool.name for tool in TOOLS if tool.reads_only} == {
        "list_models",
        "quote_video",
        "get_video",
        "list_videos",
    }
    assert {tool.name for tool in TOOLS if tool.destroys} == {"cancel_video"}
    assert {tool.name for tool in TOOLS if tool.reaches_out} == {"generate_video", "upload_media"}
    assert not BY_NAME["generate_video"].repeatable
