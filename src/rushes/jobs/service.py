"""What callers do with jobs: quote, create, get, list, cancel, delete. What is wrong is found before money is spent."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from typing import TypedDict

from rushes import origin
from rushes.accounts.account_settings import NO_RULES, AccountSettingStore, InForce
from rushes.accounts.keys import Caller, Mode
from rushes.accounts.user_rate import UserRates
from rushes.catalogue.choose import choose
from rushes.catalogue.load import Catalogue
from rushes.catalogue.model import Model
from rushes.catalogue.wording import shown
from rushes.clock import Clock
from rushes.domain.fallbacks import Fallback, Fallbacks, pinned_options
from rushes.domain.job import Job, Status
from rushes.domain.request import InputMedia, Role, VideoRequest
from rushes.errors import CallerError, FieldError, InvalidRequest
from rushes.ids import new_id
from rushes.jobs.account_rules import on_retired_for, retention_ms_for, with_default_model
from rushes.jobs.guardrail.gate import AskedMedia, Gate, Question
from rushes.jobs.guardrail.store import Rewrite
from rushes.jobs.idempotency import Once, Replay
from rushes.jobs.new_job import Asked, NewJob
from rushes.jobs.previous import Source, source_of
from rushes.jobs.quote import UNKNOWN_PRICE, Quote, Quoted, cost_usd_of, quote_of, refuse_beyond_budget
from rushes.jobs.routing import ANIMATIC, OnRetired, Route, Router
from rushes.jobs.search import Found, find_by_prompt
from rushes.jobs.store import JobStore, Listing
from rushes.media.inputs import Inputs
from rushes.money.spend_limits import SpendingStore
from rushes.sealing import Sealer


@dataclass(frozen=True, slots=True)
class Policy:
    """What the operator has decided about new jobs. Holds are how long a job stays cancellable, in seconds."""

    hold_s: float = 0
    test_hold_s: float = 1
    unpriced_allowed: bool = False
    """Whether accounts with a spend limit may use models whose price is not known."""
    retention_s: float | None = None
    """How long finished videos are kept, where an account has no word of its own; None for no end."""


@dataclass(frozen=True, slots=True)
class Page:
    """Some jobs, and how many match in all, where that is kept.

    `is_cut`: it is shorter than its limit because its requests are large, and the list goes on behind it.
    """

    jobs: Sequence[Job]
    total: int | None
    is_cut: bool


Tracing = Callable[[str], AbstractContextManager[str | None]]
"""Around the acceptance of the job of this id: the W3C Trace Context that its later steps belong to, if any."""


def pass_on(_job_id: str) -> AbstractContextManager[str | None]:
    """No trace of ours: a job belongs to its caller's, if the caller has one."""
    request = origin.current.get()
    return nullcontext(None if request is None else request.traceparent)


