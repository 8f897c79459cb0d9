"""Every error that the service raises on purpose.

    RushesError
    ├── CallerError                     the request is at fault; the same request fails again
    │   ├── InvalidRequest              a malformed body, a wrong type, a value out of range
    │   │   └── NotJson
    │   ├── UnsupportedOption           well formed, but this model or this service does not offer it
    │   ├── UnknownField                a field that does not exist
    │   ├── NotAuthenticated            no key, or an invalid one
    │   ├── NotAllowed                  a valid key that may not do this
    │   │   ├── AccountDisabled
    │   │   ├── ScopeMissing
    │   │   ├── KeyRestricted
    │   │   ├── ModelNotAllowed         a model that the account or the key may not use
    │   │   ├── SignInRefused           an ID token that does not hold, or gives no account or role here
    │   │   ├── ForeignHost             called under a name or from a page that is not ours
    │   │   └── LinkRefused             a one-time link that is forged, expired or used
    │   ├── LimitReached                the same request may succeed later
    │   │   ├── RateLimited
    │   │   └── QueueFull
    │   ├── NotFound                    the thing does not exist in this account
    │   │   ├── JobNotFound
    │   │   ├── ModelNotFound
    │   │   ├── ProviderNotFound
    │   │   ├── KeyNotFound
    │   │   ├── WebhookNotFound
    │   │   ├── DeliveryNotFound
    │   │   ├── SignInNotOffered        this service has no identity provider
    │   │   └── AccountNotFound
    │   ├── SpendLimitReached           the job would cost more than a spend limit has left
    │   ├── PriceUnknown                a spend limit is set, and the price of the job is unknown
    │   ├── BudgetExceeded              the job would cost more than its caller has agreed to
    │   ├── AccountNameTaken
    │   ├── GuardrailBlocked            the operator's guardrail does not let the request through
    │   ├── NotCancellable
    │   ├── JobNotFinished
    │   ├── NotRecoverable
    │   ├── NotAbortable
    │   ├── NotRedeliverable
    │   ├── WebhookLimitReached
    │   ├── KeyLimitReached
    │   ├── FileExpired
    │   ├── IdempotencyMismatch
    │   ├── ModelRetired
    │   ├── BodyTooLarge
    │   ├── WrongContentType
    │   │   └── EncodedBody                 the body is compressed
    │   ├── RefusedAddress              a URL of an address that we do not call
    │   │   └── NameRefused             a host name that leads to no public address, or nowhere
    │   ├── UnusableInput               an input file that is unreachable or of the wrong kind
    │   │   └── RefusedInput
    │   ├── InputQuotaReached           the account's input files fill their quota
    │   ├── AccountBusy                 retryable: the account holds its share of a shared place
    │   ├── TooManyWatchers             the account has its most open streams and waiting requests
    │   └── NoCredentials               there is no credential for this provider
    ├── ProviderError                   the provider failed or refused
    │   ├── ProviderRejected
    │   ├── ContentFiltered
    │   ├── ProviderAuth
    │   │   └── CredentialRemoved       the job's credential is no longer configured
    │   ├── ProviderQuota               retryable
    │   │   └── ProviderCreditEmpty     not accepted; a retry soon cannot help
    │   ├── ProviderUnavailable         retryable
    │   │   └── LookRefused             the credential was refused, and the generation may be well
    │   ├── UnexpectedResponse          retryable: an unknown word does not end a paid job
    │   └── SubmissionUnknown           unknown whether it was accepted; never submitted again
    ├── MediaError                      bytes that we fetch, store or serve
    │   ├── OutputInvalid               the provider delivered no playable video
    │   │   └── OutputIsText            text in place of the video; another try may get the video
    │   ├── OutputLost                  the provider's copy is gone, and ours was not stored
    │   └── StorageUnavailable          retryable
    │       └── StorageRefused          waiting does not help: a wrong key, bucket or right
    ├── GuardrailFailed                 the guardrail gave no answer, and the operator blocks then
    ├── SignInUnavailable               retryable: the identity provider cannot be reached or used
    ├── Overloaded                      retryable: a bounded queue of this service is full
    ├── DatabaseUnavailable             retryable: the disk is full or read-only, or the server is away
    │   ├── WritesRefused               it can be read, and takes no changes
    │   └── OutcomeUnknown              lost during a commit, so the change may have been made
    ├── SecretKeyMissing                retryable: a process that has the secret key can go on
    ├── CredentialElsewhere             retryable: a worker that has the job's credential can go on
    ├── AuditBroken                     the audit log does not hold, so retention removes nothing of it
    ├── LeaseLost                       another worker owns the job; the finder stops
    ├── JobExpired
    ├── Aborted
    └── StartupError                    the service cannot start; the message says what to do

Callers act on the class or its stable `code`, never on the text. `api/errors.py` maps codes to HTTP.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal


class RushesError(Exception):
    """Base of all errors raised on purpose; `str(error)` is one sentence safe to show to the caller."""

    code: str = "internal"
    retryable: bool = False

    def __init__(self, message: str, *, retry_after_s: float | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.retry_after_s = retry_after_s


# --- the caller


class CallerError(RushesError):
    """The request is at fault; the same request fails again."""

    code = "invalid_request"


@dataclass(frozen=True, slots=True)
class FieldError:
    """One faulty field: its dotted name and one sentence."""

    field: str
    message: str


class InvalidRequest(CallerError):
    """A malformed body or a value of the wrong type or range; `fields` names each one."""

    def __init__(self, message: str, fields: Sequence[FieldError] = ()) -> None:
        super().__init__(message)
        self.fields = tuple(fields)


class NotJson(InvalidRequest):
    """A message that is not JSON at all, where the protocol tells that from a wrong message."""

    code = "not_json"


class UnsupportedOption(CallerError):
    """An option or a value that the model does not offer; the message names what it offers."""

    code = "unsupported_option"

    def __init__(self, message: str, field: str) -> None:
        super().__init__(message)
        self.field = field


class UnknownField(CallerError):
    """A field that does not exist; `suggestions` are similar names."""

    code = "unknown_field"

    def __init__(self, message: str, field: str, suggestions: Sequence[str] = ()) -> None:
        super().__init__(message)
        self.field = field
        self.suggestions = tuple(suggestions)


class NotAuthenticated(CallerError):
    """No key, or a key that is unknown, expired or revoked."""

    code = "unauthenticated"


class NotAllowed(CallerError):
    """The key is valid, but may not do this."""

    code = "not_allowed"


class AccountDisabled(NotAllowed):
    """The key's account is disabled."""

    code = "account_disabled"


