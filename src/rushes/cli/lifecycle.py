"""`rushes models check`: models that are retired or retire soon, and whether they are still in use here."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer

from rushes.cli.exits import Exit
from rushes.cli.options import DataDir

if TYPE_CHECKING:
    from datetime import date

    from rushes.app.live_models import LiveList
    from rushes.app.server_checks import Checked
    from rushes.catalogue.lifecycle import Ending
    from rushes.catalogue.load import Catalogue, Change
    from rushes.money.usage import ModelUsage
    from rushes.providers.credentials import Keyring
    from rushes.settings import Settings

ASKED_DAYS = 30
"""A model without a job in this many days counts as unused."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One model that ends, its uses, and why that needs attention, if it does."""

    ending: Ending
    used_by: tuple[str, ...]
    served_by: tuple[str, ...]
    """The models that serve it after its retirement with the configured keys. If empty, its requests are refused."""
    attention: str | None


def check(
    within: Annotated[int, typer.Option("--within", min=0, max=3650, metavar="DAYS", help="How far to look.")] = 60,
    offline: Annotated[bool, typer.Option("--offline", help="Do not ask providers which models they have.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, for scripts.")] = False,
    data_dir: DataDir = None,
) -> None:
    """Show models that are retired or retire soon, and their uses. The exit code is 1 if one needs attention.

    In use are the default model, and models with a job in the last 30 days. A model in use needs attention before it
    retires, and afterwards if its requests are refused here. Run it regularly, for example by cron.

    It also says which entries your own catalogue (RUSHES_CATALOGUE_DIR) changes, where a provider's own list of
    models differs from the catalogue, and which models of your own servers these cannot run: the exit code is 1 then.
    """
    from rushes.settings import load_settings

    settings = load_settings(data_dir=data_dir)
    today = datetime.now(UTC).date()
    found = asyncio.run(_findings(settings, today, within))
    changes = _changes(settings)
    live = [] if offline else asyncio.run(_live(settings, today))
    servers: Mapping[str, Checked] = {} if offline else asyncio.run(_servers(settings))
    if as_json:
        from rushes.cli.screen import print_json

        print_json(_content(found, today, within) | _more_content(changes, live, servers))
    else:
        _show(found, within)
        _show_changes(changes)
        _show_live(live)
        _show_servers(servers)
    if any(finding.attention is not None for finding in found) or any(one.misfits for one in servers.values()):
        raise typer.Exit(Exit.FAILED)


def _changes(settings: Settings) -> list[Change]:
    if settings.catalogue_dir is None:
        return []
    from rushes.catalogue.load import load, operators_changes
    from rushes.providers.registry import declarations

    more = [one.catalogue for one in declarations().values() if one.catalogue is not None]
    return operators_changes(settings.catalogue_dir, load(more=more).models())


async def _live(settings: Settings, today: date) -> list[LiveList]:
    from rushes.app.live_models import live_lists
    from rushes.app.providers import configured_providers
    from rushes.clock import SystemClock
    from rushes.data_directory import DataDirectory

    scratch = DataDirectory(settings.data_dir).scratch
    return await live_lists(configured_providers(settings, SystemClock()), scratch, today)


async def _servers(settings: Settings) -> Mapping[str, Checked]:
    from rushes.app.providers import configured_providers
    from rushes.app.server_checks import checked_servers
    from rushes.clock import SystemClock
    from rushes.data_directory import DataDirectory

    return await checked_servers(
        configured_providers(settings, SystemClock()), DataDirectory(settings.data_dir).scratch
    )


def _show_servers(servers: Mapping[str, Checked]) -> None:
    from rushes.cli.screen import note

    for name, one in servers.items():
        if one.unasked is not None:
            note(f"{name}: its models cannot be checked: {one.unasked}", "yellow")
        for sentence in one.misfits:
            note(f"{name}: {sentence}", "yellow")
        if one.unasked is None and not one.misfits:
            note(f"{name}: it can run its models", "dim")


def _show_changes(changes: Sequence[Change]) -> None:
    from rushes.cli.screen import note

    for change in changes:
        does = "is a model of your own" if change.fields is None else f"has your own {', '.join(change.fields)}"
        note(f"{change.provider}/{change.model_id} {does} (RUSHES_CATALOGUE_DIR)")


def _show_live(live: Sequence[LiveList]) -> None:
    from rushes.cli.screen import note

    for one in live:
        name = one.provider if one.api is None else f"{one.provider} ({one.api})"
        if one.trouble is not None:
            note(f"{name}: its list of models cannot be read: {one.trouble}", "yellow")
        for model_id in one.missing:
            note(f"{name}: its list lacks '{model_id}', which the catalogue offers", "yellow")
        for model_id in one.unknown:
            note(f"{name}: its list has '{model_id}', which the catalogue lacks")
        for difference in one.differing:
            note(f"{name}: {difference}", "yellow")
        if one.trouble is None and not one.missing and not one.unknown and not one.differing:
            note(f"{name}: its list and the catalogue agree", "dim")