class JobService:
    """The caller's side of jobs."""

    def __init__(
        self,
        store: JobStore,
        catalogue: Catalogue,
        router: Router,
        inputs: Inputs,
        spending: SpendingStore,
        settings: AccountSettingStore,
        users: UserRates,
        *,
        sealer: Sealer,
        clock: Clock,
        policy: Policy,
        tracing: Tracing = pass_on,
        gate: Gate | None = None,
    ) -> None:
        """`gate` judges requests; None where the operator has no guardrail."""
        self._store = store
        self._catalogue = catalogue
        self._router = router
        self._inputs = inputs
        self._spending = spending
        self._settings = settings
        self._users = users
        self._sealer = sealer
        self._clock = clock
        self._policy = policy
        self._tracing = tracing
        self._gate = gate

    async def find_answer(self, caller: Caller, once: Once) -> Replay | None:
        """What an earlier request of the same idempotency key was answered, if there was one."""
        return await self._store.find_answer(caller.tenant, once)

    async def catalogue_for(self, caller: Caller) -> Catalogue:
        """The models that the caller may use."""
        rules = await self._rules(caller)
        return self._catalogue.only(rules.access.allows) if rules.access.is_limited else self._catalogue

    async def default_model(self, caller: Caller) -> str | None:
        """What the caller's account runs where no model is named, if it has a word of its own."""
        return (await self._rules(caller)).defaults.default_model

    async def create(self, caller: Caller, asked: Asked, once: Once | None = None) -> Job | Replay:
        """Accept one generation: choose the model, check and complete the options, pin key and price, store the job.

        Media are taken in last: nothing is decoded or fetched for a request that is refused anyway. Raises
        ModelNotFound, ProviderNotFound, ModelNotAllowed, UnsupportedOption, InvalidRequest, ModelRetired,
        NoCredentials, BudgetExceeded, SpendLimitReached, PriceUnknown, QueueFull, IdempotencyMismatch, what `Gate.rule`
        and `source_of` raise for the job that it goes on from, or what `Inputs.take` raises; no job is stored then.
        """
        job_id = new_id("job")
        with self._tracing(job_id) as traceparent:
            return await self._create(caller, asked, once, job_id, traceparent)

    async def _create(
        self, caller: Caller, asked: Asked, once: Once | None, job_id: str, traceparent: str | None
    ) -> Job | Replay:
        if caller.has_limits:
            await self._users.admit(caller.account_id, caller.key_id, asked.user)
        rules = await self._rules(caller)
        asked = with_default_model(asked, rules.defaults)
        retention_ms = retention_ms_for(asked, rules.defaults, self._policy.retention_s)
        source = await self._source(caller, asked)
        plan = self._plan(caller, asked, self._expected(asked, source), rules)
        refuse_beyond_budget(asked.budget, plan.quoted)
        # The limits are kept where the job is stored; this only spares fetching media for nothing.
        if caller.has_limits:
            await self._spending.check(
                caller.account_id,
                caller.key_id,
                quote_of(plan.quoted).reservation,
                self._clock.now_ms(),
                unpriced_allowed=self._policy.unpriced_allowed,
                user=asked.user,
            )
        if asked.media or source is not None:
            await self._store.check_room(caller.tenant, caller.key_id)
            media = await self._inputs.take(caller.tenant, asked.media)
            if source is not None:
                media = (*media, await self._inputs.copy(caller.tenant, source.stored, Role.VIDEO))
            # Now that lengths are known, they are checked and priced.
            plan = self._plan(caller, asked, media, rules)
            refuse_beyond_budget(asked.budget, plan.quoted)
        asked, plan, rewrite = await self._judged(caller, asked, plan, rules, once)
        request_of = origin.current.get()
        new = NewJob(
            id=job_id,
            account_id=caller.account_id,
            key_id=caller.key_id,
            asked=asked,
            provider=plan.model.provider,
            model=plan.model.id,
            request=plan.route.request if source is None else replace(plan.route.request, previous=source.previous),
            route=_stored_route(plan.route),
            hold_s=self._policy.test_hold_s if plan.route.model.provider == ANIMATIC else self._policy.hold_s,
            sealed_secret=self._seal(plan.route, job_id),
            fallbacks=Fallbacks(tuple(_stored_route(one) for one in plan.fallbacks)),
            request_id=None if request_of is None else request_of.request_id,
            traceparent=traceparent,
            is_test=caller.mode is Mode.TEST,
            rewrite=rewrite,
            retention_ms=retention_ms,
            unpriced_allowed=self._policy.unpriced_allowed,
        )
        return await self._store.create(new) if once is None else await self._store.create_once(new, once)

    async def _judged(
        self, caller: Caller, asked: Asked, plan: _Plan, rules: InForce, once: Once | None
    ) -> tuple[Asked, _Plan, Rewrite | None]:
        """What the guardrail lets through: the request and its plan, with another prompt where it is rewritten."""
        if self._gate is None:
            return asked, plan, None
        media = [self._gate.asked_media(one) for one in plan.route.request.media]
        ruling = await self._gate.rule(caller, _question(caller, asked, plan, media), once)
        rewrite, plan_then = None, plan
        if ruling.prompt is not None:
            request = replace(asked.request, prompt=ruling.prompt)
            try:
                plan_then = self._plan(caller, replace(asked, request=request), plan.route.request.media, rules)
            except CallerError as error:
                # The caller's own prompt was fine, so this is no fault of theirs.
                why = f"its rewrite does not suit the model: {error.message}"
                ruling = self._gate.failed(why, is_kept=once is not None)
            else:
                rewrite = Rewrite(ruling.reason, asked.request.prompt)
                asked = replace(asked, request=request)
        if ruling.warning is not None:
            asked = replace(asked, warnings=(*asked.warnings, ruling.warning))
        return asked, plan_then, rewrite

    async def quote(self, caller: Caller, asked: Asked) -> Quote:
        """What `create` would answer about money. Nothing is stored, and no media are fetched or decoded.

        Raises what `create` raises for the model and its options; a limit that would refuse is in the answer instead.
        """
        now_ms = self._clock.now_ms()
        is_test = caller.mode is Mode.TEST
        limits = await self._spending.limits_of(
            caller.account_id, caller.key_id, now_ms, is_test=is_test, user=asked.user
        )
        rules = await self._rules(caller)
        asked = with_default_model(asked, rules.defaults)
        retention_ms_for(asked, rules.defaults, self._policy.retention_s)
        source = await self._source(caller, asked)
        return quote_of(
            self._plan(caller, asked, self._expected(asked, source), rules).quoted,
            limits=limits,
            now_ms=now_ms,
            unpriced_allowed=self._policy.unpriced_allowed,
        )

    async def get(self, caller: Caller, job_id: str) -> Job:
        """The caller's job. Raises JobNotFound."""
        return await self._store.get(caller.tenant, job_id)

    async def get_by_link(self, job_id: str) -> Job:
        """The job behind a link whose signature was checked. Raises JobNotFound."""
        return await self._store.get_any(job_id)

    async def list(self, caller: Caller, listing: Listing) -> Page:
        """A page of the caller's matching jobs, in order."""
        found = await self._store.page(caller.tenant, listing)
        total = await self._store.count(caller.tenant, listing.status) if listing.counted else None
        return Page(found.jobs, total, is_cut=found.is_cut)

    async def get_several(self, caller: Caller, job_ids: Sequence[str]) -> Sequence[Job]:
        """Those of these jobs that are the caller's, newest first."""
        return await self._store.get_several(caller.tenant, job_ids)

    async def counts(self, caller: Caller) -> Mapping[Status, int]:
        """How many jobs the caller has in each status."""
        return await self._store.counts(caller.tenant)

    async def search(self, caller: Caller, listing: Listing, text: str) -> Found:
        """The caller's matching jobs whose prompt holds every word of `text`; one search reads a bounded number."""
        return await find_by_prompt(self._store, caller.tenant, listing, text)

    async def place(self, caller: Caller, job_id: str) -> int:
        """Where the caller's job stands in lists, or stood until it was deleted. Raises JobNotFound."""
        return await self._store.place(caller.tenant, job_id)

    async def delete(self, caller: Caller, job_id: str) -> None:
        """Forget a finished job and its videos. Raises JobNotFound or JobNotFinished."""
        await self._store.delete(caller.tenant, job_id)

    async def cancel(self, caller: Caller, job_id: str) -> Job:
        """Cancel a pending job; again is no error. Raises JobNotFound or NotCancellable."""
        return await self._store.cancel(caller.tenant, job_id)

    async def _rules(self, caller: Caller) -> InForce:
        """The settings that hold for the caller's requests."""
        return await self._settings.in_force(caller.account_id, caller.key_id) if caller.has_settings else NO_RULES

    async def _source(self, caller: Caller, asked: Asked) -> Source | None:
        """The video that the request goes on from, if it does."""
        if asked.previous is None:
            return None
        job, attempts = await self._store.source(caller.tenant, asked.previous.job_id)
        return source_of(job, attempts, asked.previous.index, self._clock.now_ms())

    @staticmethod
    def _expected(asked: Asked, source: Source | None) -> tuple[InputMedia, ...]:
        """What stands for the input files until they are taken in."""
        given = tuple(item.expected() for item in asked.media)
        return given if source is None else (*given, source.expected())

    def _plan(self, caller: Caller, asked: Asked, media: tuple[InputMedia, ...], rules: InForce) -> _Plan:
        """Which models would run, each with the request as it would get it."""
        model = choose(self._catalogue, asked.model, asked.provider)
        rules.access.check(model)
        expected = asked.request if media == asked.request.media else replace(asked.request, media=media)
        how = _How(
            test=caller.mode is Mode.TEST,
            byok_api_key=asked.byok_api_key,
            today=datetime.fromtimestamp(self._clock.now_ms() / 1000, UTC).date(),
            on_retired=on_retired_for(asked, rules.defaults, self._router.on_retired),
        )
        route = self._router.serve(model, expected, **how)
        _check_successor(route, rules)
        if asked.fallback_models is not None:
            named = self._choose_fallbacks(model, asked.fallback_models)
            return _Plan(model, route, tuple(self._fallback(route, *one, expected, how, rules) for one in named))
        if not rules.defaults.fallback_models:
            return _Plan(model, route, ())
        fallbacks, notes = self._accounts_fallbacks(route, expected, how, rules)
        return _Plan(model, replace(route, warnings=(*route.warnings, *notes)), tuple(fallbacks))

    def _accounts_fallbacks(
        self, route: Route, expected: VideoRequest, how: _How, rules: InForce
    ) -> tuple[Sequence[Route], Sequence[str]]:
        """Those of the account's fallback models that can take over, and what is to be said of the others.

        Its caller has not asked for them, so one that cannot take over refuses nothing.
        """
        fallbacks, notes = [], []
        for name in rules.defaults.fallback_models or ():
            try:
                fallback = choose(self._catalogue, name, None)
                if fallback is not route.asked:
                    fallbacks.append(self._fallback(route, "fallback_models", fallback, expected, how, rules))
            except CallerError as error:
                notes.append(f"The account's fallback model {shown(name)} is left out: {error.message}")
        return fallbacks, notes

    def _fallback(
        self, route: Route, field: str, fallback: Model, expected: VideoRequest, how: _How, rules: InForce
    ) -> Route:
        rules.access.check(fallback, field=field)
        found = self._router.serve_instead(route, fallback, expected, field=field, **how)
        _check_successor(found, rules, field)
        return found

    def _choose_fallbacks(self, main: Model, names: Sequence[str]) -> Sequence[tuple[str, Model]]:
        """The models that `fallback_models` names, each with its field."""
        chosen: list[tuple[str, Model]] = []
        for index, name in enumerate(names):
            field = f"fallback_models.{index}"
            if name == "":
                message = f"{field} is empty; leave it out or name a model"
                raise InvalidRequest(message, [FieldError(field, message)])
            model = choose(self._catalogue, name, None)
            if model is main or any(model is other for _, other in chosen):
                message = f"{field} {shown(name)} is asked for already; name each model once"
                raise InvalidRequest(message, [FieldError(field, message)])
            chosen.append((field, model))
        return chosen

    def _seal(self, route: Route, job_id: str) -> str | None:
        if not route.byok or route.pinned is None:
            return None
        return self._sealer.seal(route.pinned.credential.secret, job_id)


