"""Replicate's own clients: replicate 1.0.7, and 2.0.0b4 where it is installed before the others (`apart`)."""

from __future__ import annotations

import io
from typing import Any


def create(url: str, model: str, fields: dict[str, Any]) -> Any:
    return _shown(_client(url).models.predictions.create(model, input=fields))


def create_version(url: str, version: str, fields: dict[str, Any]) -> Any:
    return _shown(_client(url).predictions.create(version=version, input=fields))


def get(url: str, prediction_id: str) -> Any:
    return _shown(_client(url).predictions.get(prediction_id))


def cancel(url: str, prediction_id: str) -> Any:
    return _shown(_client(url).predictions.cancel(prediction_id))


def upload(url: str, name: str, content: str) -> Any:
    file = io.BytesIO(content.encode("latin-1"))
    file.name = name
    return _client(url).files.create(file).urls


def typed_create(url: str, owner: str, name: str, fields: dict[str, Any], cancel_after: str) -> Any:
    """What the client that is made from the OpenAPI document sends and reads."""
    made = _typed(url).models.predictions.create(
        model_owner=owner, model_name=name, input=fields, cancel_after=cancel_after
    )
    return made.to_dict()


def typed_get(url: str, prediction_id: str) -> Any:
    return _typed(url).predictions.get(prediction_id=prediction_id).to_dict()


def validate(body: dict[str, Any]) -> None:
    """Check a body against the typed request, with nothing unknown in it. Raises a ValidationError."""
    from pydantic import ConfigDict, TypeAdapter
    from replicate.types.models.prediction_create_params import PredictionCreateParams

    PredictionCreateParams.__pydantic_config__ = ConfigDict(extra="forbid")  # type: ignore[attr-defined]
    TypeAdapter(PredictionCreateParams).validate_python({"model_owner": "o", "model_name": "n", **body})


def _client(url: str) -> Any:
    from replicate import Client

    return Client(api_token="r8_fake-key", base_url=url)


def _typed(url: str) -> Any:
    from replicate import Replicate

    return Replicate(bearer_token="r8_fake-key", base_url=f"{url}/v1", max_retries=0)


def _shown(prediction: Any) -> dict[str, Any]:
    return {name: getattr(prediction, name) for name in ("id", "status", "error", "model", "version")} | {
        "output": _plain(prediction.output)
    }


def _plain(output: Any) -> Any:
    if isinstance(output, list):
        return [_plain(item) for item in output]
    return str(output) if output is not None else None
