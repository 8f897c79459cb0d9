"""Models: what each takes, what it costs, and when it ends."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime

from starlette.responses import Response

from rushes.accounts.keys import Mode
from rushes.catalogue.choices import FILTERS, resolutions_of, wish_of
from rushes.catalogue.choose import get_model, served
from rushes.catalogue.load import Catalogue
from rushes.catalogue.model import Audio, Model, Price
from rushes.console.rendering import usd
from rushes.console.routes import Page
from rushes.console.visit import Visit
from rushes.console.wish import full_id
from rushes.jobs.routing import ANIMATIC


@dataclass(frozen=True, slots=True)
class ModelCard:
    """One model as the pages show it today. `successor` is what runs once it is retired."""

    model: Model
    full_id: str
    usable: bool
    is_retired: bool
    successor: Model | None

    @property
    def rates(self) -> tuple[str, ...]:
        """Every rate of its price list, each once."""
        return tuple(dict.fromkeys(rate_of(price) for price in self.model.prices))

    @property
    def sound(self) -> str:
        """Whether there is a sound track."""
        return {Audio.ALWAYS: "always", Audio.OPTIONAL: "if asked for", Audio.NEVER: "none"}[self.model.audio]


def rate_of(price: Price) -> str:
    """What one row of a price list charges, in words."""
    rates = (
        (price.usd_per_s, "a second"),
        (price.usd_per_video, "a video"),
        (price.usd_per_million_tokens, "a million tokens"),
    )
    rate = next((f"{usd(amount)} {unit}" for amount, unit in rates if amount is not None), "no rate")
    least = "" if price.least_usd is None else f", at least {usd(price.least_usd)}"
    return rate + least


async def list_models(visit: Visit) -> Response:
    """The models that meet the filters, by provider; those of providers that can be used come first."""
    text = visit.query.text("q").casefold()
    catalogue = await visit.services.jobs.catalogue_for(visit.signed_in)
    written = {name: ",".join(visit.query.all(name)) for name in FILTERS}
    groups = []
    for provider, models in wish_of(written, catalogue).groups(catalogue, today_of(visit)):
        cards = [card_of(visit, model) for model in models]
        cards = [card for card in cards if text in f"{card.full_id} {card.model.name}".casefold()]
        if cards:
            cards.sort(key=lambda card: card.is_retired)
            groups.append((provider, provider in visit.services.served_apis, cards))
    # The provider that is always there is what few have come to look for.
    groups.sort(key=lambda group: (not group[1], group[0] == ANIMATIC))
    return visit.page(
        "models.html", groups=groups, text=visit.query.text("q"), filters=written, resolutions=resolutions_of(catalogue)
    )


async def show_model(visit: Visit) -> Response:
    """One model; its id may hold slashes."""
    parameters = visit.request.path_params
    catalogue = await visit.services.jobs.catalogue_for(visit.signed_in)
    model = get_model(catalogue, parameters["provider"], parameters["model_id"])
    return visit.page("model.html", card=card_of(visit, model), model=model, rate_of=rate_of)


def card_of(visit: Visit, model: Model) -> ModelCard:
    """The model as it is today."""
    today = today_of(visit)
    is_retired = model.retired is not None and model.retired <= today
    api = visit.services.served_apis.get(model.provider)
    successor = None
    if model.retired is not None:
        # As it will be on the day after its end.
        running = served(model, api, max(today, model.retired), visit.services.catalogue)
        successor = None if running is model else running
    usable = model.provider in visit.services.served_apis or visit.signed_in.mode is Mode.TEST
    return ModelCard(model, full_id(model), usable, is_retired, successor)


def names_by_provider(catalogue: Catalogue) -> Mapping[str, Sequence[str]]:
    """Every model as `provider/id`, for a list to choose from."""
    return {provider: [full_id(model) for model in catalogue.models(provider)] for provider in catalogue.providers}


def today_of(visit: Visit) -> date:
    """The UTC day."""
    return datetime.fromtimestamp(visit.now_ms / 1000, UTC).date()


PAGES = (
    Page("GET", "/models", list_models),
    Page("GET", "/models/{provider}/{model_id:path}", show_model),
)
