"""Where a request's options go in a workflow, and how they are converted: what the operator writes under `bind`.

`bind = { prompt = "6.text", duration = { at = "55.length", times = 24, multiple = 4, plus = 1 } }`: a place is a node,
by id or title, and its input. Everything is data, so that one adapter serves every workflow.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Annotated, Final

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from rushes.catalogue.wording import listed
from rushes.domain.request import Role
from rushes.near_names import near_names
from rushes.providers.comfyui.graph import Graph, Place, WrongWorkflowError, is_link, label, node_named, place_named

SAVES_VIDEO: Final = ("SaveVideo", "VHS_VideoCombine", "SaveWEBM")
"""The nodes that an output is looked for among, if the operator names none."""

SAMPLES: Final = re.compile(r"KSampler(?!Select)|SamplerCustom")
"""Nodes whose steps are most of the work, by their class."""

PREFIX_INPUT: Final = "filename_prefix"


def _several(written: object) -> object:
    return (written,) if isinstance(written, str) else written


def _in_a_table(written: object) -> object:
    return {"at": written} if isinstance(written, str | list | tuple) else written


def _each(written: object) -> object:
    return (written,) if isinstance(written, str | Mapping) else written


Places = Annotated[tuple[str, ...], BeforeValidator(_several)]


class _Written(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Value(_Written):
    """An option that is put into one or several places as it is."""

    at: Places
    replaces_link: bool = False
    """Whether a place may hold a link, which the value then takes the place of."""


class Number(Value):
    """A number that is converted: `multiple * round(number * times / multiple) + plus`."""

    times: Annotated[float, Field(gt=0, le=1e6)] = 1
    multiple: Annotated[float, Field(ge=1e-6, le=1e6)] = 1
    plus: Annotated[float, Field(ge=-1e6, le=1e6)] = 0

    def of(self, number: float) -> float:
        """The number for the workflow; a whole one without a fraction."""
        converted = self.multiple * math.floor(number * self.times / self.multiple + 0.5) + self.plus
        return int(converted) if float(converted).is_integer() else converted


class File(Value):
    """An input file: its name at the server goes to the places."""

    unlink: Places = ()
    """Links that are taken out of the workflow when the file is not given. Without any, the file is required."""


Files = Annotated[tuple[Annotated[File, BeforeValidator(_in_a_table)], ...], BeforeValidator(_each)]


class Bind(_Written):
    """Everything that can be bound. What is not bound is not offered."""

    prompt: Annotated[Value, BeforeValidator(_in_a_table)]
    negative_prompt: Annotated[Value | None, BeforeValidator(_in_a_table)] = None
    seed: Annotated[Value | None, BeforeValidator(_in_a_table)] = None
    width: Annotated[Number | None, BeforeValidator(_in_a_table)] = None
    height: Annotated[Number | None, BeforeValidator(_in_a_table)] = None
    aspect_ratio: Annotated[Value | None, BeforeValidator(_in_a_table)] = None
    resolution: Annotated[Value | None, BeforeValidator(_in_a_table)] = None
    duration: Annotated[Number | None, BeforeValidator(_in_a_table)] = None
    generate_audio: Annotated[Value | None, BeforeValidator(_in_a_table)] = None
    filename_prefix: Annotated[Value | None, BeforeValidator(_in_a_table)] = None
    input_image: Annotated[File | None, BeforeValidator(_in_a_table)] = None
    last_frame: Annotated[File | None, BeforeValidator(_in_a_table)] = None
    video: Annotated[File | None, BeforeValidator(_in_a_table)] = None
    reference_image: Files = ()
    reference_video: Files = ()
    reference_audio: Files = ()
    params: dict[str, Annotated[Value, BeforeValidator(_in_a_table)]] = {}
    """Names that `additional_params` may hold."""

    def files(self, role: Role) -> tuple[File, ...]:
        """Where the files of a role go, in order."""
        found = getattr(self, role.value)
        if found is None:
            return ()
        return found if isinstance(found, tuple) else (found,)

    @property
    def values(self) -> Mapping[str, Value]:
        """Every option that is bound and not a file, by its name."""
        found = {name: getattr(self, name) for name in type(self).model_fields}
        values = {name: value for name, value in found.items() if isinstance(value, Value) and type(value) is not File}
        return values | {f"params.{name}": value for name, value in self.params.items()}


@dataclass(frozen=True, slots=True)
class Workflow:
    """A workflow with its bindings, checked against each other."""

    graph: Graph
    bind: Bind
    output: str
    """The node whose video is the result."""
    steps: tuple[str, ...]
    """The nodes whose steps are the progress; empty: every node counts alike."""

    def places(self, value: Value) -> tuple[Place, ...]:
        """The inputs that a value goes to."""
        return tuple(place_named(self.graph, written, field="bind") for written in value.at)

    def unlinked(self, file: File) -> tuple[Place, ...]:
        """The links that are taken out when a file is not given."""
        return tuple(place_named(self.graph, written, field="bind") for written in file.unlink)


def workflow_of(graph: Graph, bind: object, output: str | None, steps: object = None) -> Workflow:
    """The workflow with what the operator wrote for it. Raises WrongWorkflowError naming the field, node and input."""
    shape = _shape(bind)
    for field, value in (*shape.values.items(), *_files(shape)):
        _check_places(graph, f"bind.{field}", value)
    _check_twice(graph, shape)
    node = _output_of(graph) if output is None else node_named(graph, output, field="output")
    return Workflow(graph, shape, node, _steps(graph, steps))


def _files(shape: Bind) -> Iterator[tuple[str, File]]:
    for role in Role:
        for index, file in enumerate(shape.files(role)):
            yield (role.value if index == 0 else f"{role.value}.{index}"), file


def _shape(bind: object) -> Bind:
    if bind is None:
        bind = {}
    if isinstance(bind, Mapping) and "prompt" not in bind:
        raise WrongWorkflowError(
            "bind.prompt", "it is missing; name the place of the prompt, such as '6.text', or [] if it has no place"
        )
    try:
        return Bind.model_validate(bind)
    except ValidationError as exc:
        error = exc.errors(include_url=False, include_input=False)[0]
        path = [str(part) for part in error["loc"]]
        field = ".".join(["bind", *path])
        if error["type"] == "extra_forbidden":
            known = (
                list(Bind.model_fields)
                if len(path) == 1
                else ["at", "replaces_link", "times", "multiple", "plus", "unlink"]
            )
            near = near_names(path[-1], known, most=1)
            hint = f"did you mean '{near[0]}'?" if near else f"there are {listed(known)}"
            raise WrongWorkflowError(field, f"it cannot be bound; {hint}") from exc
        raise WrongWorkflowError(field, error["msg"]) from exc


def _check_places(graph: Graph, field: str, value: Value) -> None:
    if not value.at and field != "bind.prompt":
        raise WrongWorkflowError(field, "it names no place")
    for written in value.at:
        place = place_named(graph, written, field=field)
        held = graph[place.node]["inputs"][place.input]
        if is_link(held) and not value.replaces_link:
            raise WrongWorkflowError(
                field,
                f"input '{place.input}' of {label(graph, place.node)} is a link from {label(graph, held[0])} rather "
                "than a value; bind an input of that node, or write { at = ..., replaces_link = true }",
            )
    for written in value.unlink if isinstance(value, File) else ():
        place = place_named(graph, written, field=f"{field}.unlink")
        if not is_link(graph[place.node]["inputs"][place.input]):
            raise WrongWorkflowError(
                f"{field}.unlink", f"input '{place.input}' of {label(graph, place.node)} is a value rather than a link"
            )


def _check_twice(graph: Graph, shape: Bind) -> None:
    owners: dict[Place, str] = {}
    for field, value in (*shape.values.items(), *_files(shape)):
        for written in value.at:
            place = place_named(graph, written, field=f"bind.{field}")
            owner = owners.setdefault(place, field)
            if owner != field:
                raise WrongWorkflowError(f"bind.{field}", f"'{place}' is bound to {owner} already")
    for role in Role:
        required = [not file.unlink for file in shape.files(role)]
        if required != sorted(required, reverse=True):
            raise WrongWorkflowError(f"bind.{role.value}", "a file that may be left out comes after those that may not")


def _output_of(graph: Graph) -> str:
    found = [node_id for node_id, node in graph.items() if node["class_type"] in SAVES_VIDEO]
    if len(found) == 1:
        return found[0]
    if found:
        raise WrongWorkflowError(
            "output", f"{listed(found)} save a video each; name the node whose video is the result"
        )
    raise WrongWorkflowError(
        "output", f"no node of the workflow is one of {listed(SAVES_VIDEO)}; name the node that saves the video"
    )


def _steps(graph: Graph, written: object) -> tuple[str, ...]:
    if written is None:
        return tuple(node_id for node_id, node in graph.items() if SAMPLES.search(node["class_type"]))
    names = [written] if isinstance(written, str) else written
    if not isinstance(names, list | tuple) or not all(isinstance(name, str) for name in names):
        raise WrongWorkflowError("steps", "it is not a list of nodes, by id or title")
    return tuple(node_named(graph, name, field="steps") for name in names)
