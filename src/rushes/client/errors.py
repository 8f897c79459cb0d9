"""Every error that the clients raise on purpose.

ClientError
├── Refused                     the service answered with an error: status, code, detail, request_id, suggestions
│   ├── BadRequest              400, 413, 415, 422 and any other 4xx: the request is at fault
│   ├── NotAllowed              401, 403: no key, or a key that is not accepted
│   ├── NotFound                404, 410: it does not exist, or was deleted
│   ├── Conflict                409: the state of the thing does not allow it
│   ├── LimitReached            402, 429: a spend or rate limit; `retry_after_s` where known
│   └── ServiceUnavailable      5xx
├── Unreachable                 no answer: refused, cut off, timed out
├── UnexpectedAnswer            an answer of something other than a rushes service
├── JobFailed                   the job ended without a video: error_code, job
├── NotFinished                 the job has not ended, so there is nothing to fetch yet
├── WaitedTooLong               the time limit has passed; the job continues
├── NotWhole                    the bytes differ from the announced size or SHA-256
├── AlreadyThere                the file exists, and `replace` is False
├── BadSignature                a webhook without a valid signature, or an old one
└── NotConfigured               no API key, or an invalid address; also a ValueError
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rushes.client.answers import JobState


class ClientError(Exception):
    """Base of all errors that the clients raise on purpose; `detail` is one sentence that is safe to show."""

    status: int | None = None
    code: str = "client_error"
    request_id: str | None = None

    def __init__(self, detail: str) -> None:
        super().__init__(detail)
        self.detail = detail


class Refused(ClientError):
    """The service answered with an error; `code` is stable, and `request_id` finds the request in the log."""

    def __init__(
        self,
        detail: str,
        *,
        status: int,
        code: str,
        request_id: str | None = None,
        suggestions: Sequence[str] = (),
        retry_after_s: float | None = None,
    ) -> None:
        super().__init__(detail)
        self.status: int = status
        self.code = code
        self.request_id = request_id
        self.suggestions = tuple(suggestions)
        self.retry_after_s = retry_after_s


class BadRequest(Refused):
    """The request is at fault; the same request fails again."""


class NotAllowed(Refused):
    """The key or the link is missing, unknown, expired or revoked."""


class NotFound(Refused):
    """It does not exist in this account, or it was deleted."""


class Conflict(Refused):
    """The state of the thing does not allow this."""


class LimitReached(Refused):
    """A spend, rate or queue limit."""


class ServiceUnavailable(Refused):
    """The service cannot do this now, or failed."""


class Unreachable(ClientError):
    """No answer came. Whether the request arrived is not known."""

    code = "unreachable"


class UnexpectedAnswer(ClientError):
    """Something other than a rushes service answered."""

    code = "unexpected_answer"


class JobFailed(ClientError):
    """The job ended without a video. `error_code` (also `code`) is stable, and `job` is its last state."""

    def __init__(self, job: JobState) -> None:
        self.error_code = job.error_code or "failed"
        super().__init__(f"{job.error or 'the job failed'} ({self.error_code}; job {job.id})")
        self.code = self.error_code
        self.job = job


class NotFinished(ClientError):
    """The job has not ended, so there is nothing to fetch yet."""

    code = "not_finished"


class WaitedTooLong(ClientError):
    """The time limit of the wait has passed; the job continues."""

    code = "waited_too_long"

    def __init__(self, detail: str, job_id: str) -> None:
        super().__init__(detail)
        self.job_id = job_id


class NotWhole(ClientError):
    """The bytes differ from the announced size or SHA-256; no file was written."""

    code = "not_whole"


class AlreadyThere(ClientError):
    """The file to write exists; nothing was changed."""

    code = "already_there"


class BadSignature(ClientError):
    """The webhook has no valid signature, or it is too old."""

    code = "bad_signature"


class NotConfigured(ClientError, ValueError):
    """The client lacks an API key, or its address is invalid."""

    code = "not_configured"


def refused(
    status: int,
    detail: str,
    *,
    code: str,
    request_id: str | None = None,
    suggestions: Sequence[str] = (),
    retry_after_s: float | None = None,
) -> Refused:
    """The error for this HTTP status."""
    kind = _KIND_OF_STATUS.get(status, ServiceUnavailable if status >= 500 else BadRequest)
    return kind(
        detail,
        status=status,
        code=code,
        request_id=request_id,
        suggestions=suggestions,
        retry_after_s=retry_after_s,
    )


_KIND_OF_STATUS: dict[int, type[Refused]] = {
    401: NotAllowed,
    402: LimitReached,
    403: NotAllowed,
    404: NotFound,
    409: Conflict,
    410: NotFound,
    429: LimitReached,
}
