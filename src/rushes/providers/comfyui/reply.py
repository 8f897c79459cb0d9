"""What a ComfyUI server answers, in our terms: pure functions over its JSON; unknown fields are ignored."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Final

from rushes.domain.output import Output
from rushes.domain.progress import Done, Failed, Handle, Progress, Working
from rushes.errors import ProviderAuth, ProviderError, ProviderRejected, UnexpectedResponse
from rushes.providers.comfyui.graph import Graph, Place, label
from rushes.providers.failure import Complaint, Reply, poll_error, quoted, said, submit_error
from rushes.providers.translation import Stage

OUTPUT_VERSION: Final = 1
LEAST_VERSION: Final = (0, 26)
"""The first release with `/api/jobs/{id}/cancel` (2026-06-19)."""

VIDEO_EXTENSIONS: Final = (".mp4", ".webm", ".mkv", ".mov")
UNKNOWN_JOB: Final = "Job not found"
SHOWN_ERRORS: Final = 3
SHOWN_CHOICES: Final = 8


STAGES: Final[Mapping[str, Stage]] = {
    "pending": Stage.WORKING,
    "in_progress": Stage.WORKING,
    "completed": Stage.DONE,
    "failed": Stage.FAILED,
    "cancelled": Stage.CANCELLED,
}


def progress_of(reply: Reply, handle: Handle, *, server: str, secret: str) -> Progress:
    """What a look at a job says. Raises ProviderUnavailable, ProviderQuota or UnexpectedResponse."""
    job = _object(reply.body)
    if is_unknown_job(reply):
        return Failed(
            ProviderRejected(
                f"{server} does not know, or no longer knows, this job: it was restarted, which empties its queue and "
                f"history, or the job was removed from its queue; a video that was finished is still in its output "
                f"folder, as 'rushes/{handle.get('id')}'",
                provider_error="not_found",
            )
        )
    if not reply.is_success:
        raise poll_error(reply, complaint_of(reply, secret=secret), provider=server)
    word = job.get("status")
    stage = STAGES.get(word) if isinstance(word, str) else None
    if stage is None:
        shown = said(word, secret=secret)[:60]
        raise UnexpectedResponse(f"{server} reports the undocumented status '{shown}'", provider_error=shown)
    if stage is Stage.WORKING:
        return Working()
    outputs = videos_of(job, handle.get("output"))
    if outputs:
        # A node after the save may have failed, or the cancellation came too late: the video is whole all the same.
        return Done(outputs[:1])
    return Failed(_why_ended(job, stage, server=server, secret=secret))


def is_running(reply: Reply) -> bool:
    """Whether the job runs now, rather than waiting in the server's queue."""
    return _object(reply.body).get("status") == "in_progress"


def is_unknown_job(reply: Reply) -> bool:
    """Whether the server says that it has no such job. A proxy's 404, or an old server's, says nothing of the job."""
    return reply.status == 404 and _object(reply.body).get("error") == UNKNOWN_JOB


def videos_of(job: Mapping[str, object], node: object) -> tuple[Output, ...]:
    """The videos that a job lists: those of the node, or if it is not known, every one in the output folder.

    SaveVideo lists them under `images` and VHS_VideoCombine under `gifs`, so the key says nothing.
    """
    outputs = _object(job.get("outputs"))
    listed = [_object(outputs.get(node))] if isinstance(node, str) else [_object(one) for one in outputs.values()]
    found: list[Output] = []
    for file in (file for by_kind in listed for files in by_kind.values() for file in _list(files)):
        name, folder, kind = (_object(file).get(key) for key in ("filename", "subfolder", "type"))
        if not isinstance(name, str) or not name.lower().endswith(VIDEO_EXTENSIONS):
            continue
        if kind == "output" or (kind == "temp" and isinstance(node, str)):
            subfolder = folder if isinstance(folder, str) else ""
            found.append({"version": OUTPUT_VERSION, "filename": name, "subfolder": subfolder, "type": kind})
    return tuple(found)


def fraction_of(state: Mapping[str, object], steps: Sequence[str], nodes: int) -> float | None:
    """How far a job is, from `progress_state`: the steps of these nodes, or all nodes of the workflow alike."""
    known = _object(state.get("nodes"))
    done = {node: _done(_object(one)) for node, one in known.items()}
    if steps:
        return sum(done.get(node, 0.0) for node in steps) / len(steps)
    return min(1.0, sum(done.values()) / nodes) if nodes > 0 else None


def complaint_of(reply: Reply, *, secret: str) -> Complaint:
    """What a server says is wrong: `{"error": {"type", "message", "details"}}`, or text."""
    error = _object(reply.body).get("error")
    if isinstance(error, str):
        return Complaint.of(f"HTTP {reply.status}", error, secret=secret)
    stated = _object(error)
    return Complaint.of(
        stated.get("type") or f"HTTP {reply.status}",
        _sentence(stated.get("message"), stated.get("details")),
        secret=secret,
    )


def why_refused(reply: Reply, graph: Graph, bound: Iterable[Place], *, server: str, secret: str) -> ProviderError:
    """Why a submit was not accepted: by node and input, and whether the request or the workflow is at fault."""
    complaint = complaint_of(reply, secret=secret)
    if reply.status != 400:
        return submit_error(reply, complaint, provider=server)
    errors = list(_node_errors(reply, graph))
    places = set(bound)
    own = [text for place, text in errors if place in places]
    words = said("; ".join((own or [text for _, text in errors])[:SHOWN_ERRORS]), secret=secret)
    if own:
        return ProviderRejected(f"{server} refused the request: {words}", provider_error=complaint.code)
    return ProviderRejected(
        f"the workflow does not fit {server}: {words or complaint.message or complaint.code}",
        provider_error=complaint.code,
    )


