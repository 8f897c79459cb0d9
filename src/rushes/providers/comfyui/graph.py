"""A workflow as ComfyUI exports it for its API: nodes by id, each with a class and inputs.

An input is a value, or a link to another node's output: `[node id, number of the output]`.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from rushes.catalogue.wording import shown
from rushes.near_names import near_names

LISTED: Final = 12
"""How many nodes or inputs an error lists."""

Graph = Mapping[str, Mapping[str, Any]]


class WrongWorkflowError(Exception):
    """Something of a workflow or its bindings cannot be used. `field` is what the operator wrote it under."""

    def __init__(self, field: str, message: str) -> None:
        super().__init__(message)
        self.field = field
        self.message = message


@dataclass(frozen=True, slots=True, order=True)
class Place:
    """One input of one node."""

    node: str
    input: str

    def __str__(self) -> str:
        return f"{self.node}.{self.input}"


def graph_of(text: str) -> Graph:
    """The workflow in a file's text. Raises WrongWorkflowError for what ComfyUI would not run."""
    try:
        content = json.loads(text)
    except (ValueError, RecursionError) as exc:
        raise _wrong(f"it is not JSON: {exc}") from exc
    if isinstance(content, dict) and isinstance(content.get("nodes"), list):
        raise _wrong(
            "it is the workflow as the editor saves it, which ComfyUI's API does not run; "
            "use Workflow > Export (API) in ComfyUI and name that file"
        )
    if isinstance(content, dict) and isinstance(content.get("prompt"), dict) and "class_type" not in content["prompt"]:
        raise _wrong("it is the body of a call to /prompt; keep only what is under 'prompt'")
    if not isinstance(content, dict) or not content:
        raise _wrong("it has no nodes: an object of nodes by their ids is expected")
    for node_id, node in content.items():
        if not isinstance(node, dict) or not isinstance(node.get("inputs"), dict):
            raise _wrong(f"node {shown(node_id)} is not an object with class_type and inputs")
        if not isinstance(node.get("class_type"), str):
            raise _wrong(
                f"node {shown(node_id)} has no class_type, because the ComfyUI that exported it did not know the node; "
                "install its extension there and export again"
            )
    for node_id, node in content.items():
        for name, value in node["inputs"].items():
            if is_link(value) and value[0] not in content:
                raise _wrong(
                    f"{label(content, node_id)}: input '{name}' is linked to node '{value[0]}', which is not there"
                )
    return content


def is_link(value: object) -> bool:
    """Whether an input's value is a link to another node."""
    return (
        isinstance(value, list)
        and len(value) == 2
        and isinstance(value[0], str)
        and isinstance(value[1], int)
        and not isinstance(value[1], bool)
    )


def title(graph: Graph, node_id: str) -> str | None:
    """What the editor shows over the node, if the export says it."""
    meta = graph[node_id].get("_meta")
    found = meta.get("title") if isinstance(meta, Mapping) else None
    return found if isinstance(found, str) and found else None


def label(graph: Graph, node_id: str) -> str:
    """A node as messages name it."""
    kind, name = graph[node_id]["class_type"], title(graph, node_id)
    return f"node '{node_id}' ({kind})" if name in (None, kind) else f"node '{node_id}' ('{name}', {kind})"


def node_named(graph: Graph, name: str, *, field: str) -> str:
    """The id of the node with this id, or else with this title. Raises WrongWorkflowError."""
    if name in graph:
        return name
    titled = [node_id for node_id in graph if title(graph, node_id) == name]
    if len(titled) == 1:
        return titled[0]
    if titled:
        raise WrongWorkflowError(
            field, f"{len(titled)} nodes have the title {shown(name)}: {_listed(titled)}; name the node by its id"
        )
    raise WrongWorkflowError(field, f"the workflow has no node {shown(name)}; {_nodes_near(graph, name)}")


def place_named(graph: Graph, written: str, *, field: str) -> Place:
    """The input that `ID.input` or `Title.input` names. Titles and inputs may have dots; ids have none.

    Raises WrongWorkflowError naming the node, the input and what there is.
    """
    node_id, _, name = written.partition(".")
    if node_id not in graph:
        splits = [index for index, char in enumerate(written) if char == "."]
        known = [index for index in splits if any(title(graph, one) == written[:index] for one in graph)]
        if not splits:
            raise WrongWorkflowError(field, f"{shown(written)} is not NODE.INPUT, such as '6.text'")
        at = known[-1] if known else splits[-1]
        node_id, name = node_named(graph, written[:at], field=field), written[at + 1 :]
    inputs = graph[node_id]["inputs"]
    if name not in inputs:
        has = f"its inputs are {_listed(inputs)}" if inputs else "it has no inputs"
        raise WrongWorkflowError(field, f"{label(graph, node_id)} has no input {shown(name)}; {has}")
    return Place(node_id, name)


def leading_to(graph: Graph, node_id: str) -> Iterator[str]:
    """The node itself, and every node that it depends on: what runs when its output is asked for."""
    waiting, seen = [node_id], {node_id}
    while waiting:
        here = waiting.pop()
        yield here
        for value in graph[here]["inputs"].values():
            if is_link(value) and value[0] not in seen:
                seen.add(value[0])
                waiting.append(value[0])


def _nodes_near(graph: Graph, name: str) -> str:
    titles = {node_id: title(graph, node_id) or graph[node_id]["class_type"] for node_id in graph}
    near = near_names(name, [*titles, *titles.values()], most=1)
    if near:
        return f"did you mean '{near[0]}'?"
    return f"it has {_listed(f'{node_id} ({titles[node_id]})' for node_id in titles)}"


def _listed(names: Any) -> str:
    every = [str(name) for name in names]
    more = f" and {len(every) - LISTED} more" if len(every) > LISTED else ""
    return ", ".join(f"'{name}'" for name in every[:LISTED]) + more


def _wrong(message: str) -> WrongWorkflowError:
    return WrongWorkflowError("workflow", message)
