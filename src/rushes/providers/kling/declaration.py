"""What Kling's adapters declare: two shapes of credential, each of which opens an API of its own, and two regions."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Final, Literal

from rushes.providers.base import Provider
from rushes.providers.credentials import api_key, json_object
from rushes.providers.declaration import CredentialShape, Declaration, Options, Parts
from rushes.providers.kling.legacy import KlingLegacy
from rushes.providers.kling.unified import Kling

REGIONS: Final = {"global": "https://api-singapore.klingai.com", "china": "https://api-beijing.klingai.com"}
FIELDS: Final = ("access_key", "secret_key")
SHORTEST: Final = 16


class KlingOptions(Options):
    """Which of the two services a key belongs to; keys do not cross."""

    region: Literal["global", "china"] = "global"


def _fits(secret: str) -> bool:
    content = json_object(secret)
    return content is not None and "access_key" in content


def _problem(secret: str) -> str | None:
    content = json_object(secret) or {}
    for name in FIELDS:
        value = content.get(name)
        if not isinstance(value, str) or len(value) < SHORTEST or not value.isascii() or not value.isprintable():
            return f"has no '{name}' as Kling writes it"
    if content.keys() - set(FIELDS):
        return f"holds more than {' and '.join(FIELDS)}, which is all that is taken"
    return None


def _compose(variables: Mapping[str, str], _options: KlingOptions) -> str | None:
    access_key, secret_key = variables.get("KLING_ACCESS_KEY"), variables.get("KLING_SECRET_KEY")
    if not access_key or not secret_key:
        return None
    return json.dumps({"access_key": access_key, "secret_key": secret_key})


def _open(options: KlingOptions, parts: Parts) -> Mapping[str | None, Provider]:
    base_url = options.base_url or REGIONS[options.region]
    return {
        "unified": Kling(parts.client, base_url, clock=parts.clock),
        "legacy": KlingLegacy(parts.client, base_url, clock=parts.clock),
    }


PROVIDER: Final = Declaration(
    name="kling",
    options=KlingOptions,
    credentials=(
        CredentialShape(
            kind="key_pair",
            words="JSON with access_key and secret_key",
            api="legacy",
            fits=_fits,
            problem=_problem,
            read_variables=("KLING_ACCESS_KEY", "KLING_SECRET_KEY"),
            compose=_compose,
        ),
        api_key("KLING_API_KEY", api="unified"),
    ),
    open=_open,
)