def _more_content(
    changes: Sequence[Change], live: Sequence[LiveList], servers: Mapping[str, Checked]
) -> dict[str, Any]:
    return {
        "own_catalogue": [
            {
                "provider": one.provider,
                "id": one.model_id,
                "overrides": None if one.fields is None else list(one.fields),
            }
            for one in changes
        ],
        "live_lists": [
            {
                "provider": one.provider,
                "api": one.api,
                "missing": list(one.missing),
                "unknown": list(one.unknown),
                "differing": list(one.differing),
                "trouble": one.trouble,
            }
            for one in live
        ],
        "own_servers": [
            {"provider": name, "misfits": list(one.misfits), "trouble": one.unasked} for name, one in servers.items()
        ],
    }


async def _findings(settings: Settings, today: date, within_days: int) -> list[Finding]:
    from rushes.app.administration import opened_usage
    from rushes.app.providers import configured_providers
    from rushes.clock import SystemClock

    providers = configured_providers(settings, SystemClock())
    since_ms = int(datetime.now(UTC).timestamp() - ASKED_DAYS * 86_400) * 1000
    async with opened_usage(settings) as usage:
        asked = [] if usage is None else await usage.read_all(since_ms=since_ms)
    return findings(
        providers.catalogue,
        providers.keyring,
        asked,
        today,
        within_days=within_days,
        refuses=settings.on_retired == "refuse",
    )


def findings(
    catalogue: Catalogue,
    keyring: Keyring,
    asked: Sequence[ModelUsage],
    today: date,
    *,
    within_days: int,
    refuses: bool,
) -> list[Finding]:
    """The models that end within this many days, their uses, and whether they need attention.

    `refuses` says that the operator does not let a successor serve.
    """
    from rushes.catalogue.choose import choose
    from rushes.catalogue.lifecycle import endings

    default = choose(catalogue, None, None)
    jobs = {(item.provider, item.model): item.usage.jobs for item in asked}
    found = []
    for ending in endings(catalogue, today, within_days=within_days):
        model = ending.model
        used_by = ["the default model"] if model is default else []
        if count := jobs.get((model.provider, model.id), 0):
            used_by.append(f"{count} {'job' if count == 1 else 'jobs'} in {ASKED_DAYS} days")
        served_by = () if refuses else _served_by(ending, keyring)
        found.append(
            Finding(ending, tuple(used_by), served_by, _attention(ending, used_by, served_by, refuses=refuses))
        )
    return found


def _served_by(ending: Ending, keyring: Keyring) -> tuple[str, ...]:
    """The successors for the configured keys; without keys, those for any key that callers bring."""
    apis = [pinned.api for pinned in keyring.of(ending.model.provider)]
    successors = [ending.successor_on(api) for api in apis] if apis else ending.successors.values()
    return tuple(dict.fromkeys(successor for successor in successors if successor is not None))


def _attention(ending: Ending, used_by: Sequence[str], served_by: Sequence[str], *, refuses: bool) -> str | None:
    if not used_by:
        return None
    if not served_by:
        when = "are refused" if ending.is_retired else "will be refused"
        return f"requests for it {when}: " + ("RUSHES_ON_RETIRED is refuse" if refuses else "it has no successor here")
    if not ending.is_retired:
        return f"it retires in {ending.days_left} {'day' if ending.days_left == 1 else 'days'}"
    return None


def _show(found: Sequence[Finding], within_days: int) -> None:
    from rich.text import Text

    from rushes.cli.screen import note, output, plain_table

    if not found:
        note(f"no model is retired or retires within {within_days} days")
        return
    table = plain_table("MODEL", "RETIRED", "SUCCESSOR", "USED BY")
    for column in table.columns[2:]:
        column.no_wrap = False
    for finding in found:
        ending = finding.ending
        style = "yellow" if finding.attention is not None else "" if finding.used_by else "dim"
        cells = (
            f"{ending.model.provider}/{ending.model.id}",
            ending.retired.isoformat(),
            _in_words(ending.successors) or "none",
            ", ".join(finding.used_by) or "-",
        )
        table.add_row(*(Text(cell) for cell in cells), style=style)
    output().print(table)
    for finding in found:
        if finding.attention is not None:
            note(f"{finding.ending.model.id}: {finding.attention}", "yellow")
    if all(finding.attention is None for finding in found):
        note("nothing needs attention: a successor serves every retired model in use", "dim")


def _in_words(successors: Mapping[str, str]) -> str:
    if len(set(successors.values())) <= 1:
        return next(iter(successors.values()), "")
    return ", ".join(f"{successor} ({api})" for api, successor in successors.items())


def _content(found: Sequence[Finding], today: date, within_days: int) -> dict[str, Any]:
    return {
        "checked_on": today.isoformat(),
        "within_days": within_days,
        "needs_attention": any(finding.attention is not None for finding in found),
        "models": [
            {
                "provider": finding.ending.model.provider,
                "id": finding.ending.model.id,
                "retired": finding.ending.retired.isoformat(),
                "days_left": finding.ending.days_left,
                "successors": finding.ending.successors,
                "served_by": list(finding.served_by),
                "used_by": list(finding.used_by),
                "attention": finding.attention,
            }
            for finding in found
        ],
    }
