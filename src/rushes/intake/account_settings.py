"""Settings of accounts and keys as an administrator gives them, checked before they are stored."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, BeforeValidator, Field
from pydantic_core import PydanticCustomError

from rushes.accounts.account_settings import AccountSettings, SettingName
from rushes.accounts.model_access import LONGEST_PATTERN, MOST_PATTERNS, trouble_of, without_model
from rushes.catalogue.choose import choose
from rushes.catalogue.load import Catalogue
from rushes.domain.fallbacks import MOST_FALLBACKS
from rushes.domain.options import LONGEST_NAME
from rushes.errors import CallerError, FieldError
from rushes.intake.body import invalid_fields
from rushes.intake.generation import LONGEST_RETENTION_S, known_end
from rushes.jobs.routing import OnRetired


def _pattern(text: str) -> str:
    trouble = trouble_of(text)
    if trouble is not None:
        raise PydanticCustomError("pattern", "{trouble}", {"trouble": trouble[0].upper() + trouble[1:]})
    return text


ModelPatterns = Annotated[
    list[Annotated[str, Field(strict=True, min_length=1, max_length=LONGEST_PATTERN), AfterValidator(_pattern)]] | None,
    Field(min_length=1, max_length=MOST_PATTERNS, description="Patterns such as `google/*` or `seedance-*`."),
]

ModelName = Annotated[str, Field(strict=True, min_length=1, max_length=LONGEST_NAME)]


class KeySettingsView(BaseModel):
    """The settings of a key; null means that nothing is set."""

    models: ModelPatterns = None


class AccountSettingsView(KeySettingsView):
    """The settings of an account; null means that nothing is set."""

    default_model: ModelName | None = Field(None, description="For requests that name neither model nor provider.")
    fallback_models: list[ModelName] | None = Field(
        None, max_length=MOST_FALLBACKS, description="For requests that name none; what cannot take over is left out."
    )
    on_retired: Annotated[OnRetired | None, BeforeValidator(known_end)] = Field(
        None, description="`successor` or `refuse`; in place of the service's setting."
    )
    retention_s: float | None = Field(
        None,
        gt=0,
        le=LONGEST_RETENTION_S,
        strict=True,
        allow_inf_nan=False,
        description="How long finished videos are kept, in seconds; in place of the service's setting.",
    )


def changes_of(view: KeySettingsView) -> Mapping[SettingName, Any]:
    """What the store is to change, so that nothing else is set afterwards."""
    return {SettingName(name): value for name, value in view.model_dump().items()}


def check_names(catalogue: Catalogue, view: AccountSettingsView) -> None:
    """Raise InvalidRequest naming the default or fallback model that the catalogue does not have."""
    named = [("default_model", view.default_model)]
    named += [(f"fallback_models.{index}", name) for index, name in enumerate(view.fallback_models or ())]
    for field, name in named:
        if name is None:
            continue
        try:
            choose(catalogue, name, None)
        except CallerError as error:
            raise invalid_fields([FieldError(field, error.message)]) from error


def warnings_of(catalogue: Catalogue, settings: AccountSettings) -> list[str]:
    """What the administrator should know of settings that are stored."""
    unmatched = without_model(settings.models or (), catalogue.models())
    return [f"models: '{pattern}' matches no model of the catalogue" for pattern in unmatched]