class ScopeMissing(NotAllowed):
    """The key lacks the scope that this request needs; the message names the scope."""

    code = "scope_missing"


class KeyRestricted(NotAllowed):
    """The key would act on a key that may do more than it may itself."""

    code = "key_restricted"


class ModelNotAllowed(NotAllowed):
    """The account or the key is limited to other models."""

    code = "model_not_allowed"


class SignInRefused(NotAllowed):
    """A sign-in through the identity provider that is not let in; the message says why."""

    code = "sign_in_refused"


class ForeignHost(NotAllowed):
    """The request names a host or comes from a web page that this service does not belong to."""

    code = "foreign_host"


class LinkRefused(NotAllowed):
    """A signed link that is not ours, has expired or was used before."""

    code = "link_refused"


class LimitReached(CallerError):
    """A limit of the account or the key; `retry_after_s` says when to try again."""

    code = "limit_reached"
    retryable = True


class RateLimited(LimitReached):
    """The requests of this minute are used up."""

    code = "rate_limited"


class QueueFull(LimitReached):
    """The account has its most pending jobs."""

    code = "queue_full"


class NotFound(CallerError):
    """The named thing does not exist in the caller's account."""

    code = "not_found"

    def __init__(self, message: str, suggestions: Sequence[str] = ()) -> None:
        super().__init__(message)
        self.suggestions = tuple(suggestions)


class JobNotFound(NotFound):
    """The account has no such job."""

    code = "job_not_found"


class ModelNotFound(NotFound):
    """The catalogue has no such model."""

    code = "model_not_found"


class ProviderNotFound(NotFound):
    """The catalogue has no such provider."""

    code = "provider_not_found"


class KeyNotFound(NotFound):
    """There is no API key with this id."""

    code = "key_not_found"


class WebhookNotFound(NotFound):
    """The account has no such webhook."""

    code = "webhook_not_found"


class DeliveryNotFound(NotFound):
    """The account has no such webhook delivery, or it was forgotten after its time."""

    code = "delivery_not_found"


class SignInNotOffered(NotFound):
    """This service has no identity provider."""

    code = "sign_in_not_offered"


class AccountNotFound(NotFound):
    """There is no account with this id or name."""

    code = "account_not_found"


