"""A job as one of Google's long-running operations: on the Gemini API with links, on Vertex AI with the videos."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from rushes.api.gemini.names import FileName, operation_name
from rushes.api.gemini.rpc import FILTERED, rpc_status
from rushes.api.gemini.shapes import GeminiOperation, OperationMetadata, Samples, VertexOperation, VertexResponse
from rushes.api.gemini.surface import GEMINI
from rushes.domain.job import Job, Problem
from rushes.views.times import rfc3339

GEMINI_RESPONSE: Final = "type.googleapis.com/google.ai.generativelanguage.v1beta.PredictLongRunningResponse"
VERTEX_RESPONSE: Final = "type.googleapis.com/cloud.ai.large_models.vision.GenerateVideoResponse"


def file_uri(base: str, file: FileName) -> str:
    """Where a video is downloaded with a key; `base` is where the service is reached."""
    return f"{base}{GEMINI}/files/{file}:download?alt=media"


def gemini_operation(job: Job, base: str, now_ms: int) -> GeminiOperation:
    """The operation as the Gemini API shows it."""
    operation: GeminiOperation = {
        "name": operation_name(job),
        "metadata": _metadata(job, now_ms),
        "done": job.status.is_final,
    }
    if not job.status.is_final:
        return operation
    if job.problem is not None and job.problem.code != FILTERED:
        operation["error"] = rpc_status(job.problem)
        return operation
    samples: Samples = {}
    if job.problem is not None:
        samples["raiMediaFilteredCount"] = job.request.n
        samples["raiMediaFilteredReasons"] = [job.problem.message]
    else:
        samples["generatedSamples"] = [
            {"video": {"uri": file_uri(base, FileName(job.id, index)), "encoding": video.content_type}}
            for index, video in enumerate(job.outputs)
        ]
    operation["response"] = {"@type": GEMINI_RESPONSE, "generateVideoResponse": samples}
    return operation


def vertex_operation(job: Job, name: str, now_ms: int, slot_of: Callable[[int], str] | None) -> VertexOperation:
    """The operation as Vertex AI shows it. `slot_of` gives what stands for the base64 of a video, by its index.

    Without it the videos are no longer kept, and the operation says so.
    """
    operation: VertexOperation = {"name": name, "metadata": _metadata(job, now_ms), "done": job.status.is_final}
    if not job.status.is_final:
        return operation
    problem = job.problem
    if problem is None and slot_of is None:
        problem = Problem("file_expired", f"The video of job '{job.id}' is no longer kept")
    if problem is not None and problem.code != FILTERED:
        operation["error"] = rpc_status(problem)
        return operation
    response: VertexResponse = {"@type": VERTEX_RESPONSE, "raiMediaFilteredCount": 0}
    if problem is not None:
        response["raiMediaFilteredCount"] = job.request.n
        response["raiMediaFilteredReasons"] = [problem.message]
    elif slot_of is not None:
        response["videos"] = [
            {"bytesBase64Encoded": slot_of(index), "mimeType": video.content_type}
            for index, video in enumerate(job.outputs)
        ]
    operation["response"] = response
    return operation


def _metadata(job: Job, now_ms: int) -> OperationMetadata:
    return {
        "createTime": rfc3339(job.created_at),
        "progressPercent": job.percent(now_ms),
        "servedModel": job.served_name,
        "warnings": list(job.warnings),
    }
