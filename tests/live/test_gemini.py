"""One real video from the Gemini API: the shortest and smallest there is, about ten US cents."""

from __future__ import annotations

import asyncio
import os
from datetime import date

import pytest

from rushes.catalogue.model import Model
from rushes.domain.progress import Done, Working
from rushes.domain.request import InputMedia, VideoRequest
from rushes.net.client import HttpClient
from rushes.providers.base import Credential
from rushes.providers.google import Gemini

pytestmark = [pytest.mark.live, pytest.mark.timeout(600)]


async def _no_media(media: InputMedia) -> bytes:
    raise AssertionError(media)


async def test_a_short_video_is_made_and_fetched() -> None:
    key = os.environ.get("GEMINI_API_KEY")
    if not key:
        pytest.skip("GEMINI_API_KEY is not set")
    model = Model(
        id="gemini-omni-1.2-flash",
        provider="google",
        name="Gemini Omni 1.2 Flash",
        prompt_chars=10_000,
        usual_s=40,
        source="https://ai.google.dev",
        checked=date(2026, 11, 22),
    )
    credential = Credential(kind="api_key", secret=key)
    request = VideoRequest(
        prompt="A red kite over dunes, calm wind.", aspect_ratio="16:9", resolution="360p", duration_s=3
    )
    client = HttpClient()
    gemini = Gemini(client)
    try:
        submission = await gemini.submit(model, request, attempt_id="live", credential=credential, read_media=_no_media)
        progress = submission.progress
        while isinstance(progress, Working):
            await asyncio.sleep(5)
            progress = await gemini.poll(submission.handle, credential=credential)
        assert isinstance(progress, Done), progress
        chunks = [chunk async for chunk in gemini.fetch(submission.handle, progress.outputs[0], credential=credential)]
        assert b"".join(chunks)[4:8] == b"ftyp"
    finally:
        await client.close()
