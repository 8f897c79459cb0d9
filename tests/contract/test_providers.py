"""Every provider passes the one suite; a harness only names what its fake can play."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from rushes.clock import SystemClock
from rushes.decoding.box import Box
from rushes.domain.progress import Done, Failed, Handle, Working
from rushes.domain.request import Role, VideoRequest
from rushes.net.client import HttpClient, Sink
from rushes.providers.animatic import Animatic
from rushes.providers.base import NO_CREDENTIAL, Credential, Provider
from rushes.providers.google import Gemini, Place, Vertex
from rushes.shared_places import DRAWINGS, SharedPlaces
from tests.contract.provider_suite import SHORT_LIMITS, Harness, Option, ProviderContract, Scripts, image
from tests.fixtures.catalogue import shipped_catalogue
from tests.fixtures.upstreams import gemini, gemini_scripts, vertex, vertex_scripts
from tests.fixtures.upstreams.film import tiny_mp4


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
        model = shipped_catalogue().find("google", "gemini-omni-1.2-flash")
        assert model is not None
        self.model = model

    def _at(self, base_url: str) -> Gemini:
        return Gemini(self._client, base_url, limits=SHORT_LIMITS, limit_bytes=50_000_000)

    def play(self, script: str) -> None:
        self.upstream.play(script)

    def submitted(self) -> list[Any]:
        return [item.json for item in self.upstream.requests if item.path == "/v1beta/interactions"]

    def leaks(self) -> list[str]:
        return self.upstream.stranger.leaks

    def unreachable(self) -> Provider:
        return self._at("http://127.0.0.1:1")


class VertexHarness(Harness):
    """Veo with its results in a bucket."""

    scripts = Scripts(
        well=(
            "ok", "done-false", "uri-https", "download-mislabelled", *vertex_scripts.POLL_ACCIDENTS.keys()
            - {"poll-bad-json", "poll-empty", "poll-html", "poll-list", "poll-nothing", "poll-redirect"},
        ),
        filtered=("filtered", "filtered-list", "filtered-silent", "blocked"),
        failed=(
            "failed", "failed-quota", "failed-unavailable", "failed-argument", "failed-denied", "failed-odd",
            "failed-bare", "poll-404",
        ),
        unknown_status=("done-empty", "done-bare", "done-odd"),
        statuses={"ok": Done, "done-false": Done, "failed": Failed, "filtered": Failed, "blocked": Failed},
        refused_key=("unauthorized", "no-role", "api-off"),
        refused_quota=("quota", "quota-header", "quota-retry-info"),
        refused_credit=("billing-off",),
        refused_request=("invalid", "unknown-model", "retired-model", "too-large", "submit-redirect"),
        refused_content=("filtered-at-submit",),
        submit_unknown=("submit-500", "submit-503", "submit-502-html", *vertex_scripts.SUBMIT_ACCIDENTS),
        poll_accident=tuple(vertex_scripts.POLL_ACCIDENTS),
        download_accident=(
            "download-401", "download-403", "download-429", "download-500", "download-truncated", "download-empty",
            "download-html", "download-stall", "uri-private", "uri-garbage",
        ),
        download_lost=("download-404", "download-oversize"),
        download_elsewhere=("download-redirect", "uri-stranger"),
    )  # fmt: skip
    options: Sequence[Option] = (
        Option({"n": 4}, ("parameters", "sampleCount"), 4),
        Option({"duration_s": 6}, ("parameters", "durationSeconds"), 6),
        Option({"aspect_ratio": "9:16"}, ("parameters", "aspectRatio"), "9:16"),
        Option({"resolution": "1080p"}, ("parameters", "resolution"), "1080p"),
        Option({"generate_audio": False}, ("parameters", "generateAudio"), False),
        Option({"generate_audio": True}, ("parameters", "generateAudio"), True),
        Option({"negative_prompt": ""}, ("parameters", "negativePrompt"), ""),
        Option({"person_generation": "dont_allow"}, ("parameters", "personGeneration"), "dont_allow"),
        Option({"seed": 7}, ("parameters", "seed"), 7),
        Option({"seed": 0}, ("parameters", "seed"), 0),
        Option({"media": (image(Role.INPUT_IMAGE),)}, ("instances", 0, "image", "mimeType"), "image/png"),
        Option(
            {"media": (image(Role.REFERENCE_IMAGE),)}, ("instances", 0, "referenceImages", 0, "referenceType"), "asset"
        ),
        Option({"additional_params": {"resizeMode": "crop"}}, ("parameters", "resizeMode"), "crop"),
        Option({"additional_params": {"labels": {"team": "film"}}}, ("labels",), {"team": "film"}),
    )
    model_id = "veo-3.1-generate-001"
    bucket: str | None = "studio-films"
    submit_path = ":predictLongRunning"

    def __init__(self, upstream: vertex.Vertex, client: HttpClient) -> None:
        self.upstream = upstream
        self._client = client
        self.film = tiny_mp4()
        self.credential = Credential(kind="service_account", secret=upstream.service_account())
        self.provider = self._at(upstream.base_url)
        model = shipped_catalogue().find("google", self.model_id)
        assert model is not None
        self.model = model

    def _at(self, base_url: str) -> Vertex:
        place = Place(
            bucket=self.bucket,
            base_url=base_url,
            token_url=self.upstream.token_url,
            storage_url=self.upstream.base_url,
        )
        return Vertex(self._client, place, limits=SHORT_LIMITS, limit_bytes=50_000_000)

    def play(self, script: str) -> None:
        self.upstream.play(script)

    def submitted(self) -> list[Any]:
        return [item.json for item in self.upstream.requests if item.path.endswith(self.submit_path)]

    def leaks(self) -> list[str]:
        return self.upstream.stranger.leaks

    def unreachable(self) -> Provider:
        return self._at("http://127.0.0.1:1")


class VertexInlineHarness(VertexHarness):
    """Veo with its results inside the replies."""

    scripts = replace(
        VertexHarness.scripts,
        well=("ok", "inline-escaped", "inline-spaced", "inline-empty", "inline-slow"),
        download_accident=("inline-vanishes", "inline-broken", "inline-not-base64", "inline-half"),
        download_lost=("inline-once",),
        download_elsewhere=(),
    )
    bucket = None


class VertexOmniHarness(VertexHarness):
    """Gemini Omni as it is on Vertex."""

    scripts = replace(
        GeminiHarness.scripts,
        well=("ok",),
        refused_key=("unauthorized", "no-role", "api-off"),
        refused_request=("invalid", "unknown-model", "submit-redirect"),
        submit_unknown=(
            "submit-500", "submit-503", "submit-drop", "submit-hang", "submit-html", "submit-bad-json", "submit-empty",
            "submit-no-id",
        ),
        download_accident=(),
        download_expired=(),
        download_lost=(),
        download_elsewhere=(),
    )  # fmt: skip
    options = GeminiHarness.options
    undeclared = GeminiHarness.undeclared
    model_id = "gemini-omni-1.2-flash"
    bucket: str | None = None
    submit_path = "/locations/global/interactions"


class VertexOmniBucketHarness(VertexOmniHarness):
    """The same with its results in a bucket."""

    scripts = replace(VertexOmniHarness.scripts, well=("ok", "unsaid"))
    bucket = "gs://studio-films/omni"


class AnimaticHarness(Harness):
    """It runs here: no key, no wire, and its scripts are its models."""

    scripts = Scripts(
        well=("storyboard",),
        filtered=("filtered",),
        failed=("fail",),
        statuses={"storyboard": Done, "fail": Failed, "filtered": Failed},
    )
    credential = NO_CREDENTIAL

    def __init__(self, box: Box, scratch: Path) -> None:
        self.provider = Animatic(box, SharedPlaces()[DRAWINGS], scratch, SystemClock())
        self.play("storyboard")

    def play(self, script: str) -> None:
        model = shipped_catalogue().find("animatic", script)
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
        box = Box()
        harness = AnimaticHarness(box, tmp_path / "scratch")
        yield harness
        await harness.provider.close()
        box.close()


class TestGemini(ProviderContract):
    @pytest.fixture
    async def harness(self) -> AsyncIterator[Harness]:
        client = HttpClient(allow={Sink.RESULTS: ("127.0.0.1/32",)})
        async with gemini.Gemini() as upstream:
            yield GeminiHarness(upstream, client)
            await client.close()


@pytest.fixture
async def fake_vertex() -> AsyncIterator[tuple[vertex.Vertex, HttpClient]]:
    client = HttpClient(allow={Sink.RESULTS: ("127.0.0.1/32",)})
    async with vertex.Vertex() as upstream:
        yield upstream, client
        await client.close()


class TestVertex(ProviderContract):
    @pytest.fixture
    def harness(self, fake_vertex: tuple[vertex.Vertex, HttpClient]) -> Harness:
        return VertexHarness(*fake_vertex)


class TestVertexInline(ProviderContract):
    @pytest.fixture
    def harness(self, fake_vertex: tuple[vertex.Vertex, HttpClient]) -> Harness:
        return VertexInlineHarness(*fake_vertex)


class TestVertexOmni(ProviderContract):
    @pytest.fixture
    def harness(self, fake_vertex: tuple[vertex.Vertex, HttpClient]) -> Harness:
        return VertexOmniHarness(*fake_vertex)


class TestVertexOmniInABucket(ProviderContract):
    @pytest.fixture
    def harness(self, fake_vertex: tuple[vertex.Vertex, HttpClient]) -> Harness:
        return VertexOmniBucketHarness(*fake_vertex)
