"""What Bedrock's adapter declares: AWS keys with a region and a bucket as one credential."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Final

from rushes.providers.base import Provider
from rushes.providers.bedrock.adapter import Bedrock
from rushes.providers.credentials import json_object
from rushes.providers.declaration import CredentialShape, Declaration, Options, Parts

FIELDS: Final = {
    "access_key_id": re.compile(r"\w{16,128}", re.ASCII),
    "secret_access_key": re.compile(r"[\x21-\x7e]{16,256}"),
    "region": re.compile(r"[a-z]{2,4}(-[a-z]{2,10}){1,3}-\d{1,2}"),
    "bucket": re.compile(r"[a-z0-9][.\-a-z0-9]{1,61}[a-z0-9]"),
    "session_token": re.compile(r"[\x21-\x7e]{16,8192}"),
}
OPTIONAL: Final = "session_token"


class BedrockOptions(Options):
    """`base_url` replaces AWS's own address of the region."""

    location: str | None = None
    """The region of the operator's own keys, if not that of AWS's usual variables."""
    bucket: str | None = None
    """The bucket for results; with it AWS's usual variables count as a credential."""
    storage_url: str | None = None
    """Where results are read from, if not from S3."""


def _open(options: BedrockOptions, parts: Parts) -> Mapping[str | None, Provider]:
    return {None: Bedrock(options.base_url, options.storage_url, clock=parts.clock)}


def _fits(secret: str) -> bool:
    content = json_object(secret)
    return content is not None and "access_key_id" in content and "type" not in content


def _problem(secret: str) -> str | None:
    content = json_object(secret) or {}
    # Exactly these: a name such as `credential_process` or `profile` would reach into the machine that we run on.
    if content.keys() - FIELDS.keys():
        return f"holds more than {', '.join(FIELDS)}, which is all that is taken"
    for name, pattern in FIELDS.items():
        if name == OPTIONAL and name not in content:
            continue
        value = content.get(name)
        if not isinstance(value, str) or pattern.fullmatch(value) is None:
            return f"has no '{name}' as AWS writes it"
    return None


def _compose(variables: Mapping[str, str], options: BedrockOptions) -> str | None:
    """The keys in AWS's usual variables, if a bucket is set: other programs on the machine may use them too."""
    found = {
        "access_key_id": variables.get("AWS_ACCESS_KEY_ID"),
        "secret_access_key": variables.get("AWS_SECRET_ACCESS_KEY"),
        "session_token": variables.get("AWS_SESSION_TOKEN"),
        "region": options.location or variables.get("AWS_REGION") or variables.get("AWS_DEFAULT_REGION"),
        "bucket": options.bucket,
    }
    if not found["access_key_id"] or not found["bucket"]:
        return None
    return json.dumps({name: value for name, value in found.items() if value})


PROVIDER: Final = Declaration(
    name="bedrock",
    options=BedrockOptions,
    credentials=(
        CredentialShape(
            kind="aws",
            words="JSON with access_key_id, secret_access_key, region and bucket",
            fits=_fits,
            problem=_problem,
            read_variables=(
                "AWS_ACCESS_KEY_ID",
                "AWS_SECRET_ACCESS_KEY",
                "AWS_SESSION_TOKEN",
                "AWS_REGION",
                "AWS_DEFAULT_REGION",
            ),
            compose=_compose,
        ),
    ),
    open=_open,
)
