"""OpenAI's client as a caller of our fake of its API."""

from __future__ import annotations

import pytest

from tests.fixtures.upstreams.openai_shape import OpenaiShape, parsed
from tests.oracles.conftest import Start
from tests.oracles.sdk_process import SdkError


async def test_the_client_makes_a_video_on_our_fake(start: Start) -> None:
    sdk = await start("openai")
    async with OpenaiShape("openai", "sk-test") as fake:
        video = await sdk.call("create", url=fake.base_url, prompt="A kite", model="wan-2.2", seconds="4")
        assert parsed(fake.requests[0]) == {"prompt": "A kite", "model": "wan-2.2", "seconds": "4"}
        while video["status"] != "completed":
            assert video["status"] in ("queued", "in_progress")
            video = await sdk.call("retrieve", url=fake.base_url, video_id=video["id"])
        content = await sdk.call("content", url=fake.base_url, video_id=video["id"])
    assert bytes.fromhex(content["hex"])[4:8] == b"ftyp"


async def test_the_client_raises_its_own_error_for_a_video_that_our_fake_does_not_know(start: Start) -> None:
    sdk = await start("openai")
    async with OpenaiShape("openai", "sk-test") as fake:
        with pytest.raises(SdkError) as caught:
            await sdk.call("retrieve", url=fake.base_url, video_id="video_unknown")
    assert (caught.value.name, caught.value.status) == ("NotFoundError", 404)
