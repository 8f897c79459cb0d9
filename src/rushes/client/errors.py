"""What can go wrong between a client and a service.

ClientError
├── Refused                     the service answered with an error: status, code, detail, request_id, suggestions
│   ├── BadRequest              400, 413, 415, 422 and any other 4xx: the request is at fault
│   ├── NotAllowed              401, 403: no key, or one that is not accepted
│   ├── NotFound                404, 410: no such thing, or it is no longer kept
│   ├── Conflict                409: the thing's state does not allow it
│   ├── LimitReached            402, 429: a spend or rate limit; `retry_after_s` where known
│   └── ServiceUnavailable      5xx
├── Unreachable                 no answer: refused, cut off, timed out
├── UnexpectedAnswer            an answer that is not a rushes service's
├── JobFailed                   the job ended without a video: error_code, job
├── NotFinished                 the job has not ended, so there is nothing to fetch yet
├── WaitedTooLong               the time given is over; the job goes on
├── NotWhole                    the video that arrived is not the one that was announced
├── AlreadyThere                the file to write exists, and replacing it was not asked for
├── BadSignature                a webhook that was not sent by who holds the secret, or long ago
└── NotConfigured               no API key, or an address that cannot be one; also a ValueError
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rushes.client.answers import JobState


class ClientError(Exception):
    """Base of everything the client raises on purpose; `detail` is one sentence safe to show."""

    status: int | None = None
    code: str = "client_error"
    request_id: str | None = None

    def __init__(self, detail: str) -> None:
        super().__init__(detail)
        self.detail = detail


class Refused(ClientError):
    """The service answered with an error; `code` is stable, `request_id` is what support asks for."""

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
    """The request is at fault; sending it again unchanged cannot help."""


class NotAllowed(Refused):
    """The key is missing, unknown, expired or revoked, or the link is."""


class NotFound(Refused):
    """There is no such thing in this account, or it is no longer kept."""


class Conflict(Refused):
    """The thing is in a state that does not allow this."""


class LimitReached(Refused):
    """A spend, rate or queue limit."""


class ServiceUnavailable(Refused):
    """The service cannot do this now, or failed."""


class Unreachable(ClientError):
    """No answer came. Whether the request arrived is not known."""

    code = "unreachable"


class UnexpectedAnswer(ClientError):
    """Something answered, but not as a rushes service does."""

    code = "unexpected_answer"


class JobFailed(ClientError):
    """The job ended without a video. `error_code` (also `code`) is stable, `job` is all that is known."""

    def __init__(self, job: JobState) -> None:
        self.error_code = job.error_code or "failed"
        super().__init__(f"{job.error or 'the job failed'} ({self.error_code}; job {job.id})")
        self.code = self.error_code
        self.job = job


class NotFinished(ClientError):
    """The job has not ended, so there is nothing to fetch yet."""

    code = "not_finished"


class WaitedTooLong(ClientError):
    """The time given for waiting is over; the job goes on."""

    code = "waited_too_long"

    def __init__(self, detail: str, job_id: str) -> None:
        super().__init__(detail)
        self.job_id = job_id


class NotWhole(ClientError):
    """The bytes that arrived are not the announced video; nothing was kept."""

    code = "not_whole"


class AlreadyThere(ClientError):
    """The file to write exists; nothing was changed."""

    code = "already_there"


class BadSignature(ClientError):
    """A webhook that must not be believed."""

    code = "bad_signature"


class NotConfigured(ClientError, ValueError):
    """The client was not told what it needs to know."""

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
    """The error that this status stands for."""
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
