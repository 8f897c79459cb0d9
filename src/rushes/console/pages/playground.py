"""The playground: a form made from a model's catalogue entry, with its price and the code that does the same."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from functools import partial
from http import HTTPStatus
from typing import Any

from pydantic_core import from_json, to_json
from starlette.responses import JSONResponse, Response

from rushes.accounts.keys import Mode, Scope
from rushes.catalogue.choose import DEFAULT_MODEL, choose
from rushes.catalogue.load import Catalogue
from rushes.catalogue.model import Model
from rushes.console.errors import field_errors, status_of
from rushes.console.routes import Page
from rushes.console.snippets import snippets_of
from rushes.console.visit import Form, Visit, sentence_of
from rushes.console.wish import MOST_MODELS, Wish, allowed, default, field_of, form_of, full_id, models_of, wishes_of
from rushes.domain.job import Job
from rushes.domain.request import Role, VideoTask
from rushes.errors import CallerError, InvalidRequest, RushesError
from rushes.intake.generation import GenerationBody, asked_of
from rushes.jobs.idempotency import Once, Replay, hash_body
from rushes.jobs.new_job import Asked
from rushes.views.job import accepted_options

ROUTE = "console playground"
EXAMPLE_PROMPT = "A paper boat on a rainy street, seen from just above the water"
FIRST = {"model": "animatic/storyboard", "prompt": "A golden retriever playing in autumn leaves"}
LABELS = {
    Role.INPUT_IMAGE: "Opening image",
    Role.LAST_FRAME: "Closing image",
    Role.REFERENCE_IMAGE: "Reference images",
    Role.VIDEO: "Video",
    Role.REFERENCE_VIDEO: "Reference videos",
    Role.REFERENCE_AUDIO: "Reference audio",
}
TASKS = {VideoTask.EXTEND: "Extend it", VideoTask.EDIT: "Edit it", VideoTask.UPSCALE: "Upscale it"}


@dataclass(frozen=True, slots=True)
class Priced:
    """What one model of the form would cost, or why it would be refused."""

    wish: Wish
    cost_usd: Decimal | None = None
    served_name: str | None = None
    warnings: tuple[str, ...] = ()
    refusal: str | None = None


async def show_playground(visit: Visit) -> Response:
    """The form, empty or filled from the address or from an earlier job."""
    query = visit.query
    job_id = query.given("job")
    if job_id is not None:
        job = await visit.services.jobs.get(visit.signed_in, job_id)
        return await _form_page(visit, form_of_job(job, query.without("job")))
    return await _form_page(visit, query)


async def preview(visit: Visit) -> Response:
    """For the script of the form: its options, price and code anew."""
    context = await _context(visit, visit.form)
    parts = {
        name: bytes(visit.page(f"playground_{name}.html", **context).body).decode()
        for name in ("options", "quote", "code")
    }
    return JSONResponse(parts, headers={"Cache-Control": "no-store"})


async def generate(visit: Visit) -> Response:
    """Make a job for each model of the form, and show them."""
    form = visit.form
    try:
        models = models_of(visit.services.catalogue, form)
        wishes = wishes_of(models, form, test=_is_test(visit))
        asked = [_asked(visit, wish) for wish in wishes]
        for one in asked:
            # All of them are checked before the first is made.
            quote = await visit.services.jobs.quote(visit.signed_in, one)
            if quote.refusal is not None:
                raise quote.refusal
        (await visit.services.rates.admit(visit.signed_in)).check()
        once = form.text("once") or secrets.token_urlsafe(12)
        job_ids = [await _create(visit, once, wish, one) for wish, one in zip(wishes, asked, strict=True)]
    except CallerError as error:
        return await _form_page(visit, form, error)
    if len(job_ids) == 1:
        return visit.go(f"/jobs/{job_ids[0]}")
    return visit.go("/compare", job=job_ids)


async def make_first(visit: Visit) -> Response:
    """The job behind the button of an empty list: free, and done in seconds."""
    job_id = await _create(visit, secrets.token_urlsafe(12), *_first(visit))
    return visit.go(f"/jobs/{job_id}")


async def refilled(visit: Visit, form: Form) -> Response:
    """The form as it was sent under a session that has ended."""
    context = await _context(visit, form)
    return visit.page("playground.html", **context, notice="You are signed in again. Nothing was made yet.")


def form_of_job(job: Job, over: Form) -> Form:
    """The form that asks for the same again, with some fields replaced."""
    options = accepted_options(job)
    options["model"] = f"{job.provider}/{job.model}"
    for left_out in ("provider", "response_format", "media", "webhook_url", "webhook_events"):
        options.pop(left_out, None)
    if not options.get("additional_params"):
        options.pop("additional_params", None)
    replaced = {name for name, _ in over.pairs}
    # The last part of an input's key is the reference that it was uploaded under.
    media = [
        (one.role.value, one.key.rpartition("/")[2])
        for one in job.request.media
        if one.role is not Role.VIDEO or "previous_job_id" not in options
    ]
    known = set(GenerationBody.model_fields)
    pairs = [(name, value) for name, value in form_of({k: v for k, v in options.items() if k in known}).pairs]
    return Form([*(pair for pair in (*pairs, *media) if pair[0] not in replaced), *over.pairs])


async def _form_page(visit: Visit, form: Form, error: RushesError | None = None) -> Response:
    context = await _context(visit, form, error)
    status = HTTPStatus.OK if error is None else status_of(error)
    return visit.page("playground.html", status=status, **context, notice=None)


async def _context(visit: Visit, form: Form, error: RushesError | None = None) -> dict[str, Any]:
    services, test = visit.services, _is_test(visit)
    usable = await services.jobs.catalogue_for(visit.signed_in)
    form = await _with_model(visit, form, usable)
    try:
        models: Sequence[Model] = models_of(services.catalogue, form)
    except CallerError as unknown:
        error = error or unknown
        models = [choose(services.catalogue, None, None)]
    try:
        wishes = wishes_of(models, form, prompt=EXAMPLE_PROMPT, test=test)
    except InvalidRequest as wrong:
        error = error or wrong
        wishes = [Wish(models[0], {"prompt": form.text("prompt"), "model": full_id(models[0])})]
    priced = [await _priced(visit, wish) for wish in wishes]
    errors = {} if error is None else field_errors(error)
    return {
        "form": form,
        "model": models[0],
        "full_id": full_id,
        "beside": [full_id(model) for model in models[1:]],
        "most_beside": MOST_MODELS - 1,
        "choices": _choices(visit, usable),
        "allowed": partial(allowed, test=test),
        "default": default,
        "media_roles": [
            (role, LABELS[role], f"{role.kind}/*", most)
            for role, most in models[0].inputs.items()
            if most and field_of(role) in GenerationBody.model_fields
        ],
        "tasks": [(task.value, TASKS[task]) for task in models[0].video_tasks],
        "fields": frozenset(GenerationBody.model_fields),
        "priced": priced,
        "total": _total(priced),
        "snippets": snippets_of(wishes[0].body, services.links.base(visit.request)),
        "errors": errors,
        "problem": None if error is None else sentence_of(error),
        "error": None if error is None or errors else sentence_of(error),
        "once": form.text("once") or secrets.token_urlsafe(12),
    }


def _choices(visit: Visit, catalogue: Catalogue) -> list[tuple[str, list[tuple[str, str]]]]:
    """Every model by its provider, those that can be used now first, each with what the visitor should know."""
    services, test = visit.services, _is_test(visit)
    today = datetime.fromtimestamp(visit.now_ms / 1000, UTC).date()
    groups: list[tuple[bool, str, list[tuple[str, str]]]] = []
    for provider in catalogue.providers:
        usable = test or provider in services.served_apis
        entries = []
        for model in catalogue.models(provider):
            is_retired = model.retired is not None and model.retired <= today
            entries.append((full_id(model), f"{model.name}{' (retired)' if is_retired else ''}"))
        groups.append((usable, provider if usable else f"{provider}: needs a key of yours", entries))
    return [(label, entries) for _, label, entries in sorted(groups, key=lambda group: not group[0])]


async def _with_model(visit: Visit, form: Form, usable: Catalogue) -> Form:
    """The form, with the model that it begins with if it names none: the account's, the usual one, or any usable."""
    if form.given("model") is not None:
        return form
    own = await visit.services.jobs.default_model(visit.signed_in)
    usual = usable.offering(DEFAULT_MODEL)
    name = own or next((full_id(model) for model in usable.models() if not usual), None)
    return form if name is None else Form([*form.without("model").pairs, ("model", name)])


