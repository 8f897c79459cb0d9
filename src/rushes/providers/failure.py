"""A provider's failure in our terms: what it answered, what it says is wrong, and which of our errors that is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from rushes.errors import (
    LookRefused,
    ProviderAuth,
    ProviderCreditEmpty,
    ProviderError,
    ProviderQuota,
    ProviderRejected,
    ProviderUnavailable,
    UnexpectedResponse,
)
from rushes.net.redact import scrub

SHOWN_CHARS: Final = 500
LONGEST_RETRY_AFTER_S: Final = 3600.0


@dataclass(frozen=True, slots=True)
class Raw:
    """Stands for a body that is not JSON; `text` is its beginning."""

    text: str


@dataclass(frozen=True, slots=True)
class Reply:
    """What a provider answered: its status and its JSON (or Raw), with the seconds it asks us to wait."""

    status: int
    body: object
    retry_after_s: float | None = None

    @property
    def is_success(self) -> bool:
        """Whether the status is one of success. It does not say that the body is what was expected."""
        return 200 <= self.status < 300


@dataclass(frozen=True, slots=True)
class Complaint:
    """What a provider says is wrong: its code and its words, free of secrets and of bounded length."""

    code: str
    message: str = ""
    retry_after_s: float | None = None

    @classmethod
    def of(cls, code: object, message: object, *, secret: str, retry_after_s: float | None = None) -> Complaint:
        """A complaint made presentable, whatever the reply held in its place."""
        return cls(said(code, secret=secret)[:100], said(message, secret=secret), retry_after_s)


def said(text: object, *, secret: str) -> str:
    """A provider's words fit to be shown: on one line, without the secret, not too long."""
    if text is None or isinstance(text, dict | list):
        return ""
    # Cut before it is searched, but late enough that no secret is cut in half at what is shown.
    line = scrub(" ".join(str(text)[: 8 * SHOWN_CHARS].split()), (secret,) if secret else ())
    return line if len(line) <= SHOWN_CHARS else line[: SHOWN_CHARS - 1] + "…"


def submit_error(reply: Reply, complaint: Complaint, *, provider: str) -> ProviderError:
    """Why a submit was not accepted, by its HTTP status alone: what an adapter has no better word for."""
    code, words = complaint.code, quoted(complaint.message)
    wait_s = complaint.retry_after_s if complaint.retry_after_s is not None else reply.retry_after_s
    match reply.status:
        case 401 | 403:
            return ProviderAuth(
                f"{provider} does not accept the key, or the key may not use this model{words}", provider_error=code
            )
        case 402:
            return credit_empty(complaint, provider=provider)
        case 429:
            return ProviderQuota(
                f"{provider}'s rate limit or quota is used up{words}", provider_error=code, retry_after_s=wait_s
            )
        case status if status == 408 or status >= 500:
            return ProviderUnavailable(
                f"{provider} failed with HTTP {status} while the request was submitted; "
                f"whether it was accepted is not known{words}",
                accepted=None,
                provider_error=code,
                retry_after_s=wait_s,
            )
        case status if 300 <= status < 400:
            return ProviderRejected(
                f"{provider} redirects the call, so its configured base URL is wrong", provider_error=code
            )
        case status if 400 <= status < 500:
            return ProviderRejected(f"{provider} refused the request{words}", provider_error=code)
        case status:
            return ProviderUnavailable(
                f"{provider} answered the submission with something that is not an acceptance (HTTP {status})",
                accepted=None,
                provider_error=code,
            )


def poll_error(reply: Reply, complaint: Complaint, *, provider: str) -> ProviderError:
    """Why one look at a generation failed. The generation may be well, so each of these is worth another look."""
    code, words = complaint.code, quoted(complaint.message)
    wait_s = complaint.retry_after_s if complaint.retry_after_s is not None else reply.retry_after_s
    if reply.status == 429:
        return ProviderQuota(f"{provider} limits how often we may ask", provider_error=code, retry_after_s=wait_s)
    if reply.status >= 400:
        kind = LookRefused if reply.status in (401, 403) else ProviderUnavailable
        return kind(
            f"{provider} failed with HTTP {reply.status} while the generation was polled{words}",
            provider_error=code,
            retry_after_s=wait_s,
        )
    return UnexpectedResponse(
        f"{provider} answered a poll with HTTP {reply.status} and something that is not a generation",
        provider_error=code,
    )


def credit_empty(complaint: Complaint, *, provider: str) -> ProviderCreditEmpty:
    """The account at the provider must be topped up first."""
    return ProviderCreditEmpty(
        f"the {provider} account has no credit left; add credit there and try again{quoted(complaint.message)}",
        provider_error=complaint.code,
    )


def quoted(words: str) -> str:
    """The provider's own words as the end of a sentence of ours, or nothing if it gave none."""
    return f": '{words}'" if words else ""
