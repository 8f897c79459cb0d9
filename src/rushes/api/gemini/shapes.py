"""The shapes of Google's answers, for the OpenAPI document. What may be missing is left out, as Google does.

Most names are in camel case, which ours are not, so the types are made by calls.
"""

from __future__ import annotations

from typing import Any, NotRequired

# Not typing's: pydantic cannot read that one before Python 3.12.
from typing_extensions import TypedDict

RpcStatus = TypedDict("RpcStatus", {"code": int, "message": str, "details": NotRequired[list[dict[str, Any]]]})
"""Why an operation failed: a number of google.rpc.Code, a sentence, and our stable code in `details`."""

OperationMetadata = TypedDict(
    "OperationMetadata",
    {"createTime": str, "progressPercent": int, "servedModel": str, "warnings": list[str]},
)
"""What is ours to say of an operation, finished or not."""

FileLink = TypedDict("FileLink", {"uri": str, "encoding": str})
Sample = TypedDict("Sample", {"video": FileLink})
Samples = TypedDict(
    "Samples",
    {
        "generatedSamples": NotRequired[list[Sample]],
        "raiMediaFilteredCount": NotRequired[int],
        "raiMediaFilteredReasons": NotRequired[list[str]],
    },
)
GeminiResponse = TypedDict("GeminiResponse", {"@type": str, "generateVideoResponse": Samples})
GeminiOperation = TypedDict(
    "GeminiOperation",
    {
        "name": str,
        "metadata": OperationMetadata,
        "done": bool,
        "error": NotRequired[RpcStatus],
        "response": NotRequired[GeminiResponse],
    },
)

InlineBytes = TypedDict("InlineBytes", {"bytesBase64Encoded": str, "mimeType": str})
VertexResponse = TypedDict(
    "VertexResponse",
    {
        "@type": str,
        "videos": NotRequired[list[InlineBytes]],
        "raiMediaFilteredCount": int,
        "raiMediaFilteredReasons": NotRequired[list[str]],
    },
)
VertexOperation = TypedDict(
    "VertexOperation",
    {
        "name": str,
        "metadata": OperationMetadata,
        "done": bool,
        "error": NotRequired[RpcStatus],
        "response": NotRequired[VertexResponse],
    },
)

FileView = TypedDict(
    "FileView",
    {
        "name": str,
        "mimeType": str,
        "sizeBytes": str,
        "createTime": str,
        "expirationTime": NotRequired[str],
        "sha256Hash": str,
        "uri": str,
        "downloadUri": str,
        "state": str,
        "source": str,
    },
)

GoogleModel = TypedDict(
    "GoogleModel",
    {
        "name": str,
        "baseModelId": str,
        "version": str,
        "displayName": str,
        "description": str,
        "supportedGenerationMethods": list[str],
    },
)
GoogleModelPage = TypedDict("GoogleModelPage", {"models": list[GoogleModel], "nextPageToken": NotRequired[str]})

Block = TypedDict(
    "Block",
    {
        "type": str,
        "text": NotRequired[str],
        "mime_type": NotRequired[str],
        "uri": NotRequired[str],
        "data": NotRequired[str],
    },
)
Step = TypedDict("Step", {"type": str, "content": list[Block], "error": NotRequired[RpcStatus]})
InteractionFault = TypedDict("InteractionFault", {"code": str, "message": str})
InteractionView = TypedDict(
    "InteractionView",
    {
        "id": str,
        "object": str,
        "status": str,
        "model": str,
        "created": str,
        "updated": str,
        "previous_interaction_id": NotRequired[str],
        "steps": list[Step],
        "errors": NotRequired[list[InteractionFault]],
        "progress": int,
        "served_model": str,
        "warnings": list[str],
    },
)

Refused = TypedDict(
    "Refused", {"code": int | str, "message": str, "status": str, "details": list[dict[str, Any]]}
)  # fmt: skip
GoogleError = TypedDict("GoogleError", {"error": Refused})
