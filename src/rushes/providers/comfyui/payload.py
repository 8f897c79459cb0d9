"""A request as a filled workflow: pure functions, tested without a network."""

from __future__ import annotations

import copy
import mimetypes
import uuid
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from rushes.catalogue.model import Audio, Model
from rushes.catalogue.size import pixels
from rushes.domain.request import InputMedia, Json, Role, VideoRequest
from rushes.errors import ProviderRejected, UnsupportedOption
from rushes.providers.comfyui.binding import PREFIX_INPUT, Value, Workflow
from rushes.providers.comfyui.graph import is_link

NAMESPACE: Final = uuid.UUID("7d1b4f0e-8c0a-5f3b-9d43-6c2c9a3e51d7")
"""Ours; prompt ids are made in it."""

FOLDER: Final = "rushes"
SEEDS: Final = 2**32


def prompt_id_of(attempt_id: str) -> str:
    """The prompt id of an attempt: ComfyUI takes UUIDs alone, since 0.25."""
    return str(uuid.uuid5(NAMESPACE, attempt_id))


def file_name_of(item: InputMedia, index: int) -> str:
    """What an input file is called at the server."""
    extension = mimetypes.guess_extension(item.content_type) or ""
    return f"{item.role.value}-{index}{extension}"


def filled(
    workflow: Workflow,
    model: Model,
    request: VideoRequest,
    files: Mapping[Role, Sequence[str]],
    *,
    prompt_id: str,
) -> dict[str, Any]:
    """The workflow for one video; `files` are the names that the uploads got.

    Raises UnsupportedOption for an option without a binding, and for additional_params that no input can hold.
    """
    graph: dict[str, Any] = copy.deepcopy(dict(workflow.graph))
    _refuse_unbound(workflow, model, request)
    for value, given in _values(workflow, model, request, prompt_id):
        for place in workflow.places(value):
            graph[place.node]["inputs"][place.input] = given
    for role in Role:
        names = files.get(role, ())
        for index, file in enumerate(workflow.bind.files(role)):
            if index < len(names):
                for place in workflow.places(file):
                    graph[place.node]["inputs"][place.input] = names[index]
                continue
            if not file.unlink:
                raise UnsupportedOption(f"{role.field} is missing; '{model.id}' makes no video without it", role.field)
            for place in workflow.unlinked(file):
                graph[place.node]["inputs"].pop(place.input, None)
    return graph


def _values(workflow: Workflow, model: Model, request: VideoRequest, prompt_id: str) -> Iterator[tuple[Value, Json]]:
    bind = workflow.bind
    yield bind.prompt, request.prompt
    # Without one, the file's own seed would make equal prompts equal videos, out of the server's cache.
    seed = uuid.UUID(prompt_id).int % SEEDS if request.seed is None else request.seed
    for value, given in (
        (bind.negative_prompt, request.negative_prompt),
        (bind.seed, seed),
        (bind.aspect_ratio, request.aspect_ratio),
        (bind.resolution, request.resolution),
        (bind.generate_audio, request.generate_audio),
        # Of its own for each attempt, so that the cache never gives two jobs one file.
        (bind.filename_prefix, f"{FOLDER}/{prompt_id}"),
    ):
        if value is not None and given is not None:
            yield value, given
    if bind.filename_prefix is None:
        yield from _prefix(workflow, prompt_id)
    if bind.duration is not None and request.duration_s is not None:
        yield bind.duration, bind.duration.of(request.duration_s)
    if bind.width is not None and bind.height is not None and request.resolution and request.aspect_ratio:
        width, height = _size(model, request.resolution, request.aspect_ratio)
        yield bind.width, bind.width.of(width)
        yield bind.height, bind.height.of(height)
    for name, given in request.additional_params.items():
        yield bind.params[name], _plain(name, given)


def _prefix(workflow: Workflow, prompt_id: str) -> Iterator[tuple[Value, Json]]:
    held = workflow.graph[workflow.output]["inputs"].get(PREFIX_INPUT)
    if held is not None and not is_link(held):
        yield Value(at=(f"{workflow.output}.{PREFIX_INPUT}",)), f"{FOLDER}/{prompt_id}"


def _refuse_unbound(workflow: Workflow, model: Model, request: VideoRequest) -> None:
    # What a model does not offer is refused when a job is created, and what its entry must not offer when the service
    # starts. This is for both being wrong: what cannot be said is never dropped in silence.
    bind = workflow.bind
    fixed_sound = {Audio.ALWAYS: True, Audio.NEVER: False}.get(model.audio)
    has_size = bind.width is not None and bind.height is not None
    unbound = {
        "n": request.n > 1,
        "person_generation": request.person_generation is not None,
        "negative_prompt": request.negative_prompt is not None and bind.negative_prompt is None,
        "seed": request.seed is not None and bind.seed is None,
        "duration": request.duration_s is not None and bind.duration is None,
        "resolution": request.resolution is not None and not has_size and bind.resolution is None,
        "aspect_ratio": request.aspect_ratio is not None and not has_size and bind.aspect_ratio is None,
        "generate_audio": request.generate_audio is not None
        and bind.generate_audio is None
        and request.generate_audio is not fixed_sound,
        **{role.field: len(request.media_for(role)) > len(bind.files(role)) for role in Role},
    }
    for field, is_unbound in unbound.items():
        if is_unbound:
            raise UnsupportedOption(f"{field} is not bound in the workflow of '{model.id}'", field=field)
    if has_size and (request.resolution is None) is not (request.aspect_ratio is None):
        field = "resolution" if request.aspect_ratio is None else "aspect_ratio"
        raise UnsupportedOption(f"{field} alone is no size for the workflow of '{model.id}'", field=field)
    for name in request.additional_params:
        if name not in bind.params:
            raise UnsupportedOption(
                f"additional_params '{name}' is not bound in the workflow of '{model.id}'", field="additional_params"
            )


def _size(model: Model, resolution: str, aspect_ratio: str) -> tuple[int, int]:
    size = model.sizes.get(resolution, {}).get(aspect_ratio) or pixels(resolution, aspect_ratio)
    if size is None:
        raise ProviderRejected(f"resolution '{resolution}' at aspect_ratio '{aspect_ratio}' is no size in pixels")
    width, _, height = size.partition("x")
    return int(width), int(height)


def _plain(name: str, given: Json) -> Json:
    # A list would be a link to any node of the workflow.
    if isinstance(given, str | int | float | bool):
        return given
    raise UnsupportedOption(
        f"additional_params '{name}' must be a text, a number, true or false", field="additional_params"
    )
