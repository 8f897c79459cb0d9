"""What an account may use and what its requests get by default, as a form of the account's page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rushes.accounts.account_settings import AccountSettings, SettingName
from rushes.console.visit import Form, Visit
from rushes.domain.fallbacks import MOST_FALLBACKS
from rushes.errors import FieldError, InvalidRequest
from rushes.intake.account_settings import AccountSettingsView, changes_of, check_names, warnings_of
from rushes.intake.body import shaped
from rushes.intake.lengths import EXAMPLES, length_s, length_text
from rushes.jobs.routing import OnRetired

LISTS = (SettingName.MODELS, SettingName.FALLBACK_MODELS)
"""Settings of several values, which a form has one a line."""
RETENTION = SettingName.RETENTION_S.value
ENDS = {
    "": "As the service does",
    OnRetired.SUCCESSOR.value: "Their successor runs",
    OnRetired.REFUSE.value: "They are refused",
}


@dataclass(frozen=True, slots=True)
class SettingsForm:
    """What the form shows: a text for each setting, and what is to be known of those that are stored."""

    texts: Mapping[str, str]
    warnings: Sequence[str]
    ends: Mapping[str, str]
    most_fallbacks: int
    examples: str


async def settings_form(visit: Visit, account_id: str, typed: Form | None) -> SettingsForm:
    """The form of an account: with what was typed where it was refused, else with what is stored."""
    services = visit.services
    stored = await services.settings.read(account_id)
    texts = _texts(stored)
    if typed is not None:
        texts |= {name.value: typed.text(name.value) for name in SettingName if typed.has(name.value)}
    return SettingsForm(texts, warnings_of(services.catalogue, stored), ENDS, MOST_FALLBACKS, EXAMPLES)


async def changed_settings(visit: Visit, account_id: str, form: Form) -> Mapping[SettingName, Any]:
    """What a form asks to be set; what is left empty is cleared. Raises InvalidRequest."""
    content: dict[str, Any] = {name.value: form.given(name.value) for name in SettingName}
    for name in LISTS:
        lines = (content[name] or "").splitlines()
        content[name] = [line.strip() for line in lines if line.strip()] or None
    stored = await visit.services.settings.read(account_id)
    content[RETENTION] = _retention_s(content[RETENTION], stored.retention_s)
    try:
        view = shaped(AccountSettingsView, content)
        check_names(visit.services.catalogue, view)
    except InvalidRequest as error:
        raise InvalidRequest(error.message, [_of_line(content, one) for one in error.fields]) from error
    return changes_of(view)


def _texts(settings: AccountSettings) -> dict[str, str]:
    return {
        SettingName.MODELS.value: "\n".join(settings.models or ()),
        SettingName.DEFAULT_MODEL.value: settings.default_model or "",
        SettingName.FALLBACK_MODELS.value: "\n".join(settings.fallback_models or ()),
        SettingName.ON_RETIRED.value: settings.on_retired or "",
        RETENTION: "" if settings.retention_s is None else length_text(settings.retention_s),
    }


def _retention_s(text: str | None, stored_s: float | None) -> float | None:
    # The API stores lengths that a person would not write, such as half a second: left as they are, they stay.
    if text is None or (stored_s is not None and text == length_text(stored_s)):
        return None if text is None else stored_s
    span_s = length_s(text)
    if span_s is None:
        trouble = f"'{text[:40]}' is not a length of time such as {EXAMPLES}"
        raise InvalidRequest(f"{RETENTION}: {trouble}", [FieldError(RETENTION, trouble)])
    return span_s


def _of_line(content: Mapping[str, Any], error: FieldError) -> FieldError:
    """The error of one line of a list, saying which line it means."""
    name, _, place = error.field.partition(".")
    if not place.isdecimal():
        return error
    return FieldError(name, f"'{content[name][int(place)][:100]}': {error.message[:1].lower()}{error.message[1:]}")
