"""The vendors' packages that the other oracles call are the pinned ones and can be imported."""

from __future__ import annotations

import json
import re
import tomllib

import pytest

from tests.oracles.conftest import Start
from tests.oracles.sdk_process import ROOT, SdkError

MODULES = {
    "dashscope": "dashscope",
    "fal-client": "fal_client",
    "fastmcp-slim": "fastmcp",
    "google-api-python-client": "googleapiclient.discovery",
    "google-genai": "google.genai",
    "litellm": "litellm",
    "luma-agents": "luma_agents",
    "lumaai": "lumaai",
    "minimax-mcp": "minimax_mcp.client",
    "openai": "openai",
    "openrouter": "openrouter",
    "replicate": "replicate",
    "runwayml": "runwayml",
    "standardwebhooks": "standardwebhooks",
    "volcengine-ark-runtime": "volcenginesdkarkruntime",
    "xai-sdk": "xai_sdk",
}
MODULES_APART = {"arkruntime": "arkruntime", "google-genai": "google.genai", "replicate": "replicate"}


def pinned(group: str) -> dict[str, str]:
    """The version of each package of a dependency group."""
    document = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    # Of `name[extra]==1.0` the name is what is installed.
    return dict(re.sub(r"\[.*\]", "", line).split("==") for line in document["dependency-groups"][group])


def test_every_package_of_the_groups_is_imported_below() -> None:
    assert pinned("oracles").keys() == MODULES.keys()
    assert pinned("oracles-apart").keys() == MODULES_APART.keys()


async def test_the_packages_are_installed_in_their_pinned_versions(start: Start) -> None:
    sdk = await start("imports")
    found = {name: await sdk.call("version_of", package=name, module=module) for name, module in MODULES.items()}
    assert found == pinned("oracles")


async def test_the_packages_apart_take_the_place_of_other_versions(start: Start) -> None:
    sdk = await start("imports", apart=True)
    found = {name: await sdk.call("version_of", package=name, module=module) for name, module in MODULES_APART.items()}
    assert found == pinned("oracles-apart")


async def test_the_javascript_packages_are_installed_in_their_pinned_versions(start: Start) -> None:
    pins = json.loads((ROOT / "tests" / "node" / "package.json").read_text("utf-8"))["dependencies"]
    sdk = await start("imports.mjs")
    imported_from = {"mmx-cli": "mmx-cli/sdk"}
    found = {
        name: await sdk.call("version_of", **{"name": name, "from": imported_from.get(name, name)}) for name in pins
    }
    assert found == pins


async def test_what_a_javascript_client_throws_is_raised_with_its_class_and_status(start: Start) -> None:
    sdk = await start("imports.mjs")
    with pytest.raises(SdkError, match="on purpose") as caught:
        await sdk.call("raise")
    assert (caught.value.name, caught.value.kinds, caught.value.status) == ("TypeError", ["TypeError", "Error"], 418)
