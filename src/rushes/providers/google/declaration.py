"""What Google's adapters declare: two APIs, a credential for each, and where the operator's cloud project lies."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from rushes.providers.base import Provider
from rushes.providers.credentials import api_key, json_object
from rushes.providers.declaration import CredentialShape, Declaration, Options, Parts
from rushes.providers.google.gemini import GEMINI, GOOGLE_URL, Gemini
from rushes.providers.google.platform import Place
from rushes.providers.google.vertex import VERTEX, Vertex

SERVICE_ACCOUNT_FIELDS: Final = ("client_email", "private_key", "private_key_id", "project_id")


class GoogleOptions(Options):
    """`base_url` is the Gemini API's; the rest is for Vertex."""

    location: str | None = None
    """Where Veo runs, such as `us-central1`."""
    project: str | None = None
    """The project that pays, if not the service account's own."""
    bucket: str | None = None
    """Where Vertex writes results, as `name` or `gs://name/folder`; without it they come inside the replies."""
    vertex_base_url: str | None = None
    token_url: str | None = None
    storage_url: str | None = None


def _open(options: GoogleOptions, parts: Parts) -> Mapping[str | None, Provider]:
    given = options.model_dump(exclude={"base_url", "vertex_base_url"}, exclude_none=True)
    if options.vertex_base_url is not None:
        given["base_url"] = options.vertex_base_url
    return {
        GEMINI: Gemini(parts.client, options.base_url or GOOGLE_URL, clock=parts.clock),
        VERTEX: Vertex(parts.client, Place(**given), clock=parts.clock),
    }


def _service_account_problem(secret: str) -> str | None:
    """Only the identity in it is used.

    Where its tokens come from is a setting of ours, because a caller's `token_uri` would be a stranger's address. Other
    types of credential file can name commands to run.
    """
    content = json_object(secret)
    if content is None or content.get("type") != "service_account":
        return "must be an API key or JSON of type 'service_account'; no other type is taken"
    missing = [name for name in SERVICE_ACCOUNT_FIELDS if not isinstance(content.get(name), str) or not content[name]]
    return f"lacks {', '.join(missing)}, which a service account has" if missing else None


PROVIDER: Final = Declaration(
    name="google",
    options=GoogleOptions,
    credentials=(
        api_key("GEMINI_API_KEY", "GOOGLE_API_KEY", api=GEMINI),
        CredentialShape(
            kind="service_account",
            words="the JSON of a service account",
            fits=lambda secret: secret.lstrip().startswith("{"),
            api=VERTEX,
            problem=_service_account_problem,
        ),
    ),
    open=_open,
)
