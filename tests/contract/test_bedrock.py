"""Bedrock passes the one suite, against the fake."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any

import pytest

from rushes.domain.progress import Done, Failed
from rushes.domain.request import Role
from rushes.providers.base import Credential, Provider
from rushes.providers.bedrock import Bedrock
from tests.contract.provider_suite import SHORT_LIMITS, Harness, Option, ProviderContract, Scripts, image
from tests.fixtures.catalogue import shipped_catalogue
from tests.fixtures.upstreams import bedrock, bedrock_scripts
from tests.fixtures.upstreams.film import tiny_mp4

KEYS = {
    "access_key_id": "AKIAFAKEFAKEFAKEFAKE",
    "secret_access_key": "fake/SECRET+key0123456789abcdefghijklmnop",
    "region": "us-west-2",
    "bucket": "films-of-ours",
    "session_token": "FwoGZXIvYXdzEFAKE//session+token==",
}


class BedrockHarness(Harness):
    scripts = Scripts(
        well=(
            "ok", "download-slow",
            *bedrock_scripts.POLL_ACCIDENTS.keys() - {"poll-bad-json", "poll-empty", "poll-html"},
        ),
        filtered=("filtered",),
        failed=("failed", "failed-bare", "poll-gone"),
        unknown_status=("unknown-status", "no-uri"),
        statuses={"ok": Done, "failed": Failed, "filtered": Failed},
        refused_key=("bad-key", "expired-token", "bad-signature", "no-access"),
        refused_quota=("throttled", "throttled-wait", "jobs-quota"),
        refused_request=("invalid", "no-bucket", "unknown-model", "retired-model", "conflict", "redirect"),
        refused_content=("filtered-at-submit",),
        submit_unknown=("submit-500", "submit-503", "submit-502-html", *bedrock_scripts.SUBMIT_ACCIDENTS),
        poll_accident=tuple(bedrock_scripts.POLL_ACCIDENTS),
        download_accident=(
            "download-403", "download-500", "download-503", "download-truncated", "download-stall", "download-drop",
            "download-empty",
        ),
        download_expired=("download-403-once",),
        download_lost=("download-404", "download-oversize", "download-endless"),
    )  # fmt: skip
    options = (
        Option({"duration_s": 9}, ("modelInput", "duration"), "9s"),
        Option({"aspect_ratio": "9:16"}, ("modelInput", "aspect_ratio"), "9:16"),
        Option({"resolution": "540p"}, ("modelInput", "resolution"), "540p"),
        Option({"media": (image(Role.INPUT_IMAGE),)}, ("modelInput", "keyframes", "frame0", "type"), "image"),
        Option({"media": (image(Role.LAST_FRAME),)}, ("modelInput", "keyframes", "frame1", "type"), "image"),
        Option({"additional_params": {"loop": True}}, ("modelInput", "loop"), True),
        Option({"additional_params": {"loop": False}}, ("modelInput", "loop"), False),
    )
    undeclared = (
        {"negative_prompt": ""},
        {"generate_audio": True},
        {"person_generation": "allow_adult"},
        {"seed": 0},
        {"n": 2},
    )

    def __init__(self, upstream: bedrock.Bedrock) -> None:
        self.upstream = upstream
        self.film = tiny_mp4()
        self.credential = Credential(kind="aws", secret=json.dumps(KEYS))
        self.provider = self.at(upstream.base_url)
        model = shipped_catalogue().find("bedrock", "luma.ray-v2:0")
        assert model is not None
        self.model = model

    def at(self, base_url: str) -> Bedrock:
        return Bedrock(base_url, base_url, limits=SHORT_LIMITS, limit_bytes=50_000_000)

    def play(self, script: str) -> None:
        self.upstream.play(script)

    def submitted(self) -> list[Any]:
        return [item.json for item in self.upstream.requests if item.path == "/async-invoke"]

    def unreachable(self) -> Provider:
        return self.at("http://127.0.0.1:1")


class TestBedrock(ProviderContract):
    @pytest.fixture
    async def harness(self) -> AsyncIterator[Harness]:
        async with bedrock.Bedrock() as upstream:
            harness = BedrockHarness(upstream)
            yield harness
            await harness.provider.close()
