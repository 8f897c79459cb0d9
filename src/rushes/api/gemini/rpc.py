"""How a job that failed is said in google.rpc.Status, which operations and interactions carry."""

from __future__ import annotations

from typing import Any, Final

from rushes.api.gemini.errors import DOMAIN, TYPES
from rushes.api.gemini.shapes import RpcStatus
from rushes.domain.job import Problem

FILTERED: Final = "content_filtered"

INTERNAL: Final = 13
_CODE_OF: Final = {
    "cancelled": 1,
    "submission_unknown": 2,
    "provider_rejected": 3,
    FILTERED: 3,
    "expired": 4,
    "file_expired": 5,
    "provider_auth": 7,
    "provider_quota": 8,
    "aborted": 10,
    "provider_unavailable": 14,
    "output_lost": 15,
    "output_invalid": 15,
}
"""google.rpc.Code by our code of a problem; all others are INTERNAL."""


def rpc_status(problem: Problem) -> RpcStatus:
    """The problem as Google says it."""
    reason: dict[str, Any] = {
        "@type": f"{TYPES}ErrorInfo",
        "reason": problem.code.upper(),
        "domain": DOMAIN,
        "metadata": {} if problem.provider_error is None else {"provider_error": problem.provider_error},
    }
    return {"code": _CODE_OF.get(problem.code, INTERNAL), "message": problem.message, "details": [reason]}