def _question(caller: Caller, asked: Asked, plan: _Plan, media: Sequence[AskedMedia]) -> Question:
    request_of = origin.current.get()
    return Question(
        request_id=None if request_of is None else request_of.request_id,
        account_id=caller.account_id,
        key_id=caller.key_id,
        model=f"{plan.model.provider}/{plan.model.id}",
        prompt=asked.request.prompt,
        negative_prompt=asked.request.negative_prompt,
        media=tuple(media),
        user=asked.user,
        metadata=asked.metadata,
    )


class _How(TypedDict):
    """What holds for every model of a request."""

    test: bool
    byok_api_key: str | None
    today: date
    on_retired: OnRetired


def _check_successor(route: Route, rules: InForce, field: str | None = None) -> None:
    """Raise ModelNotAllowed if a model that is not allowed would run in the place of one that is."""
    if route.model.provider != ANIMATIC and route.model is not route.asked:
        rules.access.check(route.model, runs_for=route.asked, field=field)


@dataclass(frozen=True, slots=True)
class _Plan:
    """What would serve a request: the model asked for, what runs, and what may take over."""

    model: Model
    route: Route
    fallbacks: tuple[Route, ...]

    @property
    def quoted(self) -> Sequence[Quoted]:
        """What each of them would cost; the one that runs first."""
        return [Quoted.of(one) for one in (self.route, *self.fallbacks)]


