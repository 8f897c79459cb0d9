"""The AWS account that a credential opens: its keys, and the bucket that results are written to."""

from __future__ import annotations

import json
from dataclasses import dataclass, field

from rushes.errors import ProviderAuth
from rushes.providers.base import Credential


@dataclass(frozen=True, slots=True)
class Account:
    """Keys, region and bucket. The bucket belongs in the model's region."""

    region: str
    bucket: str
    access_key_id: str = field(repr=False)
    secret_access_key: str = field(repr=False)
    session_token: str | None = field(default=None, repr=False)


def account_of(credential: Credential) -> Account:
    """The account of a credential of kind "aws", whose JSON was checked when it was taken. Raises ProviderAuth."""
    if credential.kind != "aws":
        raise ProviderAuth("Bedrock takes AWS keys", provider_error="wrong kind of credential")
    try:
        return Account(**json.loads(credential.secret))
    except (ValueError, TypeError):
        # The parser's exception shows what it was given.
        raise ProviderAuth("the AWS credential is not what it was", provider_error="malformed credential") from None
