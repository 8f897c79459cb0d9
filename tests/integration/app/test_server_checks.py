"""Workflows are read and held against their server at the start; a server that is away is asked until it answers."""

from __future__ import annotations

import asyncio
import tomllib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from rushes.app.own_servers import models_at
from rushes.app.server_checks import ServerChecks
from rushes.catalogue.load import load
from rushes.clock import SystemClock
from rushes.errors import StartupError
from rushes.net.client import HttpClient
from rushes.providers.base import Provider
from rushes.providers.comfyui import Comfyui, Server, ServerOptions
from rushes.providers.comfyui.binding import Bind, File, Number
from rushes.providers.comfyui.entry import OWN_FIELDS
from rushes.providers.credentials import Keyring
from rushes.providers.own_server import OwnServer
from tests.fixtures.upstreams.comfyui import Comfyui as Fake
from tests.integration.app.test_discovery import Waits

ROOT = Path(__file__).parents[3]
EXAMPLES = ROOT / "examples" / "comfyui"
PAGE = ROOT / "docs" / "providers" / "comfyui.md"


def listed(name: str) -> list[dict[str, Any]]:
    """The models of one of the examples' configurations."""
    found: list[dict[str, Any]] = tomllib.loads((EXAMPLES / name).read_text("utf-8"))["providers"]["comfy"]["models"]
    return found


LISTED = [*listed("rushes.toml"), *listed("wan2.2.toml")]
AWAY = "http://127.0.0.1:1"


@pytest.fixture
async def client() -> AsyncIterator[HttpClient]:
    client = HttpClient()
    yield client
    await client.close()


def checks(client: HttpClient, url: str, clock: Waits | None = None, *, needs_key: bool = False) -> ServerChecks:
    server = Server("comfy", url, EXAMPLES, listed=LISTED, needs_key=needs_key)
    servers: list[OwnServer] = [server]
    providers: dict[tuple[str, str | None], Provider] = {("comfy", None): Comfyui(client, server)}
    catalogue = load().extended(server.entry, models_at(server, server.listed, SystemClock()))
    return ServerChecks(catalogue, servers, providers, Keyring({}), clock or SystemClock())


def test_the_examples_are_read_and_bound() -> None:
    models = models_at(Server("comfy", AWAY, EXAMPLES), LISTED, SystemClock())
    assert [model.id for model in models] == ["color", "still", "wan2.2-t2v"]
    workflows = {table["workflow"] for table in LISTED}
    assert {path.name for path in EXAMPLES.iterdir()} == {"rushes.toml", "wan2.2.toml", *workflows}


async def test_a_server_that_can_run_them_is_no_trouble(client: HttpClient) -> None:
    async with Fake() as upstream:
        found = checks(client, upstream.base_url)
        await found.at_start()
        assert found.troubles == {}


async def test_a_server_that_cannot_run_one_stops_the_start(client: HttpClient) -> None:
    async with Fake() as upstream:
        del upstream.nodes["StringLength"]
        with pytest.raises(
            StartupError, match=r"\[providers\.comfy\]: model 'color': node '2' .* is not known to the server"
        ):
            await checks(client, upstream.base_url).at_start()


async def test_a_server_that_is_away_keeps_no_start_and_is_asked_until_it_answers(client: HttpClient) -> None:
    clock = Waits()
    async with Fake() as upstream:
        upstream.version = "0.3.64"
        found = checks(client, AWAY, clock)
        await found.at_start()
        assert "are not checked yet: 'comfy' cannot be reached" in found.troubles["comfy"]
        found._providers = {("comfy", None): Comfyui(client, Server("comfy", upstream.base_url, EXAMPLES))}
        task = asyncio.create_task(found.run())
        await clock.until_asleep()
        clock.wake()
        await task
        assert found.troubles == {"comfy": "it is ComfyUI 0.3.64, and at least 0.26 is needed"}


async def test_a_server_for_callers_keys_alone_is_not_asked(client: HttpClient) -> None:
    found = checks(client, AWAY, needs_key=True)
    await found.at_start()
    assert found.troubles == {}


def test_the_page_names_everything_that_can_be_bound_or_set() -> None:
    page = PAGE.read_text("utf-8")
    names = {*Bind.model_fields, *Number.model_fields, *File.model_fields, *ServerOptions.model_fields, *OWN_FIELDS}
    assert sorted(name for name in names - {"models"} if f"`{name}" not in page) == []


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (None, "field 'workflow': '.*missing.json' cannot be read: No such file"),
        (b"\xff", "cannot be read: it is not UTF-8"),
        (b'{"nodes": []}', r"use Workflow > Export \(API\)"),
        (b'{"1": {"class_type": "SaveVideo", "inputs": {}}}', "field 'bind.prompt': the workflow has no node 'Prompt'"),
    ],
)
def test_a_workflow_file_that_cannot_be_used_is_named(tmp_path: Path, content: bytes | None, words: str) -> None:
    if content is not None:
        (tmp_path / "missing.json").write_bytes(content)
    written = {**LISTED[0], "workflow": "missing.json"}
    with pytest.raises(StartupError, match=rf"\[\[providers\.comfy\.models\]\], model 'color', .*{words}"):
        models_at(Server("comfy", AWAY, tmp_path), [written], SystemClock())


@pytest.mark.parametrize("workflow", [None, 3, ""])
def test_a_model_without_a_workflow_is_refused(workflow: object) -> None:
    with pytest.raises(StartupError, match="field 'workflow': name the file"):
        models_at(Server("comfy", AWAY, EXAMPLES), [{**LISTED[0], "workflow": workflow}], SystemClock())
