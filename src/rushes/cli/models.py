"""`rushes models`: the models with their options and prices. Without a subcommand it lists them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from types import MappingProxyType
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperGroup

from rushes.cli import lifecycle
from rushes.cli.connection import call, service_settings
from rushes.cli.exits import EPILOG, Exit
from rushes.cli.options import ApiKey, AsJson, BaseUrl
from rushes.client_settings import load_client_settings

if TYPE_CHECKING:
    from rich.table import Table
    from rich.text import Text

    from rushes.catalogue.model import Price as PriceRow
    from rushes.client import AsyncClient, Model, Price

ROOMY_COLUMNS = 130
USUAL = "list"
"""The command that `rushes models` without a subcommand runs."""


class ListByDefault(TyperGroup):
    """`rushes models veo` is `rushes models list veo`."""

    def parse_args(self, ctx: typer.Context, args: list[str]) -> list[str]:  # type: ignore[override]
        if not args or (args[0] not in self.commands and args[0] not in ctx.help_option_names):
            args = [USUAL, *args]
        return super().parse_args(ctx, args)


app = typer.Typer(cls=ListByDefault, help="Show models with options and prices, or those that retire (`check`).")
app.command(epilog=EPILOG)(lifecycle.check)


@app.command(USUAL, epilog=EPILOG)
def list_models(
    name: Annotated[
        str | None, typer.Argument(metavar="[NAME]", help="Only models whose provider or id contains this.")
    ] = None,
    show_all: Annotated[bool, typer.Option("--all", help="Include retired models.")] = False,
    provider: Annotated[str | None, typer.Option("--provider", help="Only this provider's.")] = None,
    inputs: Annotated[
        list[str] | None,
        typer.Option("--input", metavar="ROLE", help="Only models that take this, such as last_frame; repeatable."),
    ] = None,
    video_task: Annotated[
        str | None, typer.Option("--task", help="Only models that do this to a video: extend, edit or upscale.")
    ] = None,
    resolution: Annotated[str | None, typer.Option("--resolution", help="Only models that make this.")] = None,
    max_price: Annotated[
        str | None, typer.Option("--max-price", metavar="USD", help="Only models of which a second costs this at most.")
    ] = None,
    audio: Annotated[
        bool | None, typer.Option("--audio/--no-audio", help="Only models that make videos with sound, or silent ones.")
    ] = None,
    sort: Annotated[str | None, typer.Option("--sort", help="price: the cheapest first.")] = None,
    as_json: AsJson = False,
    base_url: BaseUrl = None,
    api_key: ApiKey = None,
) -> None:
    """Show every model with its options and prices; without a configured service, the models that rushes ships."""
    from rushes.cli.screen import note, output, print_json

    wish = {
        "provider": provider,
        "inputs": ",".join(inputs or ()),
        "video_task": video_task,
        "resolution": resolution,
        "max_usd_per_second": max_price,
        "audio": None if audio is None else str(audio).lower(),
        "sort": sort,
    }
    written = {field: text for field, text in wish.items() if text}
    if load_client_settings(base_url, api_key).is_configured or as_json:
        known, content = call(service_settings(base_url, api_key), lambda client: _known(client, written))
        if as_json:
            print_json(content)
            return
    else:
        known = shipped(written)
        note("No service is configured (RUSHES_BASE_URL, RUSHES_API_KEY); these are the models that rushes ships.")
    named = [model for model in known if name is None or name.lower() in f"{model.provider}/{model.id}".lower()]
    shown = [model for model in named if show_all or not model.is_retired]
    if not named:
        note(f"there is no model like '{name}'" if name is not None else "no models")
        raise typer.Exit(Exit.NOT_FOUND)
    console = output()
    if shown:
        console.print(_table(shown, console.width))
    hidden = len(named) - len(shown)
    if hidden:
        note(f"and {hidden} retired {'model' if hidden == 1 else 'models'}: --all shows them", "dim")


async def _known(client: AsyncClient, wish: Mapping[str, str]) -> tuple[tuple[Model, ...], Any]:
    """The service's models that meet the wish, and its answer itself."""
    from rushes.client.answers import read
    from rushes.client.asynchronous import models_in

    content = await client.request("GET", "/api/v1/models", query=wish)
    return read(models_in, content), content


