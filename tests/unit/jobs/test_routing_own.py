"""A provider that needs no key serves without one; one that does is not served without."""

from __future__ import annotations

from datetime import date

import pytest

from rushes.app.own_servers import models_at
from rushes.catalogue.load import load
from rushes.clock import SystemClock
from rushes.domain.request import VideoRequest
from rushes.errors import InvalidRequest, NoCredentials
from rushes.jobs.routing import OnRetired, Route, Router
from rushes.providers.credentials import Keyring, Pinned
from rushes.providers.openai_shape import FLAVORS, Server

KEY = "sk-12345678"


def serve(*, needs_key: bool, configured: str | None = None, byok: str | None = None) -> Route:
    server = Server("my-gpu", FLAVORS["vllm-omni"], "http://127.0.0.1:8000", needs_key=needs_key)
    entry = server.entry
    (model,) = models_at(server, [{"id": "wan"}], SystemClock())
    shapes = {"my-gpu": server.credentials}
    pinned: dict[str, list[Pinned]] = {}
    if configured is not None:
        pinned = {"my-gpu": [Keyring(shapes).recognise("my-gpu", configured, field="api_key")]}
    servers = Router(
        load().extended(entry, [model]),
        Keyring(shapes, pinned),
        apis=[("my-gpu", None)],
        setting_names=lambda name: (f"THE_SETTING_OF_{name}",),
        on_retired=OnRetired.SUCCESSOR,
    )
    assert ("my-gpu" in servers.apis_in_use()) is (not needs_key or configured is not None)
    return servers.serve(model, VideoRequest("a kite"), test=False, byok_api_key=byok, today=date(2026, 11, 22))


def test_a_server_without_keys_is_served_without_one() -> None:
    route = serve(needs_key=False)
    assert route.pinned is None
    assert route.model.id == "wan"
    assert not route.byok


def test_a_key_for_a_server_without_keys_is_refused() -> None:
    with pytest.raises(InvalidRequest, match="needs no key"):
        serve(needs_key=False, byok=KEY)


def test_a_server_with_keys_is_served_with_the_operators() -> None:
    route = serve(needs_key=True, configured=KEY)
    assert route.pinned is not None
    assert route.pinned.credential.secret == KEY


def test_a_server_with_keys_takes_the_callers() -> None:
    assert serve(needs_key=True, byok=KEY).byok


def test_a_server_with_keys_is_not_served_without_one() -> None:
    with pytest.raises(NoCredentials, match="THE_SETTING_OF_my-gpu"):
        serve(needs_key=True)