async def _priced(visit: Visit, wish: Wish) -> Priced:
    try:
        quote = await visit.services.jobs.quote(visit.signed_in, _asked(visit, wish))
    except CallerError as error:
        return Priced(wish, warnings=wish.notes, refusal=sentence_of(error))
    warnings = (*wish.notes, *quote.main.route.warnings)
    refusal = None if quote.refusal is None else sentence_of(quote.refusal)
    return Priced(wish, quote.main.cost_usd, quote.main.name, warnings, refusal)


def _total(priced: Sequence[Priced]) -> Decimal | None:
    costs = [one.cost_usd for one in priced]
    known = [cost for cost in costs if cost is not None]
    return sum(known, Decimal(0)) if len(known) == len(costs) else None


def _asked(visit: Visit, wish: Wish) -> Asked:
    return asked_of(dict(wish.body), partial(visit.services.webhooks.job_webhook, visit.signed_in))


async def _create(visit: Visit, once: str, wish: Wish, asked: Asked) -> str:
    # The same form sent twice makes one job; a form that was changed meanwhile is another.
    body_hash = hash_body(dict(wish.body))
    key = f"{once[:64]}-{body_hash[:32]}"
    made = await visit.services.jobs.create(
        visit.signed_in,
        asked,
        Once(ROUTE, key, body_hash, answer_of=lambda job: to_json({"job_id": job.id}).decode()),
    )
    return str(from_json(made.answer)["job_id"]) if isinstance(made, Replay) else made.id


def _first(visit: Visit) -> tuple[Wish, Asked]:
    (model,) = models_of(visit.services.catalogue, Form([("model", FIRST["model"])]))
    wish = Wish(model, dict(FIRST))
    return wish, _asked(visit, wish)


def _is_test(visit: Visit) -> bool:
    return visit.signed_in.mode is Mode.TEST


PAGES = (
    Page("GET", "/playground", show_playground, scope=Scope.GENERATE),
    Page("POST", "/playground", generate, scope=Scope.GENERATE),
    Page("POST", "/playground/preview", preview, scope=Scope.GENERATE),
    Page("POST", "/playground/first", make_first, scope=Scope.GENERATE),
)
