"""One real video from a server of your own: the smallest that most models make.

RUSHES_LIVE_SERVER=http://127.0.0.1:8000 RUSHES_LIVE_FLAVOR=vllm-omni pytest -n0 tests/live/test_openai_shape.py
"""

from __future__ import annotations

import asyncio
import os

import pytest

from rushes.app.own_servers import models_at
from rushes.clock import SystemClock
from rushes.domain.progress import Done, Working
from rushes.domain.request import InputMedia, VideoRequest
from rushes.net.client import HttpClient
from rushes.providers.base import NO_CREDENTIAL, Credential
from rushes.providers.openai_shape import FLAVORS, OpenaiShape, Server

pytestmark = [pytest.mark.live, pytest.mark.timeout(1800)]


async def _no_media(media: InputMedia) -> bytes:
    raise AssertionError(media)


async def test_a_short_video_is_made_and_fetched() -> None:
    base_url = os.environ.get("RUSHES_LIVE_SERVER")
    if not base_url:
        pytest.skip("RUSHES_LIVE_SERVER is not set")
    flavor = FLAVORS[os.environ.get("RUSHES_LIVE_FLAVOR", "vllm-omni")]
    key = os.environ.get("RUSHES_LIVE_KEY")
    credential = NO_CREDENTIAL if key is None else Credential("api_key", key)
    server = Server("live", flavor, base_url, needs_key=key is not None)
    client = HttpClient()
    adapter = OpenaiShape(client, server)
    try:
        ids = await adapter.list_models(credential=credential)
        (model,) = models_at(server, [{"id": os.environ.get("RUSHES_LIVE_MODEL", ids[0])}], SystemClock())
        request = VideoRequest(
            prompt="A red kite over dunes, calm wind.", aspect_ratio="16:9", resolution="480p", duration_s=2
        )
        submission = await adapter.submit(
            model, request, attempt_id="live", credential=credential, read_media=_no_media
        )
        progress = submission.progress
        while isinstance(progress, Working):
            await asyncio.sleep(2)
            progress = await adapter.poll(submission.handle, credential=credential)
        assert isinstance(progress, Done), progress
        output = progress.outputs[0]
        chunks = [chunk async for chunk in adapter.fetch(submission.handle, output, credential=credential)]
        assert b"".join(chunks)[4:8] == b"ftyp"
    finally:
        await client.close()
