"""LiteLLM's own video calls, by OpenAI's API and by the Gemini API."""

from __future__ import annotations

import os
from typing import Any

# It would fetch its price list from the internet when it is imported.
os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"

import litellm

litellm.telemetry = False


def start(url: str, key: str, model: str, **fields: Any) -> Any:
    return litellm.video_generation(model=model, api_base=url, api_key=key, **fields)


def status(url: str, key: str, video_id: str, provider: str) -> Any:
    return litellm.video_status(video_id=video_id, api_base=url, api_key=key, custom_llm_provider=provider)


def content(url: str, key: str, video_id: str, provider: str) -> bytes:
    return litellm.video_content(video_id=video_id, api_base=url, api_key=key, custom_llm_provider=provider)