class SpendLimitReached(CallerError):
    """The job would cost more than a limit has left. Amounts are USD; `resets_at` is in milliseconds, None for never.

    `key_id` is the key that has the limit; None if the whole account has it.
    """

    code = "spend_limit_reached"

    def __init__(
        self,
        message: str,
        *,
        limit: str,
        key_id: str | None,
        limit_usd: Decimal,
        spent_usd: Decimal,
        reserved_usd: Decimal,
        cost_usd: Decimal,
        resets_at: int | None,
        retry_after_s: float | None = None,
    ) -> None:
        super().__init__(message, retry_after_s=retry_after_s)
        self.limit = limit
        self.key_id = key_id
        self.limit_usd = limit_usd
        self.spent_usd = spent_usd
        self.reserved_usd = reserved_usd
        self.cost_usd = cost_usd
        self.resets_at = resets_at


class PriceUnknown(CallerError):
    """The price is unknown, so the spend limit in force cannot be checked."""

    code = "price_unknown"


class BudgetExceeded(CallerError):
    """The job would cost more than its caller has agreed to. Amounts are USD; `most_usd` is None if none was named."""

    code = "over_budget"

    def __init__(self, message: str, *, cost_usd: Decimal, most_usd: Decimal | None) -> None:
        super().__init__(message)
        self.cost_usd = cost_usd
        self.most_usd = most_usd


class AccountNameTaken(CallerError):
    """Another account has this name."""

    code = "account_name_taken"


class GuardrailBlocked(CallerError):
    """The operator's guardrail does not let the request through."""

    code = "guardrail_blocked"


class NotCancellable(CallerError):
    """The job has left `pending`, so it can no longer be cancelled."""

    code = "not_cancellable"


class JobNotFinished(CallerError):
    """The job is not finished, so it has no videos yet and cannot be deleted."""

    code = "not_finished"


class NotRecoverable(CallerError):
    """The job is not one that an operator can resume."""

    code = "not_recoverable"


class NotAbortable(CallerError):
    """The job has ended, so there is nothing to abort."""

    code = "not_abortable"


class NotRedeliverable(CallerError):
    """The message cannot be sent again: its job or its webhook was deleted."""

    code = "not_redeliverable"


class WebhookLimitReached(CallerError):
    """The account has its most webhooks."""

    code = "webhook_limit"


class KeyLimitReached(CallerError):
    """The account has its most API keys."""

    code = "key_limit"


class FileExpired(CallerError):
    """The retention time of the video is over, so it was deleted."""

    code = "file_expired"


class IdempotencyMismatch(CallerError):
    """The idempotency key was used before, with another body."""

    code = "idempotency_mismatch"


class ModelRetired(CallerError):
    """The model is retired, and no successor can or may serve the request."""

    code = "model_retired"


class BodyTooLarge(CallerError):
    """The request body is larger than the limit."""

    code = "body_too_large"


class WrongContentType(CallerError):
    """The request body has a content type that is not supported."""

    code = "wrong_content_type"


class EncodedBody(WrongContentType):
    """The request body is compressed or encoded otherwise."""

    code = "encoded_body"


class RefusedAddress(CallerError):
    """A URL that is malformed, or whose address is not public; the message never shows the address."""

    code = "refused_address"


class NameRefused(RefusedAddress):
    """A host name that has no address now, or one that is not public; the message does not tell the two apart."""


class UnusableInput(CallerError):
    """An input file of the wrong kind, or one that cannot be fetched; `field` is the dotted name."""

    code = "unusable_input"

    def __init__(self, message: str, field: str = "") -> None:
        super().__init__(message)
        self.field = field


class RefusedInput(UnusableInput):
    """A URL in a field of the request that RefusedAddress refuses, with the name of the field."""

    code = RefusedAddress.code


class InputQuotaReached(CallerError):
    """The account's input files fill their quota."""

    code = "input_quota"


class AccountBusy(CallerError):
    """The account holds its share of something that all accounts share; `retry_after_s` says when to try again."""

    code = "account_busy"
    retryable = True


class TooManyWatchers(CallerError):
    """The account has its most open event streams and waiting requests."""

    code = "too_many_watchers"


class NoCredentials(CallerError):
    """Neither the service nor the caller has given a credential for the provider."""

    code = "no_credentials"


# --- the provider


class ProviderError(RushesError):
    """The provider failed or refused; `provider_error` is its own code or text, for its support."""

    code = "provider_error"

    def __init__(self, message: str, *, provider_error: str | None = None, retry_after_s: float | None = None) -> None:
        super().__init__(message, retry_after_s=retry_after_s)
        self.provider_error = provider_error