def _table(shown: Sequence[Model], columns: int) -> Table:
    from rich.text import Text

    from rushes.cli.screen import WIDE_COLUMNS, plain_table
    from rushes.cli.wording import printable, span

    is_wide, is_roomy = columns >= WIDE_COLUMNS, columns >= ROOMY_COLUMNS
    nice = (["RATIOS"] if is_wide else []) + (["INPUTS"] if is_roomy else [])
    table = plain_table("MODEL", "RESOLUTION", "SECONDS", "AUDIO", "PER SECOND", *nice)
    # Lists of values wrap, so that no column loses a figure.
    for column in (table.columns[1], *table.columns[5:]):
        column.no_wrap = False
    provider = None
    for model in shown:
        if model.provider != provider:
            if provider is not None:
                table.add_row()
            provider = model.provider
            table.add_row(_heading(model))
        more = [" ".join(model.aspect_ratios)] if is_wide else []
        more += [" ".join(model.inputs).replace("_", "-")] if is_roomy else []
        cells = (" ".join(model.resolutions), span(model.durations_s), _audio(model), price(model), *more)
        if model.is_retired:
            cells = (f"retired{f': {model.successor}' if model.successor else ''}",)
        table.add_row(
            *(Text(printable(cell)) for cell in (f"{model.id}", *cells)), style="dim" if model.is_retired else None
        )
    return table


def _heading(model: Model) -> Text:
    from rich.text import Text

    missing = "  no key" if model.has_credentials is False else ""
    return Text.assemble((model.provider, "bold cyan"), (missing, "yellow"))


def _audio(model: Model) -> str:
    match set(model.audio):
        case values if len(values) == 2:
            return "optional"
        case values:
            return "always" if True in values else "-"


def price(model: Model) -> str:
    """The list price of a second, a video or a million tokens: one figure, or the lowest and the highest."""
    rates = {
        "": [each.usd_per_s for each in model.prices],
        " a video": [each.usd_per_video for each in model.prices],
        " a million tokens": [each.usd_per_million_tokens for each in model.prices],
    }
    said = [_range(sorted({one for one in figures if one is not None}), unit) for unit, figures in rates.items()]
    return ", ".join(filter(None, said)) or "unknown"


def _range(figures: Sequence[float], unit: str) -> str:
    if not figures:
        return ""
    low, high = figures[0], figures[-1]
    if high == 0:
        return "free"
    return (f"${low:g}" if low == high else f"${low:g}-{high:g}") + unit


def shipped(wish: Mapping[str, str] = MappingProxyType({})) -> tuple[Model, ...]:
    """The catalogue inside this package, in the client's terms. Whether a service has credentials is not known.

    Raises UnsupportedOption for a wish that cannot be meant.
    """
    from rushes.catalogue.choices import wish_of
    from rushes.catalogue.load import load
    from rushes.catalogue.model import Audio
    from rushes.client import Model

    audio = {Audio.OPTIONAL: (True, False), Audio.ALWAYS: (True,), Audio.NEVER: (False,)}
    today = datetime.now(UTC).date()
    catalogue = load()
    return tuple(
        Model(
            id=entry.id,
            provider=entry.provider,
            name=entry.name,
            aspect_ratios=entry.aspect_ratios,
            resolutions=entry.resolutions,
            durations_s=entry.durations_s,
            audio=audio[entry.audio],
            inputs=tuple(role.value for role in entry.inputs),
            prices=tuple(_price(one) for one in entry.prices),
            is_retired=entry.retired is not None and entry.retired <= today,
            successor=" or ".join(dict.fromkeys(entry.successors.values())) or None,
            has_credentials=None,
            content={},
        )
        for _, entries in wish_of(wish, catalogue).groups(catalogue, today)
        for entry in entries
    )


def _price(row: PriceRow) -> Price:
    from rushes.client import Price

    rates = (row.usd_per_s, row.usd_per_video, row.usd_per_million_tokens)
    per_s, per_video, per_million = (None if rate is None else float(rate) for rate in rates)
    return Price(per_s, row.resolution, row.audio, per_video, per_million)
