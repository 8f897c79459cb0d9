"""Runway's own client: runwayml. Its types judge our bodies too."""

from __future__ import annotations

import typing
from functools import cache
from typing import Any

import typing_extensions
from pydantic import ConfigDict, TypeAdapter
from runwayml import RunwayML
from runwayml.types import image_to_video_create_params, text_to_video_create_params, video_to_video_create_params

TYPES = {
    "text_to_video": text_to_video_create_params.TextToVideoCreateParams,
    "image_to_video": image_to_video_create_params.ImageToVideoCreateParams,
    "video_to_video": video_to_video_create_params.VideoToVideoCreateParams,
}


def create(url: str, endpoint: str, **fields: Any) -> Any:
    return getattr(_client(url), endpoint).create(**fields)


def retrieve(url: str, task_id: str) -> Any:
    return _client(url).tasks.retrieve(task_id)


def delete(url: str, task_id: str) -> None:
    _client(url).tasks.delete(task_id)


def models() -> dict[str, list[str]]:
    """The models that each endpoint has a type for."""
    return {endpoint: sorted(_by_model(endpoint)) for endpoint in TYPES}


def validate(endpoint: str, body: dict[str, Any]) -> None:
    """Check a body against the type of its model, with nothing unknown in it. Raises a ValidationError or KeyError."""
    kind = _by_model(endpoint)[body["model"]]
    _adapter(kind).validate_python(_renamed(body, kind), strict=True)


def problems(calls: list[tuple[str, dict[str, Any]]]) -> list[str]:
    """What the types find wrong in these bodies, each with its endpoint."""
    found = []
    for endpoint, body in calls:
        try:
            validate(endpoint, body)
        except (KeyError, ValueError) as error:
            found.append(f"{endpoint} {body}: {error}")
    return found


@cache
def _adapter(kind: Any) -> TypeAdapter[Any]:
    return TypeAdapter(kind)


@cache
def _by_model(endpoint: str) -> dict[str, Any]:
    found = {}
    for kind in typing.get_args(TYPES[endpoint]):
        (model,) = typing.get_args(_unwrapped(_hints(kind)["model"]))
        found[model] = kind
    return found


@cache
def _hints(kind: Any) -> dict[str, Any]:
    kind.__pydantic_config__ = ConfigDict(extra="forbid", strict=True)
    return typing_extensions.get_type_hints(kind, include_extras=True)


def _unwrapped(hint: Any) -> Any:
    while typing_extensions.get_origin(hint) in (typing_extensions.Required, typing.Annotated):
        hint = typing.get_args(hint)[0]
    return hint


def _alias(name: str, hint: Any) -> str:
    while typing_extensions.get_origin(hint) is typing_extensions.Required:
        (hint,) = typing.get_args(hint)
    for note in getattr(hint, "__metadata__", ()):
        if getattr(note, "alias", None):
            return note.alias
    return name


def _renamed(value: Any, hint: Any) -> Any:
    """Our names on the wire as the names that the types have in Python; unknown ones stay."""
    hint = _unwrapped(hint)
    if typing_extensions.is_typeddict(hint) and isinstance(value, dict):
        hints = _hints(hint)
        by_alias = {_alias(name, one): name for name, one in hints.items()}
        return {
            by_alias.get(name, f"unknown {name}"): _renamed(item, hints.get(by_alias.get(name, ""), Any))
            for name, item in value.items()
        }
    if isinstance(value, list):
        kinds = [one for one in _parts(hint) if typing_extensions.is_typeddict(one)]
        return [_renamed(item, kinds[0] if kinds else Any) for item in value]
    return value


def _parts(hint: Any) -> list[Any]:
    found = [_unwrapped(hint)]
    for part in typing.get_args(_unwrapped(hint)):
        found += _parts(part)
    return found


def _client(url: str) -> RunwayML:
    return RunwayML(base_url=url, api_key="fake", max_retries=0)
