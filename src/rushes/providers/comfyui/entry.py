"""A configured ComfyUI server and its workflows as catalogue entries: what follows from the bindings, and defaults."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Final

from rushes.catalogue.load import ProviderEntry
from rushes.catalogue.model import Audio, Model
from rushes.catalogue.size import pixels
from rushes.domain.request import Role
from rushes.errors import FieldError
from rushes.providers.base import Provider
from rushes.providers.comfyui.binding import Bind, Workflow, workflow_of
from rushes.providers.comfyui.graph import WrongWorkflowError, graph_of
from rushes.providers.declaration import Parts
from rushes.providers.own_server import (
    OWN_GPU,
    OwnServer,
    OwnServerOptions,
    WrongTableError,
    choose_defaults,
    derive_from_sizes,
)

LARGEST_WORKFLOW_BYTES: Final = 8 * 1024 * 1024
OWN_FIELDS: Final = ("workflow", "bind", "output", "steps")
"""What is written for a workflow besides the fields of the catalogue."""

DEFAULTS: Final[Mapping[str, Any]] = {
    **OWN_GPU,
    "prompt_chars": 10_000,
    "max_n": 10,
    "usual_s": 120,
    "poll_interval_s": 2,
    "can_cancel": True,
    "reports_progress": True,
}


class ServerOptions(OwnServerOptions):
    """What an operator writes for a server besides its key."""


@dataclass(frozen=True, slots=True)
class Server(OwnServer):
    """One configured server. Paths of workflows begin in `folder`."""

    is_checked: ClassVar[bool] = True

    name: str
    base_url: str
    folder: Path
    key_header: str = "Authorization"
    needs_key: bool = False
    listed: Sequence[Mapping[str, Any]] = ()
    discovers: bool = False
    """Never: what a server can make is in the workflows."""

    @property
    def entry(self) -> ProviderEntry:
        return ProviderEntry(provider=self.name, name=self.name)

    def table_of(self, written: Mapping[str, Any]) -> dict[str, Any]:
        try:
            graph = graph_of(_text(self.folder, written.get("workflow")))
            return table_of(graph, written)
        except WrongWorkflowError as exc:
            raise WrongTableError(exc.field, exc.message) from exc

    def unlisted(self, model_id: str) -> dict[str, Any]:
        return {"id": model_id, "name": model_id, **DEFAULTS}

    def unsayable(self, model: Model) -> FieldError | None:
        return next(_unsayable(model), None)

    def open(self, parts: Parts) -> Provider:
        from rushes.providers.comfyui.adapter import Comfyui

        return Comfyui(parts.client, self, clock=parts.clock)


def configured(name: str, options: ServerOptions, needs_key: bool, folder: Path) -> Server:
    """The server that these options describe."""
    assert options.base_url is not None
    return Server(name, options.base_url, folder, options.key_header, needs_key, options.models)


def table_of(graph: Mapping[str, Any], written: Mapping[str, Any]) -> dict[str, Any]:
    """The model's table: `written` wins, then what the bindings offer. Raises WrongWorkflowError."""
    output = written.get("output")
    if output is not None and not isinstance(output, str):
        raise WrongWorkflowError("output", "it is not the id or title of one node")
    workflow = workflow_of(graph, written.get("bind"), output, written.get("steps"))
    bind = workflow.bind
    said = {name: value for name, value in written.items() if name not in OWN_FIELDS}
    table = {**DEFAULTS, **_offered(bind), **said}
    table["wire"] = {
        "graph": graph,
        "bind": written.get("bind"),
        "output": workflow.output,
        "steps": list(workflow.steps),
    }
    table.setdefault("name", table.get("id"))
    derive_from_sizes(table, written)
    choose_defaults(table)
    if bind.video is not None and "tasks" not in written:
        raise WrongWorkflowError("tasks", "say what is done to the video, such as { edit = {} }, extend or upscale")
    return table


def workflow_in(model: Model) -> Workflow | None:
    """The workflow that an entry carries, or None if its model is not listed, or no longer."""
    wire = model.wire
    return None if not wire else workflow_of(wire["graph"], wire["bind"], wire["output"], wire["steps"])