class ProviderRejected(ProviderError):
    """The provider refused the request or reports that it failed."""

    code = "provider_rejected"


class ContentFiltered(ProviderError):
    """The provider's safety filter refused the prompt, the media or the result."""

    code = "content_filtered"


class ProviderAuth(ProviderError):
    """The provider does not accept the credential."""

    code = "provider_auth"


class CredentialRemoved(ProviderAuth):
    """The credential that the job was submitted with is no longer configured, so its provider cannot be asked."""


class ProviderQuota(ProviderError):
    """The provider's rate limit, quota or credit is used up; the request was not accepted."""

    code = "provider_quota"
    retryable = True


class ProviderCreditEmpty(ProviderQuota):
    """The account at the provider has no credit left. The request was not accepted, and a retry soon fails too."""

    retryable = False


class ProviderUnavailable(ProviderError):
    """The provider could not be reached or answered with a server error.

    `accepted` is False if the request was certainly not accepted, because it was never sent. None means unknown.
    """

    code = "provider_unavailable"
    retryable = True

    def __init__(
        self,
        message: str,
        *,
        accepted: bool | None = None,
        provider_error: str | None = None,
        retry_after_s: float | None = None,
    ) -> None:
        super().__init__(message, provider_error=provider_error, retry_after_s=retry_after_s)
        self.accepted = accepted


class LookRefused(ProviderUnavailable):
    """The provider refused the credential while a generation was looked at, which itself may be well."""


class UnexpectedResponse(ProviderError):
    """The provider's answer is not in its documentation; polling continues until the deadline of the job."""

    code = "unexpected_response"
    retryable = True


class SubmissionUnknown(ProviderError):
    """It is unknown whether the provider accepted the submission."""

    code = "submission_unknown"


# --- media


class MediaError(RushesError):
    """Bytes that we fetch, store or serve are missing or wrong."""

    code = "media_error"


class OutputInvalid(MediaError):
    """The provider delivered something that is not a playable video."""

    code = "output_invalid"


class OutputIsText(OutputInvalid):
    """The provider delivered text, such as an error page, where the video should be."""


class OutputLost(MediaError):
    """The provider deleted a finished video before it was stored here."""

    code = "output_lost"


class StorageUnavailable(MediaError):
    """The storage cannot be read or written now."""

    code = "storage_unavailable"
    retryable = True


class StorageRefused(StorageUnavailable):
    """The storage refuses our requests: a wrong key, bucket, region or right, so waiting does not help."""


# --- ourselves


class GuardrailFailed(RushesError):
    """The operator's guardrail has given no answer that can be used."""

    code = "guardrail_failed"


class SignInUnavailable(RushesError):
    """The identity provider cannot be reached, or answers what cannot be used."""

    code = "sign_in_unavailable"
    retryable = True


class Overloaded(RushesError):
    """A bounded queue of this service is full; the same request can be sent again shortly."""

    code = "overloaded"
    retryable = True


class DatabaseUnavailable(RushesError):
    """The database cannot be written or read now; nothing was changed."""

    code = "database_unavailable"
    retryable = True


class WritesRefused(DatabaseUnavailable):
    """The database takes no changes: its disk is full, or it is read-only. Nothing was changed."""


class OutcomeUnknown(DatabaseUnavailable):
    """The database was lost while it committed: the change may have been made or not."""

    code = "outcome_unknown"


class SecretKeyMissing(RushesError):
    """This process lacks the secret key with which something was encrypted; another one may have it."""

    code = "secret_key_missing"
    retryable = True


class CredentialElsewhere(RushesError):
    """This process lacks the credential that a job was submitted with; another worker or start may have it."""

    code = "provider_auth"
    retryable = True


class AuditBroken(RushesError):
    """The chain of the audit log does not hold; the message names the entry."""

    code = "audit_broken"


class LeaseLost(RushesError):
    """Another worker owns the job; nothing was written."""

    code = "lease_lost"


class JobExpired(RushesError):
    """The job's deadline passed before it was done."""

    code = "expired"


class Aborted(RushesError):
    """An operator has ended the job; `may_be_charged` says whether its provider may charge for it."""

    code = "aborted"

    def __init__(self, message: str, *, may_be_charged: bool) -> None:
        super().__init__(message)
        self.may_be_charged = may_be_charged


class StartupError(RushesError):
    """The service cannot start; the message names the cause and the remedy."""

    code = "startup"
