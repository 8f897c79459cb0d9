"""Router that speak OpenAI's Videos API pass the one suite, in each flavor."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from typing import Any

import pytest

from rushes.app.own_servers import models_at
from rushes.clock import SystemClock
from rushes.domain.progress import Done, Failed
from rushes.domain.request import Role
from rushes.net.client import HttpClient
from rushes.providers.base import NO_CREDENTIAL, Credential, Provider
from rushes.providers.openai_shape import FLAVORS, OpenaiShape, Server
from tests.contract.provider_suite import MEDIA_BYTES, SHORT_LIMITS, Harness, Option, ProviderContract, Scripts, image
from tests.fixtures.upstreams import openai_shape, openai_shape_scripts
from tests.fixtures.upstreams.film import tiny_mp4
from tests.fixtures.upstreams.openai_shape import File

KEY = "sk-contract-0123456789abcdefghijkl"

SCRIPTS = Scripts(
    well=(
        "ok", "processing", "download-redirect-own", "cancel-404", "cloud-own", "poll-500",
        "poll-503", "poll-429", "poll-401", "poll-404-html", "poll-drop", "poll-hang",
    ),
    filtered=("filtered", "filtered-guardrail"),
    failed=("failed", "failed-bare", "deleted", "poll-404"),
    unknown_status=("unknown-status",),
    statuses={"ok": Done, "processing": Done, "failed": Failed, "deleted": Failed},
    refused_key=("bad-key", "unauthorized", "no-access"),
    refused_quota=("rate", "rate-header"),
    refused_credit=("no-credit", "quota-empty"),
    refused_request=(
        "invalid", "invalid-422", "invalid-detail", "unknown-model", "vllm-model", "too-large", "submit-redirect",
    ),
    refused_content=("filtered-at-submit",),
    submit_unknown=("submit-500", "submit-503", "submit-502-html", *openai_shape_scripts.SUBMIT_ACCIDENTS),
    poll_accident=tuple(openai_shape_scripts.POLL_ACCIDENTS),
    download_accident=(
        "download-403", "download-429", "download-500", "download-truncated", "download-empty", "download-html",
        "download-stall", "download-drop", "cloud-private", "cloud-no-url",
    ),
    download_expired=("cloud-expired",),
    download_lost=("download-404", "download-oversize"),
    download_elsewhere=("download-redirect", "cloud-stranger"),
)  # fmt: skip

OPTIONS = (
    Option({"duration_s": 6}, ("seconds",), "6"),
    Option({"aspect_ratio": "9:16", "resolution": "720p"}, ("size",), "720x1280"),
    Option({"aspect_ratio": "16:9", "resolution": "480p"}, ("size",), "832x480"),
    Option({"seed": 7}, ("seed",), "7"),
    Option({"seed": 0}, ("seed",), "0"),
    Option({"negative_prompt": "rain"}, ("negative_prompt",), "rain"),
    Option(
        {"media": (image(Role.INPUT_IMAGE),)}, ("input_reference",), File("input_image.png", "image/png", MEDIA_BYTES)
    ),
)
TUNING = (
    Option({"additional_params": {"guidance_scale": 4.5}}, ("guidance_scale",), "4.5"),
    Option({"additional_params": {"num_inference_steps": 30}}, ("num_inference_steps",), "30"),
)
UNDECLARED: tuple[dict[str, Any], ...] = (
    {"person_generation": "allow_adult"},
    {"aspect_ratio": "16:9"},
    {"resolution": "720p"},
    {"generate_audio": True},
    {"additional_params": {"user": None}},
)


class OpenaiShapeHarness(Harness):
    """The flavor, the key that the server wants, and what its model's entry says."""

    scripts = SCRIPTS
    undeclared = UNDECLARED
    flavor = "openai"
    key: str | None = KEY
    written: dict[str, Any] = {}
    polls_until_done = 7

    def __init__(self, upstream: openai_shape.OpenaiShape, client: HttpClient) -> None:
        self.upstream = upstream
        self._client = client
        self.film = tiny_mp4()
        self.credential = NO_CREDENTIAL if self.key is None else Credential(kind="api_key", secret=self.key)
        self.provider: OpenaiShape = self.at(upstream.base_url)
        (self.model,) = models_at(
            self._server(upstream.base_url),
            [
                {
                    "id": "wan-2.2",
                    "sizes": {"480p": {"16:9": "832x480"}},
                    "resolutions": ["480p", "720p"],
                    **self.written,
                }
            ],
            SystemClock(),
        )

    def _server(self, base_url: str) -> Server:
        return Server("my-gpu", FLAVORS[self.flavor], base_url, needs_key=self.key is not None)

    def at(self, base_url: str) -> OpenaiShape:
        """The adapter for a server at this address."""
        return OpenaiShape(self._client, self._server(base_url), limits=SHORT_LIMITS, limit_bytes=50_000_000)

    def play(self, script: str) -> None:
        self.upstream.play(script)

    def submitted(self) -> list[Any]:
        return self.upstream.forms()

    def leaks(self) -> list[str]:
        return self.upstream.stranger.leaks

    def unreachable(self) -> Provider:
        return self.at("http://127.0.0.1:1")


class OpenaiHarness(OpenaiShapeHarness):
    written = {"seed": True, "negative_prompt": True}
    options: Sequence[Option] = OPTIONS[:3] + OPTIONS[-1:]
    undeclared = (*UNDECLARED, {"n": 2})


class VllmOmniHarness(OpenaiShapeHarness):
    """On one's own machine: without a key."""

    flavor = "vllm-omni"
    key = None
    scripts = replace(
        # It keeps its results itself.
        SCRIPTS,
        well=tuple(name for name in SCRIPTS.well if not name.startswith("cloud")),
        download_accident=tuple(name for name in SCRIPTS.download_accident if not name.startswith("cloud")),
        download_expired=(),
        download_elsewhere=("download-redirect",),
        cancel_too_late=tuple(openai_shape_scripts.CANCELS),
    )
    written = {"audio": "optional"}
    options = (
        *OPTIONS,
        *TUNING,
        Option({"generate_audio": True}, ("generate_sound",), "true"),
        Option({"generate_audio": False}, ("generate_sound",), "false"),
        Option({"additional_params": {"extra_params": {"shift": 3}}}, ("extra_params",), '{"shift":3}'),
    )
    undeclared = (*(given for given in UNDECLARED if "generate_audio" not in given), {"n": 2})


class SglangHarness(OpenaiShapeHarness):
    flavor = "sglang"
    written = {"n_per_call": 4}
    options = (*OPTIONS, *TUNING, Option({"n": 3}, ("num_outputs_per_prompt",), "3"))


class TestOpenai(ProviderContract):
    @pytest.fixture
    async def harness(self, client: HttpClient) -> AsyncIterator[Harness]:
        async with openai_shape.OpenaiShape("openai", KEY) as upstream:
            yield OpenaiHarness(upstream, client)


class TestVllmOmni(ProviderContract):
    @pytest.fixture
    async def harness(self, client: HttpClient) -> AsyncIterator[Harness]:
        async with openai_shape.OpenaiShape("vllm-omni") as upstream:
            yield VllmOmniHarness(upstream, client)


class TestSglang(ProviderContract):
    @pytest.fixture
    async def harness(self, client: HttpClient) -> AsyncIterator[Harness]:
        async with openai_shape.OpenaiShape("sglang", KEY) as upstream:
            yield SglangHarness(upstream, client)