def why_not_uploaded(reply: Reply, field: str, *, server: str, secret: str) -> ProviderError | None:
    """Why a file was refused for good, or None if another try may succeed."""
    complaint = complaint_of(reply, secret=secret)
    if reply.status == 413:
        return ProviderRejected(
            f"{field} is larger than {server} takes; --max-upload-size raises its limit", provider_error="HTTP 413"
        )
    if reply.status in (401, 403):
        return ProviderAuth(
            f"{server} does not accept the key{quoted(complaint.message)}", provider_error=complaint.code
        )
    if 400 <= reply.status < 500 and reply.status not in (408, 429):
        return ProviderRejected(f"{server} refused {field}{quoted(complaint.message)}", provider_error=complaint.code)
    return None


def uploaded_name(reply: Reply) -> str | None:
    """How a workflow refers to an uploaded file: the server may have renamed it."""
    body = _object(reply.body)
    name, folder, kind = body.get("name"), body.get("subfolder"), body.get("type")
    if not isinstance(name, str) or not name:
        return None
    path = f"{folder}/{name}" if isinstance(folder, str) and folder else name
    return path if kind in (None, "input") else f"{path} [{kind}]"


def version_of(reply: Reply) -> str | None:
    """The release that a server says it is."""
    found = _object(_object(reply.body).get("system")).get("comfyui_version")
    return found if isinstance(found, str) and found else None


def is_too_old(version: str) -> bool:
    """Whether a release lacks what we need. One that cannot be read counts as new: it may be a build of one's own."""
    numbers = version.removeprefix("v").split(".")[:2]
    if len(numbers) < 2 or not all(number.isdigit() for number in numbers):
        return False
    return tuple(int(number) for number in numbers) < LEAST_VERSION


def _why_ended(job: Mapping[str, object], stage: Stage, *, server: str, secret: str) -> ProviderError:
    if stage is Stage.CANCELLED:
        return ProviderRejected(f"the job was stopped at {server}", provider_error="cancelled")
    if stage is Stage.DONE:
        names = ", ".join(VIDEO_EXTENSIONS)
        return ProviderRejected(
            f"{server} ran the workflow, and its output node lists no video ({names}); see output in the model's "
            "configuration",
            provider_error="no_video",
        )
    error = _object(job.get("execution_error"))
    # Only the first line: what follows may be a trace with the server's paths, and the inputs hold the prompt.
    first = str(error.get("exception_message") or "").strip().split("\n")[0]
    complaint = Complaint.of(error.get("exception_type") or "failed", first, secret=secret)
    node = f" at node '{said(error.get('node_id'), secret=secret)[:60]}'" if error.get("node_id") else ""
    kind = f" ({said(error.get('node_type'), secret=secret)[:60]})" if node and error.get("node_type") else ""
    return ProviderRejected(
        f"the workflow failed at {server}{node}{kind}{quoted(complaint.message)}", provider_error=complaint.code
    )


def _node_errors(reply: Reply, graph: Graph) -> Iterator[tuple[Place | None, str]]:
    body = _object(reply.body)
    for node_id, one in _object(body.get("node_errors")).items():
        name = label(graph, node_id) if node_id in graph else f"node '{node_id}'"
        for error in _list(_object(one).get("errors")):
            stated = _object(error)
            extra = _object(stated.get("extra_info"))
            input_name = extra.get("input_name")
            where = f"{name}, input '{input_name}'" if isinstance(input_name, str) else name
            place = Place(node_id, input_name) if isinstance(input_name, str) else None
            yield place, f"{where}: {_sentence(stated.get('message'), stated.get('details'))}{_allowed(extra)}"


def _allowed(extra: Mapping[str, object]) -> str:
    """What the input takes, where the server says it: a range, or the first choices."""
    config = extra.get("input_config")
    if not isinstance(config, list) or not config:
        return ""
    settings = _object(config[1]) if len(config) > 1 else {}
    choices = config[0] if isinstance(config[0], list) else settings.get("options")
    if isinstance(choices, list):
        more = f" and {len(choices) - SHOWN_CHOICES} more" if len(choices) > SHOWN_CHOICES else ""
        return f"; allowed are {', '.join(repr(one) for one in choices[:SHOWN_CHOICES])}{more}" if choices else ""
    if "min" in settings and "max" in settings:
        return f"; allowed are {settings['min']} to {settings['max']}"
    return ""


def _sentence(message: object, details: object) -> str:
    parts = [str(part) for part in (message, details) if isinstance(part, str) and part]
    return ": ".join(parts)


def _done(node: Mapping[str, object]) -> float:
    if node.get("state") == "finished":
        return 1.0
    value, most = node.get("value"), node.get("max")
    if not isinstance(value, int | float) or not isinstance(most, int | float) or most <= 0:
        return 0.0
    return min(1.0, max(0.0, value / most))


def _object(value: object) -> Mapping[str, object]:
    return value if isinstance(value, dict) else {}


def _list(value: object) -> Sequence[object]:
    return value if isinstance(value, list) else []
