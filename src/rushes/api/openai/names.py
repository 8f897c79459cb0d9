"""Model names as OpenAI's callers write them: the catalogue's, the operator's aliases, and those that are no more."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Final

from rushes.api.services import Services
from rushes.catalogue.wording import shown
from rushes.errors import FieldError, ModelNotFound
from rushes.intake.body import invalid_fields

DEFAULT_MODEL: Final = "sora-2"
"""What OpenAI's API takes where none is named; it runs only where the operator has made it an alias."""

SHUT_DOWN: Final = frozenset(
    {"sora-2", "sora-2-pro", "sora-2-2025-10-06", "sora-2-2025-12-08", "sora-2-pro-2025-10-06"}
)  # fmt: skip
SHUT_DOWN_ON: Final = "2026-09-24"

SUGGESTIONS: Final = 3


def model_named(services: Services, asked: str | None) -> str:
    """The name that the catalogue knows for what was asked for.

    Raises ModelNotFound, with what to ask for instead, for OpenAI's own models where no alias stands for them.
    """
    name = DEFAULT_MODEL if asked is None else asked
    alias = services.model_aliases.get(name)
    if alias is not None:
        return alias
    if name not in SHUT_DOWN or services.catalogue.offering(name):
        return name
    subject = "No model is named, and OpenAI's default 'sora-2'" if asked is None else f"Model {shown(name)}"
    raise ModelNotFound(
        f"{subject} was shut down by OpenAI on {SHUT_DOWN_ON}; ask for another model, such as "
        f"{' or '.join(repr(other) for other in _instead(services))} (GET /v1/models lists them), "
        f"or have the operator map '{name}' to one in RUSHES_MODEL_ALIASES"
    )


def checked_name(value: object) -> str | None:
    """The `model` of a body, None if it is left out. Raises InvalidRequest for what is no name."""
    if value is None or isinstance(value, str):
        return value
    raise invalid_fields([FieldError("model", "must be a text, such as 'google/veo-3.1-generate-001'")])


def _instead(services: Services) -> list[str]:
    """A model of each provider that we hold credentials for; without any, of the one that needs no credentials."""
    today = datetime.fromtimestamp(services.clock.now_ms() / 1000, UTC).date()
    found: list[str] = []
    # The embedded provider last: it draws no more than a sketch.
    for provider in sorted(services.served_apis, key=lambda name: name == "animatic"):
        api = services.served_apis[provider]
        for model in services.catalogue.models(provider):
            lives = model.retired is None or model.retired > today
            if lives and (not model.apis or api in model.apis):
                found.append(f"{provider}/{model.id}")
                break
    return found[:SUGGESTIONS]
