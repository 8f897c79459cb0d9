"""One real video from Vertex: the cheapest that Veo makes, about twelve US cents, and none of its sound."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import pytest

from rushes.catalogue.load import load
from rushes.domain.progress import Done, Working
from rushes.domain.request import InputMedia, VideoRequest
from rushes.net.client import HttpClient
from rushes.providers.base import Credential
from rushes.providers.google import Place, Vertex

pytestmark = [pytest.mark.live, pytest.mark.timeout(900)]


async def _no_media(media: InputMedia) -> bytes:
    raise AssertionError(media)


async def test_a_short_video_is_made_and_fetched() -> None:
    file = os.environ.get("GOOGLE_APPLICATION_CREDENTIALS")
    if not file:
        pytest.skip("GOOGLE_APPLICATION_CREDENTIALS does not name the file of a service account")
    bucket = os.environ.get("VERTEX_BUCKET")
    model = load().find("google", "veo-3.1-lite-generate-001")
    assert model is not None
    credential = Credential("service_account", await asyncio.to_thread(Path(file).read_text))
    request = VideoRequest(
        prompt="A red kite over dunes, calm wind.",
        aspect_ratio="16:9",
        resolution="720p",
        duration_s=4,
        generate_audio=False,
    )
    client = HttpClient()
    vertex = Vertex(client, Place(bucket=bucket))
    try:
        submission = await vertex.submit(model, request, attempt_id="live", credential=credential, read_media=_no_media)
        progress = submission.progress
        while isinstance(progress, Working):
            await asyncio.sleep(10)
            progress = await vertex.poll(submission.handle, credential=credential)
        assert isinstance(progress, Done), progress
        chunks = [chunk async for chunk in vertex.fetch(submission.handle, progress.outputs[0], credential=credential)]
        assert b"".join(chunks)[4:8] == b"ftyp"
    finally:
        await vertex.close()
        await client.close()
