"""ComfyUI servers pass the one suite, with workflows as models."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from rushes.app.own_servers import models_at
from rushes.clock import SystemClock
from rushes.domain.progress import Done, Failed
from rushes.domain.request import Role, VideoRequest
from rushes.net.client import HttpClient, TimeLimits
from rushes.providers.comfyui import Comfyui, Server
from rushes.providers.http import CallLimits
from tests.contract.provider_suite import Harness, Option, ProviderContract, Scripts, WireHarness, image
from tests.fixtures.upstreams import comfyui

SHORT = TimeLimits(connect_s=5, read_s=0.3, total_s=10)
KEY = "sk-contract-0123456789abcdefghijkl"

GRAPH: dict[str, Any] = {
    "1": {"class_type": "LoadImage", "inputs": {"image": "example.png"}, "_meta": {"title": "Picture"}},
    "2": {
        "class_type": "ImageScale",
        "inputs": {"image": ["1", 0], "upscale_method": "bilinear", "width": 64, "height": 64, "crop": "center"},
    },
    "3": {"class_type": "RepeatImageBatch", "inputs": {"image": ["2", 0], "amount": 24}},
    "4": {"class_type": "PrimitiveStringMultiline", "inputs": {"value": "x"}, "_meta": {"title": "Prompt"}},
    "5": {"class_type": "PrimitiveStringMultiline", "inputs": {"value": "blurred"}, "_meta": {"title": "Negative"}},
    "6": {"class_type": "PrimitiveInt", "inputs": {"value": 0}, "_meta": {"title": "Seed"}},
    "7": {"class_type": "CreateVideo", "inputs": {"images": ["3", 0], "fps": 24}},
    "8": {
        "class_type": "SaveVideo",
        "inputs": {"video": ["7", 0], "filename_prefix": "video/ComfyUI", "format": "auto"},
    },
}
WRITTEN: dict[str, Any] = {
    "id": "still",
    "workflow": "still.json",
    "durations_s": [2, 4],
    "sizes": {"480p": {"16:9": "832x480"}, "720p": {"9:16": "720x1280"}},
    "bind": {
        "prompt": "Prompt.value",
        "negative_prompt": "Negative.value",
        "seed": "Seed.value",
        "width": "2.width",
        "height": "2.height",
        "duration": {"at": "3.amount", "times": 24, "multiple": 8, "plus": 1},
        "input_image": {"at": "Picture.image", "unlink": "2.image"},
        "params": {"fps": "7.fps"},
    },
}


def at(node: str, name: str) -> tuple[str, ...]:
    """Where an input stands in the body of a submit."""
    return ("prompt", node, "inputs", name)


class ComfyuiHarness(WireHarness[comfyui.Comfyui]):
    """A server behind a proxy with a key, which has one workflow. Without its picture, `fps` alone is left to run."""

    scripts = Scripts(
        well=("ok", "cached", "vhs", "raises-after-save", "two-videos", "no-socket", "jobs-404-html"),
        failed=("raises", "oom", "success-no-video", "interrupted-by-others", "restart"),
        unknown_status=("unknown-status",),
        statuses={"ok": Done, "raises": Failed, "interrupted-by-others": Failed, "restart": Failed},
        refused_key=("proxy-401", "origin-403"),
        refused_quota=("rate",),
        refused_request=("submit-413", "jobs-404-old-server"),
        submit_unknown=tuple(comfyui.SUBMIT_ACCIDENTS),
        poll_accident=tuple(comfyui.POLL_ACCIDENTS),
        download_accident=("download-500", "download-partial"),
        download_lost=("file-gone",),
        download_elsewhere=("download-redirect",),
        cancel_too_late=("cancel-late",),
    )
    options = (
        Option({"duration_s": 4}, at("3", "amount"), 97),
        Option({"aspect_ratio": "9:16", "resolution": "720p"}, at("2", "width"), 720),
        Option({"aspect_ratio": "9:16", "resolution": "720p"}, at("2", "height"), 1280),
        Option({"seed": 7}, at("6", "value"), 7),
        Option({"seed": 0}, at("6", "value"), 0),
        Option({"negative_prompt": "rain"}, at("5", "value"), "rain"),
        Option({"additional_params": {"fps": 30}}, at("7", "fps"), 30),
    )
    undeclared: tuple[dict[str, Any], ...] = (
        {"n": 2},
        {"person_generation": "allow_adult"},
        {"generate_audio": True},
        {"resolution": "720p"},
        {"additional_params": {"steps": 3}},
        {"additional_params": {"fps": ["6", 0]}},
    )

    def __init__(self, upstream: comfyui.Comfyui, client: HttpClient, folder: Path) -> None:
        (folder / "still.json").write_text(json.dumps(GRAPH), "utf-8")
        self._folder = folder
        (model,) = models_at(self.server(upstream.base_url), [WRITTEN], SystemClock())
        super().__init__(upstream, client, model, KEY)

    def server(self, base_url: str) -> Server:
        return Server("my-comfy", base_url, self._folder, needs_key=True)

    def at(self, base_url: str) -> Comfyui:
        limits = CallLimits(submit=SHORT, poll=SHORT, download=SHORT)
        return Comfyui(self.client, self.server(base_url), limits=limits, limit_bytes=50_000_000)

    def request(self, **options: Any) -> VideoRequest:
        # The workflow runs without its picture only in the fake, which asks for the types of nodes alone.
        return super().request(**{"media": (image(Role.INPUT_IMAGE),), **options})

    def submitted(self) -> list[Any]:
        return self.upstream.prompts()


class TestComfyui(ProviderContract):
    @pytest.fixture
    async def harness(self, client: HttpClient, tmp_path: Path) -> AsyncIterator[Harness]:
        async with comfyui.Comfyui(KEY) as upstream:
            harness = ComfyuiHarness(upstream, client, tmp_path)
            yield harness
            await harness.provider.close()
