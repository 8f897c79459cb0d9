"""Every provider passes the one suite; a harness only names what its fake can play."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from rushes.catalogue.load import load
from rushes.clock import SystemClock
from rushes.net.client import HttpClient, Sink, TimeLimits
from rushes.offload import Offload
from rushes.providers.animatic import Animatic
from rushes.providers.base import NO_CREDENTIAL, Credential, Provider
from rushes.providers.google import Gemini
from rushes.providers.http import CallLimits
from rushes.video.progress import Done, Failed, Handle, Working
from rushes.video.request import Role, VideoRequest
from tests.contract.provider_suite import Harness, Option, ProviderContract, Scripts, image
from tests.fixtures.upstreams import gemini, gemini_scripts
from tests.fixtures.upstreams.film import tiny_mp4

SHORT = TimeLimits(connect_s=5, read_s=0.3, total_s=10)


class GeminiHarness(Harness):
    scripts = Scripts(
        well=(
            "ok", "queued", "inline", "legacy-outputs", "uri-own", "download-redirect-own",
            "download-mislabelled", "download-slow", "cancel-late", *gemini_scripts.POLL_ACCIDENTS.keys()
            - {"poll-bad-json", "poll-empty", "poll-html", "poll-list", "poll-redirect"},
        ),
        filtered=("filtered", "filtered-silent", "failed-safety"),
        failed=("failed", "failed-errors", "failed-step", "failed-bare", "poll-404", "poll-invalid-name"),
        unknown_status=("unknown-status", "no-status", "video-missing"),
        statuses={
            "ok": Done, "queued": Done, "failed": Failed, "cancelled": Failed, "incomplete": Failed,
            "budget_exceeded": Failed, "requires_action": Failed, "requires_continuation": Failed,
        },
        refused_key=("bad-key", "unauthorized", "key-blocked"),
        refused_quota=("quota", "quota-header", "quota-date", "quota-retry-info"),
        refused_credit=("no-credit", "credit-429", "credit-400"),
        refused_request=(
            "invalid", "safety-settings", "unknown-model", "retired-model", "too-large", "submit-redirect",
        ),
        refused_content=("filtered-at-submit",),
        submit_unknown=("submit-500", "submit-503", "submit-502-html", *gemini_scripts.SUBMIT_ACCIDENTS),
        poll_accident=tuple(gemini_scripts.POLL_ACCIDENTS),
        download_accident=(
            "download-403", "download-429", "download-500", "download-truncated", "download-truncated-chunked",
            "download-empty", "download-html", "download-stall", "download-drop", "download-redirect-loop",
            "uri-private", "uri-garbage",
        ),
        download_expired=("download-expired",),
        download_lost=("download-404", "download-410", "download-oversize", "download-endless"),
        download_elsewhere=("download-redirect", "uri-stranger"),
        cancel_too_late=tuple(gemini_scripts.CANCELS),
    )  # fmt: skip
    options = (
        Option({"duration_s": 6}, ("response_format", "duration"), "6s"),
        Option({"aspect_ratio": "9:16"}, ("response_format", "aspect_ratio"), "9:16"),
        Option({"resolution": "1080p"}, ("response_format", "resolution"), "1080p"),
        Option({"seed": 7}, ("generation_config", "seed"), 7),
        Option({"seed": 0}, ("generation_config", "seed"), 0),
        Option({"media": (image(Role.INPUT_IMAGE),)}, ("generation_config", "video_config", "task"), "image_to_video"),
        Option({"additional_params": {"labels": {"team": "film"}}}, ("labels",), {"team": "film"}),
    )
    undeclared = (
        {"negative_prompt": ""},
        {"generate_audio": False},
        {"person_generation": "allow_adult"},
        {"n": 2},
    )

    def __init__(self, upstream: gemini.Gemini, client: HttpClient) -> None:
        self.upstream = upstream
        self._client = client
        self.film = tiny_mp4()
        self.credential = Credential(kind="api_key", secret="AIzaSyContract-0123456789_abcdefghijklm")
        self.provider = self._at(upstream.base_url)
        model = load().find("google", "gemini-omni-1.2-flash")
        assert model is not None
        self.model = model

    def _at(self, base_url: str) -> Gemini:
        limits = CallLimits(submit=SHORT, poll=SHORT, download=SHORT)
        return Gemini(self._client, base_url, limits=limits, limit_bytes=50_000_000)

    def play(self, script: str) -> None:
        self.upstream.play(script)

    def submitted(self) -> list[Any]:
        return [item.json for item in self.upstream.requests if item.path == "/v1beta/interactions"]

    def leaks(self) -> list[str]:
        return self.upstream.stranger.leaks

    def unreachable(self) -> Provider:
        return self._at("http://127.0.0.1:1")


class AnimaticHarness(Harness):
    """It runs here: no key, no wire, and its scripts are its models."""

    scripts = Scripts(
        well=("storyboard",),
        filtered=("filtered",),
        failed=("fail",),
        statuses={"storyboard": Done, "fail": Failed, "filtered": Failed},
    )
    credential = NO_CREDENTIAL

    def __init__(self, offload: Offload, scratch: Path) -> None:
        self.provider = Animatic(offload, scratch, SystemClock())
        self.play("storyboard")

    def play(self, script: str) -> None:
        model = load().find("animatic", script)
        assert model is not None
        self.model = model

    def request(self, **options: Any) -> VideoRequest:
        tiny = {"aspect_ratio": "16:9", "resolution": "144p", "duration_s": 1, "generate_audio": False}
        return super().request(**tiny, **options)

    async def finish(self, handle: Handle) -> Done | Failed:
        while True:
            progress = await self.provider.poll(handle, credential=self.credential)
            if not isinstance(progress, Working):
                return progress
            await asyncio.sleep(0.02)


class TestAnimatic(ProviderContract):
    @pytest.fixture
    async def harness(self, tmp_path: Path) -> AsyncIterator[Harness]:
        offload = Offload(1)
        harness = AnimaticHarness(offload, tmp_path / "scratch")
        yield harness
        await harness.provider.close()
        offload.close()


class TestGemini(ProviderContract):
    @pytest.fixture
    async def harness(self) -> AsyncIterator[Harness]:
        client = HttpClient(allow={Sink.RESULTS: ("127.0.0.1/32",)})
        async with gemini.Gemini() as upstream:
            yield GeminiHarness(upstream, client)
            await client.close()
