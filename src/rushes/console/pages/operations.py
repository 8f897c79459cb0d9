"""Operations, for administrators: what is up, what waits, and the jobs that only a person can settle."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from decimal import Decimal, InvalidOperation
from http import HTTPStatus

from starlette.responses import Response

from rushes.accounts.keys import Scope
from rushes.catalogue.price import to_usd
from rushes.console.pages.models import ModelCard, card_of, today_of
from rushes.console.routes import Page
from rushes.console.visit import Visit
from rushes.engine.breaker import BreakerState
from rushes.engine.credential_pool import CredentialHealth, CredentialState
from rushes.errors import FieldError, InvalidRequest
from rushes.operations.decisions import Decision
from rushes.operations.needs_operator import Action, After

PAGE_SIZE = 50
SOON = timedelta(days=90)
LARGEST_COST_USD = 1_000_000
WORDS = {
    Action.RECONCILE: "Go on with the provider's id",
    Action.RECOVER: "Fetch the video once more",
    Action.SETTLE: "Record what it cost",
    Action.WRITE_OFF: "Write it off",
    Action.ABORT: "Abort it",
}


async def show_operations(visit: Visit) -> Response:
    """How the service is, at this moment."""
    return await _page(visit)


async def act(visit: Visit) -> Response:
    """Do what an operator has decided for one job."""
    job_id = visit.request.path_params["job_id"]
    form = visit.form
    try:
        action = Action(form.text("action"))
    except ValueError:
        raise InvalidRequest("This is not an action of the list", [FieldError("action", "is unknown")]) from None
    if action in (Action.WRITE_OFF, Action.ABORT) and not form.has("confirmed"):
        return visit.page("confirm_action.html", job_id=job_id, action=action.value, words=WORDS[action])
    cost_usd = _cost(form.text("cost_usd")) if action is Action.SETTLE else None
    if action is Action.SETTLE and cost_usd is None:
        return await _page(visit, f"The cost must be a number of dollars, from 0 to {LARGEST_COST_USD:,}")
    if action is Action.RECONCILE and form.given("provider_video_id") is None:
        return await _page(visit, "The provider's id of the generation is needed to go on with it")
    result = await visit.services.decisions.carry_out(
        Decision(action, job_id, provider_video_id=form.given("provider_video_id"), cost_usd=cost_usd)
    )
    if result.error_code is not None:
        return await _page(visit, result.message)
    return visit.go("/operations", notice="done")


async def _page(visit: Visit, error: str | None = None) -> Response:
    services = visit.services
    after = _place(visit.query.text("after"))
    waiting = await services.needs_operator.list(PAGE_SIZE, after=after)
    snapshot = await services.telemetry.read()
    providers = _providers(visit)
    named = {name for name, _, _ in providers}
    more = None
    if len(waiting) == PAGE_SIZE:
        place = waiting[-1].place
        more = visit.path("/operations", after=f"{place.accepted_at}-{place.job_id}")
    return visit.page(
        "operations.html",
        status=HTTPStatus.OK if error is None else HTTPStatus.CONFLICT,
        error=None if error is None else error[:1].upper() + error[1:],
        trouble=await services.ready(),
        snapshot=snapshot,
        lanes=sorted(snapshot.lanes.items(), key=lambda item: -item[1].oldest_s),
        providers=providers,
        without_key=[name for name in services.catalogue.providers if name not in named],
        credentials=_credentials(visit),
        waiting=waiting,
        more=more,
        words=WORDS,
        Action=Action,
        to_usd=to_usd,
        retiring=_retiring(visit),
    )


def _providers(visit: Visit) -> Sequence[tuple[str, str, str]]:
    """Each provider that is in use, with a status word and a sentence."""
    troubled: dict[str, tuple[str, str]] = {}
    takes_jobs = (CredentialState.UP, CredentialState.LIMITED)
    others_work = {one.provider for one in visit.services.credentials() if one.state in takes_jobs}
    for circuit, health in visit.services.breakers().items():
        broken = health.state is not BreakerState.CLOSED
        name = "a caller's own" if circuit.byok else f"'{circuit.credential}'"
        key = "" if circuit.credential is None else f", key {name}"
        api = "" if circuit.api is None else f" ({circuit.api}{key})"
        wait = f"; asked again in {health.wait_s:.0f} s" if health.wait_s > 0 else ""
        sentence = f"{health.failures} calls in a row did not reach the provider{api}{wait}"
        if broken or circuit.provider not in troubled:
            state = "broken" if broken and circuit.provider not in others_work else "warned"
            troubled[circuit.provider] = (state, sentence)
    found = []
    for provider in visit.services.catalogue.providers:
        if provider in troubled:
            found.append((provider, *troubled[provider]))
        elif provider in visit.services.served_apis:
            found.append((provider, "ok", "No trouble since its last answer to this process"))
    order = {"broken": 0, "warned": 1, "ok": 2}
    return sorted(found, key=lambda entry: order[entry[1]])


def _credentials(visit: Visit) -> Mapping[str, Sequence[CredentialHealth]]:
    """The credentials of each provider that has more than one."""
    found: dict[str, list[CredentialHealth]] = {}
    for one in visit.services.credentials():
        found.setdefault(one.provider, []).append(one)
    return {provider: its for provider, its in found.items() if len(its) > 1}


def _retiring(visit: Visit) -> Sequence[ModelCard]:
    """Models of served providers that have ended or end soon, the first to end first."""
    today = today_of(visit)
    found = [
        card_of(visit, model)
        for model in visit.services.catalogue.models()
        if model.retired is not None
        and model.provider in visit.services.served_apis
        and today - SOON <= model.retired <= today + SOON
    ]
    return sorted(found, key=lambda card: str(card.model.retired))


def _place(text: str) -> After | None:
    at, _, job_id = text.partition("-")
    return After(int(at), job_id) if at.isdecimal() and len(at) <= 18 else None


def _cost(text: str) -> Decimal | None:
    try:
        cost_usd = Decimal(text)
    except InvalidOperation:
        return None
    return cost_usd if cost_usd.is_finite() and 0 <= cost_usd <= LARGEST_COST_USD else None


PAGES = (
    Page("GET", "/operations", show_operations, scope=Scope.ADMIN),
    Page("POST", "/operations/jobs/{job_id}", act, scope=Scope.ADMIN),
)
