"""What an account's settings make of a request: its defaults, and how far the request may depart from them."""

from __future__ import annotations

from dataclasses import replace

from rushes.accounts.account_settings import AccountSettings
from rushes.errors import UnsupportedOption
from rushes.jobs.new_job import Asked
from rushes.jobs.routing import OnRetired


def with_default_model(asked: Asked, defaults: AccountSettings) -> Asked:
    """The request, for the account's default model if it names neither a model nor a provider."""
    if defaults.default_model is None or asked.model is not None or asked.provider is not None:
        return asked
    return replace(asked, model=defaults.default_model)


def on_retired_for(asked: Asked, defaults: AccountSettings, of_service: OnRetired) -> OnRetired:
    """What happens to this request if its model is retired. A request may be stricter than its account, never laxer.

    Raises UnsupportedOption.
    """
    in_force = of_service if defaults.on_retired is None else OnRetired(defaults.on_retired)
    if asked.on_retired is None:
        return in_force
    if in_force is OnRetired.REFUSE and asked.on_retired is OnRetired.SUCCESSOR:
        raise UnsupportedOption(
            "on_retired 'successor' is not offered to this account, whose requests for retired models are refused; "
            "it offers 'refuse'",
            field="on_retired",
        )
    return asked.on_retired


def retention_ms_for(asked: Asked, defaults: AccountSettings, of_service_s: float | None) -> int | None:
    """How long the finished videos are kept, where that is not left to the service's setting.

    Raises UnsupportedOption if the request asks for longer than its account, or without a setting of it the service,
    keeps them.
    """
    most_s = of_service_s if defaults.retention_s is None else defaults.retention_s
    if asked.retention_s is not None and most_s is not None and asked.retention_s > most_s:
        raise UnsupportedOption(
            f"retention_s {asked.retention_s:g} is longer than videos are kept here; it offers up to {most_s:g}",
            field="retention_s",
        )
    chosen_s = defaults.retention_s if asked.retention_s is None else asked.retention_s
    return None if chosen_s is None else max(1, int(chosen_s * 1000))
