"""What each tool does, over the services that the API uses: the same keys, scopes, limits and rules."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
from typing import Any

from starlette.requests import Request

from rushes.accounts.keys import Caller, Mode, Scope
from rushes.api.authentication import require
from rushes.api.cursors import cursor_of, seq_of
from rushes.api.mcp.arguments import Arguments, tool_named, wrong
from rushes.api.mcp.outcomes import Outcome, as_json, in_a_line, job_outcome, seen
from rushes.api.mcp.tools import LONGEST_WAIT_S, MOST_LISTED, USUALLY_LISTED
from rushes.api.services import Services, services_of
from rushes.api.uploads import upload_view
from rushes.api.waiting import ended_within
from rushes.catalogue.choose import choose, get_provider
from rushes.catalogue.model import Model
from rushes.domain.job import Job, Status
from rushes.errors import JobNotFound
from rushes.intake.generation import asked_of
from rushes.jobs.idempotency import Once, Replay, hash_body
from rushes.jobs.new_job import Asked, Budget
from rushes.jobs.routing import ANIMATIC
from rushes.jobs.store import Listing
from rushes.json_text import json_str
from rushes.shared_places import UPLOADS
from rushes.views.model import ModelView, model_view
from rushes.views.quote import QuoteView, quote_view
from rushes.views.times import rfc3339

ROUTE = "MCP generate_video"
"""Under which idempotency keys count."""
LONGEST_URL = 8192


@dataclass(frozen=True, slots=True)
class Call:
    """One call of a tool."""

    request: Request
    caller: Caller
    arguments: Arguments

    @property
    def services(self) -> Services:
        """What tools work with."""
        return services_of(self.request)


async def carry_out(request: Request, name: str, given: Mapping[str, Any]) -> Outcome:
    """Call the tool of this name. Raises RushesError for what is wrong with the call."""
    tool = tool_named(name)
    caller: Caller = request.state.caller
    require(caller, Scope.READ if tool.reads_only else Scope.GENERATE)
    return await _DONE_BY[name](Call(request, caller, Arguments(tool, given)))


async def _list_models(call: Call) -> Outcome:
    services, named = call.services, call.arguments.text("model")
    today = datetime.fromtimestamp(services.clock.now_ms() / 1000, UTC).date()
    view_of_model = partial(model_view, services.catalogue, services.served_apis, today=today)
    provider = call.arguments.text("provider")
    catalogue = await services.jobs.catalogue_for(call.caller)
    if named is not None:
        whole = as_json(view_of_model(choose(catalogue, named, provider)))
        return Outcome(json_str(whole), {"models": [whole]})
    if provider is not None:
        get_provider(catalogue, provider)
    models = [model for model in catalogue.models(provider) if _usable(call, model)]
    views = [view for model in models if (view := view_of_model(model)).status == "available"]
    known = sorted({capability for view in views for capability in view.capabilities})
    capability = call.arguments.one_of("capability", known) if known else None
    rows = [
        {"id": view.full_id, "name": view.name, "capabilities": view.capabilities, "price": _price_in_short(call, view)}
        for view in views
        if capability is None or capability in view.capabilities
    ]
    lines = [f"{row['id']}: {', '.join(row['capabilities'])}; {row['price']}" for row in rows]
    said = "\n".join(lines) or "No model can be used: the operator has set no key of a provider."
    return Outcome(said, {"models": rows})


def _usable(call: Call, model: Model) -> bool:
    # With a test key every model is drawn by the animatic.
    is_served = model.provider in call.services.served_apis or model.provider == ANIMATIC
    return is_served or call.caller.mode is Mode.TEST


def _price_in_short(call: Call, model: ModelView) -> str:
    if call.caller.mode is Mode.TEST or model.provider == ANIMATIC:
        return "free"
    for field, unit in (
        ("usd_per_second", "second"),
        ("usd_per_video", "video"),
        ("usd_per_million_tokens", "million tokens"),
    ):
        found = [amount for price in model.prices if (amount := getattr(price, field)) is not None]
        if found:
            least, most = min(found), max(found)
            amount = f"{least:g}" if least == most else f"{least:g} to {most:g}"
            return f"{amount} USD per {unit}"
    return "price unknown"


async def _quote_video(call: Call) -> Outcome:
    view = quote_view(await call.services.jobs.quote(call.caller, _asked(call)))
    return Outcome(_quote_in_words(view), as_json(view))


def _quote_in_words(view: QuoteView) -> str:
    what = f"{view.n} video{'s' if view.n > 1 else ''} by {view.served_model}"
    if view.duration is not None:
        what += f", {view.duration} s"
    if view.cost is None:
        said = f"The price of {what} is not known."
    else:
        said = f"{what} would cost {view.cost:g} USD; up to {view.reserved or 0:g} USD is set aside (max_cost_usd)."
    if view.refusal is not None:
        said += f" But it would be refused now ({view.refusal.code}): {view.refusal.detail}"
    if view.warnings:
        said += " Warnings: " + " ".join(view.warnings)
    return said


async def _generate_video(call: Call) -> Outcome:
    services, caller = call.services, call.caller
    key, most_usd = call.arguments.idempotency_key(), call.arguments.usd("max_cost_usd")
    once = None
    if key is not None:
        # Not the amount: who agrees to another one wants the same video.
        body_hash = await asyncio.to_thread(hash_body, call.arguments.rest("idempotency_key", "max_cost_usd"))
        once = Once(route=ROUTE, key=key, body_hash=body_hash, answer_of=_kept)
        earlier = await services.jobs.find_answer(caller, once)
        if earlier is not None:
            return await _again(call, earlier)
    made = await services.jobs.create(caller, replace(_asked(call), budget=Budget(most_usd)), once)
    if isinstance(made, Replay):
        return await _again(call, made)
    outcome = await job_outcome(call.request, made, before="Started. ")
    return replace(outcome, started=made)


def _kept(job: Job) -> str:
    return json.dumps({"job_id": job.id})


async def _again(call: Call, replay: Replay) -> Outcome:
    """The job that an earlier call with the same key has made, as it is now."""
    job_id = str(json.loads(replay.answer)["job_id"])
    try:
        job = await call.services.jobs.get(call.caller, job_id)
    except JobNotFound as exc:
        raise wrong("idempotency_key", f"has made the job '{job_id}', which was deleted; use a new key") from exc
    before = "An earlier call with this idempotency_key has made this job; nothing new was started. "
    return replace(await job_outcome(call.request, job, before=before), started=job)


def _asked(call: Call) -> Asked:
    content = call.arguments.rest("idempotency_key", "max_cost_usd")
    return asked_of(content, partial(call.services.webhooks.job_webhook, call.caller))


async def _get_video(call: Call) -> Outcome:
    job_id = call.arguments.needed_text("job_id")
    wait_s = call.arguments.whole("wait_s", 0, LONGEST_WAIT_S, 0)
    job = await call.services.jobs.get(call.caller, job_id)
    if wait_s and not job.status.is_final:
        job = await ended_within(call.request, call.caller, job_id, wait_s) or job
    return await job_outcome(call.request, job)


async def _list_videos(call: Call) -> Outcome:
    arguments = call.arguments
    limit = arguments.whole("limit", 1, MOST_LISTED, USUALLY_LISTED)
    cursor, status = arguments.text("cursor"), arguments.one_of("status", [one.value for one in Status])
    model = arguments.text("model")
    provider = None
    if model is not None:
        chosen = choose(call.services.catalogue, model, None)
        model, provider = chosen.id, chosen.provider if "/" in model else None
    listing = Listing(
        limit=limit,
        beyond_seq=None if cursor is None else seq_of(cursor),
        status=None if status is None else Status(status),
        model=model,
        provider=provider,
        user=arguments.text("user"),
    )
    found = await call.services.jobs.list(call.caller, listing)
    jobs = found.jobs
    views = [seen(call.request, job) for job in jobs]
    next_cursor = cursor_of(jobs[-1].seq) if found.is_cut or len(jobs) == limit else None
    said = "\n".join(in_a_line(view) for view in views) or "There are no such jobs."
    if next_cursor is not None:
        said += f"\nThere may be more: cursor {next_cursor}"
    return Outcome(said, {"jobs": [as_json(view) for view in views], "next_cursor": next_cursor})


async def _cancel_video(call: Call) -> Outcome:
    job = await call.services.jobs.cancel(call.caller, call.arguments.needed_text("job_id"))
    return await job_outcome(call.request, job)


async def _upload_media(call: Call) -> Outcome:
    services, caller = call.services, call.caller
    url = call.arguments.text("url", LONGEST_URL)
    if url is None:
        path, expires_at = services.upload_links.make(caller.key_id, services.clock.now_ms())
        link = services.links.base(call.request) + path
        until = rfc3339(expires_at)
        said = f"Send one file before {until}: curl -T FILE '{link}'. The answer has its `reference`."
        return Outcome(said, {"upload_url": link, "expires_at": until})
    with services.places[UPLOADS].take(caller.account_id):
        view = upload_view(await services.inputs.upload_from(caller.tenant, url, "url"))
    said = f"Stored {view.content_type}, {view.size_bytes} bytes. Its reference is {view.reference}."
    return Outcome(said, as_json(view))


_DONE_BY: dict[str, Callable[[Call], Awaitable[Outcome]]] = {
    "list_models": _list_models,
    "quote_video": _quote_video,
    "generate_video": _generate_video,
    "get_video": _get_video,
    "list_videos": _list_videos,
    "cancel_video": _cancel_video,
    "upload_media": _upload_media,
}
