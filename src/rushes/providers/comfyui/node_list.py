"""A workflow held against the nodes that a server has (`GET /object_info/CLASS`): what would not run there, and why."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from rushes.catalogue.model import Model
from rushes.catalogue.size import pixels
from rushes.domain.request import Role
from rushes.providers.comfyui.binding import Number, Workflow
from rushes.providers.comfyui.graph import Place, is_link, label, leading_to

SHOWN_CHOICES: Final = 8

NodeList = Mapping[str, Mapping[str, Any] | None]
"""By class: what the server says of it, or None if it has no such node."""


def classes_of(workflow: Workflow) -> tuple[str, ...]:
    """The classes of the workflow's nodes, each once."""
    return tuple(dict.fromkeys(str(node["class_type"]) for node in workflow.graph.values()))


def misfits(model: Model, workflow: Workflow, known: NodeList) -> tuple[str, ...]:
    """One sentence for each thing of the workflow that the server cannot run."""
    return tuple(f"model '{model.id}': {sentence}" for sentence in _misfits(model, workflow, known))


def _misfits(model: Model, workflow: Workflow, known: NodeList) -> Iterator[str]:
    graph = workflow.graph
    # The server refuses a workflow for any node that it does not know, whether it would run or not.
    unknown = [node_id for node_id in graph if known.get(graph[node_id]["class_type"]) is None]
    for node_id in unknown:
        yield f"{label(graph, node_id)} is not known to the server; install the extension that has it"
    bound = dict(_bound(model, workflow))
    for node_id in sorted(leading_to(graph, workflow.output)):
        info = known.get(graph[node_id]["class_type"])
        if info is None:
            continue
        if node_id == workflow.output and not info.get("output_node"):
            yield f"output: {label(graph, node_id)} is not an output node"
        takes = _inputs(info)
        yield from _missing(label(graph, node_id), graph[node_id]["inputs"], info)
        for name, held in graph[node_id]["inputs"].items():
            where = f"{label(graph, node_id)}, input '{name}'"
            place = Place(node_id, name)
            if name not in takes and place in bound and "." not in name:
                yield f"{where} is bound, but the server's node has only {_listed(list(takes)) or 'no inputs'}"
            if name not in takes or (is_link(held) and place not in bound):
                continue
            for value in bound.get(place, [held]):
                yield from _unfit(where, value, takes[name])


def _bound(model: Model, workflow: Workflow) -> Iterator[tuple[Place, list[Any]]]:
    """Every bound input, with the values that are known to come: all lengths and sizes, but no text and no file."""
    bind = workflow.bind
    sizes = list(_sizes(model))
    numbers = {
        "duration": list(model.durations_s),
        "width": [width for width, _ in sizes],
        "height": [height for _, height in sizes],
    }
    texts = {"aspect_ratio": list(model.aspect_ratios), "resolution": list(model.resolutions)}
    for name, value in bind.values.items():
        coming: list[Any] = texts.get(name, [])
        if isinstance(value, Number):
            coming = [value.of(number) for number in numbers[name]]
        for place in workflow.places(value):
            yield place, coming
    for role in Role:
        for file in bind.files(role):
            for place in workflow.places(file):
                yield place, []


def _sizes(model: Model) -> Iterator[tuple[int, int]]:
    for resolution in model.resolutions:
        for ratio in model.aspect_ratios:
            size = model.sizes.get(resolution, {}).get(ratio) or pixels(resolution, ratio)
            if size is not None:
                width, _, height = size.partition("x")
                yield int(width), int(height)


def _missing(where: str, inputs: Mapping[str, Any], info: Mapping[str, Any]) -> Iterator[str]:
    for name, spec in _group(info, "required").items():
        # Types of this kind stand for inputs of other names, such as `format.codec`.
        if name not in inputs and not _type(spec).startswith("COMFY_"):
            yield f"{where} lacks input '{name}', which the server's node needs; export the workflow again there"


def _unfit(where: str, value: Any, spec: Sequence[Any]) -> Iterator[str]:
    settings = spec[1] if len(spec) > 1 and isinstance(spec[1], Mapping) else {}
    choices = spec[0] if spec and isinstance(spec[0], list) else settings.get("options")
    # Files come and go, and a remote list is read by the editor: the server itself does not look at these lists.
    is_open = any(str(name).endswith("_upload") or name == "remote" for name in settings)
    if isinstance(choices, list):
        # A choice that has inputs of its own is an object, and is judged by the server when it runs.
        is_plain = all(isinstance(choice, str | int | float) for choice in choices)
        if is_plain and not is_open and isinstance(value, str) and value not in choices:
            yield f"{where}: '{value}' is not among what the server has: {_listed(choices) or 'nothing'}"
        return
    least, most = settings.get("min"), settings.get("max")
    if isinstance(value, int | float) and not isinstance(value, bool):
        if isinstance(least, int | float) and value < least:
            yield f"{where}: {value} is less than {least}, the least that the server's node takes"
        if isinstance(most, int | float) and value > most:
            yield f"{where}: {value} is more than {most}, the most that the server's node takes"


def _inputs(info: Mapping[str, Any]) -> dict[str, Sequence[Any]]:
    return {**_group(info, "required"), **_group(info, "optional")}


def _group(info: Mapping[str, Any], name: str) -> dict[str, Sequence[Any]]:
    inputs = info.get("input")
    group = inputs.get(name) if isinstance(inputs, Mapping) else None
    if not isinstance(group, Mapping):
        return {}
    return {str(key): spec for key, spec in group.items() if isinstance(spec, list)}


def _type(spec: Sequence[Any]) -> str:
    return str(spec[0]) if spec else ""


def _listed(choices: Sequence[Any]) -> str:
    more = f" and {len(choices) - SHOWN_CHOICES} more" if len(choices) > SHOWN_CHOICES else ""
    return ", ".join(f"'{choice}'" for choice in choices[:SHOWN_CHOICES]) + more
