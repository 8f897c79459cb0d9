"""One real video from Bedrock: the shortest and smallest there is, about four US dollars."""

from __future__ import annotations

import asyncio
import json
import os

import pytest

from rushes.catalogue.load import load
from rushes.domain.progress import Done, Working
from rushes.domain.request import InputMedia, VideoRequest
from rushes.ids import new_id
from rushes.providers.base import Credential
from rushes.providers.bedrock import Bedrock

pytestmark = [pytest.mark.live, pytest.mark.timeout(1200)]

VARIABLES = {
    "access_key_id": "AWS_ACCESS_KEY_ID",
    "secret_access_key": "AWS_SECRET_ACCESS_KEY",
    "session_token": "AWS_SESSION_TOKEN",
    "region": "AWS_REGION",
    "bucket": "RUSHES_PROVIDERS__BEDROCK__BUCKET",
}


async def _no_media(media: InputMedia) -> bytes:
    raise AssertionError(media)


async def test_a_short_video_is_made_once_and_fetched() -> None:
    keys = {name: os.environ[variable] for name, variable in VARIABLES.items() if os.environ.get(variable)}
    missing = VARIABLES.keys() - keys.keys() - {"session_token"}
    if missing:
        pytest.skip(f"{', '.join(sorted(VARIABLES[name] for name in missing))} not set")
    model = load().find("bedrock", "luma.ray-v2:0")
    assert model is not None
    credential = Credential(kind="aws", secret=json.dumps(keys))
    request = VideoRequest(
        prompt="A red kite over dunes, calm wind.", aspect_ratio="16:9", resolution="540p", duration_s=5
    )
    bedrock, attempt_id = Bedrock(), new_id("att")
    try:
        submission, again = [
            await bedrock.submit(model, request, attempt_id=attempt_id, credential=credential, read_media=_no_media)
            for _ in range(2)
        ]
        assert submission == again
        progress = submission.progress
        while isinstance(progress, Working):
            await asyncio.sleep(12)
            progress = await bedrock.poll(submission.handle, credential=credential)
        assert isinstance(progress, Done), progress
        source = bedrock.fetch(submission.handle, progress.outputs[0], credential=credential)
        assert b"".join([chunk async for chunk in source])[4:8] == b"ftyp"
    finally:
        await bedrock.close()
