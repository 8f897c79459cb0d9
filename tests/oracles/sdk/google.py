"""Google's own client: Veo by API key (2.34, the last that has it), Interactions, and Vertex AI."""

from __future__ import annotations

import base64
from functools import cache
from typing import Any

from google import genai
from google.genai import types
from google.oauth2.credentials import Credentials


def version() -> str:
    return genai.__version__


def start(url: str, key: str, model: str, *, vertex: bool = False, **source: Any) -> Any:
    config = source.pop("config", {})
    for name in ("last_frame",):
        if name in config:
            config[name] = _image(config[name])
    for reference in config.get("reference_images", []):
        reference["image"] = _image(reference["image"])
    if "image" in source:
        source["image"] = _image(source["image"])
    if "video" in source:
        source["video"] = types.Video(**source["video"])
    return _client(url, key, vertex=vertex).models.generate_videos(
        model=model, source=types.GenerateVideosSource(**source), config=types.GenerateVideosConfig(**config)
    )


def operation(url: str, key: str, name: str, *, vertex: bool = False) -> Any:
    return _client(url, key, vertex=vertex).operations.get(types.GenerateVideosOperation(name=name))


def download(url: str, key: str, uri: str) -> bytes:
    return _client(url, key).files.download(file=types.Video(uri=uri))


def file(url: str, key: str, name: str) -> Any:
    return _client(url, key).files.get(name=name)


def models(url: str, key: str, page_size: int) -> list[str | None]:
    return [one.name for one in _client(url, key).models.list(config={"page_size": page_size})]


def model(url: str, key: str, name: str) -> Any:
    return _client(url, key).models.get(model=name)


def interact(url: str, key: str, *, vertex: bool = False, **fields: Any) -> Any:
    return _client(url, key, vertex=vertex).interactions.create(**fields)


def interaction(url: str, key: str, name: str, *, vertex: bool = False) -> Any:
    return _client(url, key, vertex=vertex).interactions.get(id=name)


def cancel(url: str, key: str, name: str) -> Any:
    return _client(url, key).interactions.cancel(id=name)


def delete(url: str, key: str, name: str) -> None:
    _client(url, key).interactions.delete(id=name)


def _image(content: str) -> types.Image:
    return types.Image(image_bytes=base64.b64decode(content), mime_type="image/png")


# It closes its connections as soon as nothing refers to it.
@cache
def _client(url: str, key: str, *, vertex: bool = False) -> genai.Client:
    options = types.HttpOptions(base_url=url, retry_options=types.HttpRetryOptions(attempts=1))
    if vertex:
        return genai.Client(
            vertexai=True,
            project="a-project",
            location="us-central1",
            credentials=Credentials(token=key),
            http_options=options,
        )
    return genai.Client(api_key=key, http_options=options)
