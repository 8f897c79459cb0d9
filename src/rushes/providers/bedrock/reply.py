"""What Bedrock and S3 answer, in our terms: pure functions, tested without a network."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from rushes.domain.output import Output
from rushes.domain.progress import Done, Failed, Progress, Working
from rushes.errors import (
    ContentFiltered,
    OutputLost,
    ProviderAuth,
    ProviderError,
    ProviderQuota,
    ProviderRejected,
    ProviderUnavailable,
    RushesError,
    UnexpectedResponse,
)
from rushes.providers.failure import Complaint, Reply, poll_error, quoted, said, submit_error

OUTPUT_VERSION: Final = 1
FILE: Final = "output.mp4"

REFUSED_KEYS: Final = {
    "UnrecognizedClientException",
    "ExpiredToken",
    "ExpiredTokenException",
    "InvalidClientTokenId",
    "InvalidSignatureException",
    "IncompleteSignatureException",
    "MissingAuthenticationTokenException",
    "SignatureDoesNotMatch",
}
USED_UP: Final = {"ThrottlingException", "ServiceQuotaExceededException", "TooManyRequestsException"}

# Bedrock has no code for these, only words.
FILTER_WORDS: Final = re.compile(
    r"content filter|content polic|moderat|safety|responsible ai|blocked by", re.IGNORECASE
)
MODEL_WORDS: Final = re.compile(
    r"model identifier is invalid|end of (?:its |the )?life|no longer (?:available|supported)|model .{0,200}not found"
    r"|not supported in (?:this|the) region",
    re.IGNORECASE,
)
ARN: Final = re.compile(r"arn:aws[\w-]*:[^\s'\"<>]+")
S3_URI: Final = re.compile(r"s3://([a-z0-9][.\-a-z0-9]{1,61}[a-z0-9])/(.+)", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Refusal:
    """An error that AWS answered: its name, its words, the HTTP status, the seconds it asks us to wait."""

    name: str
    message: str
    status: int
    retry_after_s: float | None = None

    @property
    def reply(self) -> Reply:
        """The same, as an HTTP reply."""
        return Reply(self.status, None, self.retry_after_s)


def complaint_of(refusal: Refusal, *, secret: str) -> Complaint:
    """What AWS says is wrong, without the account's own names."""
    return Complaint.of(refusal.name or f"HTTP {refusal.status}", _nameless(refusal.message), secret=secret)


def why_refused(refusal: Refusal, *, model_id: str, region: str, secret: str) -> ProviderError:
    """Why a submit was not accepted. By the error's name, for several statuses say less than it does."""
    complaint = complaint_of(refusal, secret=secret)
    code, words = complaint.code, quoted(complaint.message)
    if refusal.name in REFUSED_KEYS:
        return ProviderAuth(f"AWS does not accept the keys, or they have expired{words}", provider_error=code)
    if refusal.name == "AccessDeniedException":
        return ProviderAuth(
            f"the AWS account may not use '{model_id}'; it needs access to the model and bedrock:InvokeModel{words}",
            provider_error=code,
        )
    if refusal.name in USED_UP:
        return ProviderQuota(
            f"Bedrock's rate limit or quota of concurrent jobs is used up{words}",
            provider_error=code,
            retry_after_s=refusal.retry_after_s,
        )
    if refusal.name == "ConflictException":
        return ProviderRejected(
            "Bedrock has this attempt with another content, which it may go on with and charge; "
            "that is so when the bucket was changed in between",
            provider_error=code,
        )
    if refusal.name == "ValidationException" and FILTER_WORDS.search(complaint.message):
        return ContentFiltered(
            f"the safety filter refused the request; change the prompt or the media{words}", provider_error=code
        )
    if refusal.name == "ResourceNotFoundException" or (
        refusal.name == "ValidationException" and MODEL_WORDS.search(complaint.message)
    ):
        return ProviderRejected(
            f"Bedrock does not offer, or no longer offers, the model '{model_id}' in {region}{words}",
            provider_error=code,
        )
    return submit_error(refusal.reply, complaint, provider="Bedrock")


def why_not_polled(refusal: Refusal, *, secret: str) -> ProviderError | Failed:
    """Why one look failed; a `Failed` if Bedrock does not know the invocation."""
    complaint = complaint_of(refusal, secret=secret)
    if refusal.name == "ResourceNotFoundException" or refusal.status == 404:
        return Failed(
            ProviderRejected(
                "Bedrock does not know, or no longer knows, this invocation", provider_error=complaint.code
            )
        )
    if refusal.name in USED_UP:
        return ProviderQuota(
            "Bedrock limits how often we may ask", provider_error=complaint.code, retry_after_s=refusal.retry_after_s
        )
    return poll_error(refusal.reply, complaint, provider="Bedrock")


def why_not_fetched(refusal: Refusal, *, bucket: str, secret: str) -> RushesError:
    """Why S3 did not give the result."""
    complaint = complaint_of(refusal, secret=secret)
    if refusal.name in {"NoSuchKey", "NoSuchBucket"} or refusal.status in (404, 410):
        return OutputLost(f"the result is no longer in the bucket '{bucket}'")
    hint = "; the keys need s3:GetObject there" if refusal.status == 403 else ""
    return ProviderUnavailable(
        f"S3 did not give the result in the bucket '{bucket}' (HTTP {refusal.status}){hint}",
        provider_error=complaint.code,
        retry_after_s=refusal.retry_after_s,
    )


def progress_of(body: Mapping[str, object], *, secret: str) -> Progress:
    """How far an invocation is. Raises UnexpectedResponse for a status that is not documented."""
    match body.get("status"):
        case "InProgress":
            return Working()
        case "Completed":
            return Done(({"version": OUTPUT_VERSION, "uri": f"{_folder(body)}/{FILE}"},))
        case "Failed":
            return Failed(_why_failed(body, secret=secret))
        case other:
            word = said(other, secret=secret)[:100]
            raise UnexpectedResponse(
                f"Bedrock reports the status '{word}', which is not documented", provider_error=word
            )


def place_of(output: Output) -> tuple[str, str]:
    """The bucket and the key of a result."""
    found = S3_URI.fullmatch(str(output.get("uri")))
    if found is None:
        raise ProviderUnavailable("Bedrock names a result by something that is not an S3 URI")
    return found[1], found[2]


def _folder(body: Mapping[str, object]) -> str:
    config = body.get("outputDataConfig")
    target = config.get("s3OutputDataConfig") if isinstance(config, dict) else None
    uri = target.get("s3Uri") if isinstance(target, dict) else None
    if not isinstance(uri, str) or S3_URI.fullmatch(uri) is None:
        raise UnexpectedResponse("Bedrock does not say where the result is", provider_error="Completed")
    # The invocation's own id is its last part already.
    return uri.rstrip("/")


def _why_failed(body: Mapping[str, object], *, secret: str) -> ProviderError:
    words = said(_nameless(str(body.get("failureMessage") or "")), secret=secret)
    if FILTER_WORDS.search(words):
        return ContentFiltered(f"the safety filter ended the generation{quoted(words)}", provider_error="Failed")
    return ProviderRejected(f"the generation failed at Bedrock{quoted(words)}", provider_error="Failed")


def _nameless(text: str) -> str:
    # An ARN tells the account's number and the names of its users.
    return ARN.sub("[arn]", text)