def _text(folder: Path, written: object) -> str:
    if not isinstance(written, str) or not written:
        raise WrongWorkflowError("workflow", "name the file of a workflow in API format, such as 'workflows/wan.json'")
    path = folder / written
    try:
        with path.open("rb") as file:
            content = file.read(LARGEST_WORKFLOW_BYTES + 1)
        if len(content) > LARGEST_WORKFLOW_BYTES:
            raise WrongWorkflowError("workflow", f"'{path}' is larger than {LARGEST_WORKFLOW_BYTES} bytes")
        return content.decode("utf-8")
    except (OSError, ValueError) as exc:
        reason = exc.strerror if isinstance(exc, OSError) else "it is not UTF-8"
        raise WrongWorkflowError("workflow", f"'{path}' cannot be read: {reason}") from exc


def _offered(bind: Bind) -> dict[str, Any]:
    """What the bindings alone say of a model."""
    files = {role.value: bind.files(role) for role in Role}
    return {
        "seed": bind.seed is not None,
        "negative_prompt": bind.negative_prompt is not None,
        "audio": "never" if bind.generate_audio is None else "optional",
        "inputs": {role: len(found) for role, found in files.items() if found},
        "required_inputs": [role for role, found in files.items() if any(not file.unlink for file in found)],
        "additional_params": list(bind.params),
    }


def _unsayable(model: Model) -> Iterator[FieldError]:
    workflow = workflow_in(model)
    if workflow is None:
        return
    bind = workflow.bind
    for field, offered, is_bound in (
        ("seed", model.seed, bind.seed is not None),
        ("negative_prompt", model.negative_prompt, bind.negative_prompt is not None),
        ("durations_s", bool(model.durations_s), bind.duration is not None),
        ("resolutions", bool(model.resolutions), _has_size(bind) or bind.resolution is not None),
        ("aspect_ratios", bool(model.aspect_ratios), _has_size(bind) or bind.aspect_ratio is not None),
        ("audio", model.audio is Audio.OPTIONAL, bind.generate_audio is not None),
    ):
        if offered and not is_bound:
            yield FieldError(field, "it is offered, but nothing is bound to it; add it to bind")
    for field, is_bound, offered in (
        ("durations_s", bind.duration is not None, bool(model.durations_s)),
        ("sizes", _has_size(bind), bool(model.resolutions) and bool(model.aspect_ratios)),
        ("resolutions", bind.resolution is not None, bool(model.resolutions)),
        ("aspect_ratios", bind.aspect_ratio is not None, bool(model.aspect_ratios)),
    ):
        if is_bound and not offered:
            yield FieldError(field, "it is bound, so list the values that may be asked for")
    if (bind.width is None) is not (bind.height is None):
        yield FieldError("bind", "width and height make a size together; bind both or neither")
    yield from _inputs(model, bind)
    if model.n_per_call > 1:
        yield FieldError("n_per_call", "a run of a workflow makes one video")
    if model.person_generation:
        yield FieldError("person_generation", "it cannot be bound")
    for resolution in model.resolutions if _has_size(bind) else ():
        for ratio in model.aspect_ratios:
            if ratio not in model.sizes.get(resolution, {}) and pixels(resolution, ratio) is None:
                yield FieldError("resolutions", f"'{resolution}' at '{ratio}' is no size we know; say it in sizes")


def _inputs(model: Model, bind: Bind) -> Iterator[FieldError]:
    for role, count in model.inputs.items():
        bound = len(bind.files(role))
        if count > bound:
            yield FieldError(f"inputs.{role}", f"{count} files are offered, and {bound} bound")
    for role in Role:
        required = sum(not file.unlink for file in bind.files(role))
        if required and role not in model.required_inputs:
            yield FieldError("required_inputs", f"'{role}' has to be given; or add unlink to its binding")
        if required > 1 or (required and model.inputs.get(role, 0) < required):
            yield FieldError(f"bind.{role}", "one file can be required; give the others unlink")


def _has_size(bind: Bind) -> bool:
    return bind.width is not None and bind.height is not None