def _stored_route(route: Route) -> Fallback:
    cost_usd = cost_usd_of(route)
    return Fallback(
        name=f"{route.asked.provider}/{route.asked.id}",
        provider=route.model.provider,
        model=route.model.id,
        api=None if route.pinned is None else route.pinned.api,
        credential=None if route.pinned is None else route.pinned.fingerprint,
        lane=_lane(route),
        lane_capacity=_lane_capacity(route),
        cost_usd=cost_usd,
        usual_s=route.model.usual_s,
        deadline_s=route.model.deadline_s,
        reports_progress=route.model.reports_progress,
        options=pinned_options(route.request),
        warnings=(*route.warnings, *(() if cost_usd is not None else (UNKNOWN_PRICE,))),
    )


def _lane(route: Route) -> str:
    """Jobs that share a model and a key share a lane, so that one hung or spent key does not hold up another."""
    lane = f"{route.model.provider}/{route.model.id}"
    if len(route.pool) > 1:
        return f"{lane}@pool"
    return lane if route.pinned is None else f"{lane}@{route.pinned.fingerprint}"


def _lane_capacity(route: Route) -> int | None:
    """How many jobs of a lane are at the provider at one time, by the model's limit and those of the credentials."""
    limits = [route.model.concurrency, *(route.model.concurrency for _ in route.pool[1:])]
    for place, pinned in enumerate(route.pool):
        most = [limit for limit in (limits[place], pinned.terms.in_flight) if limit is not None]
        limits[place] = min(most, default=None)
    known = [limit for limit in limits if limit is not None]
    return sum(known) if len(known) == len(limits) else None
