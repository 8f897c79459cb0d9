"""Providers with a memory: what each has accepted, made and billed, and an adapter that speaks to them badly."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable
from dataclasses import dataclass, field
from enum import StrEnum

from rushes.catalogue.model import Model
from rushes.domain.output import Output
from rushes.domain.progress import Done, Failed, Handle, Progress, Submission, Working
from rushes.domain.request import VideoRequest
from rushes.errors import (
    ContentFiltered,
    OutputLost,
    ProviderAuth,
    ProviderCreditEmpty,
    ProviderQuota,
    ProviderRejected,
    ProviderUnavailable,
    UnexpectedResponse,
)
from rushes.providers.base import Credential, Provider, ReadMedia
from tests.fixtures.new_jobs import clip_model
from tests.simulation.faults import Chance, Fault
from tests.simulation.process import Process

OUTPUT_LIFETIME_S = 300


class Fate(StrEnum):
    """What becomes of a generation."""

    MADE = "made"
    FAILS = "fails"
    EMPTY = "empty"
    SHORT = "short"
    ENDLESS = "endless"
    CANCELLED = "cancelled"


GARBAGE = b"garbage"
"""What a provider delivers in place of a video."""


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of provider: which of the adapter's promises it keeps."""

    name: str
    finds: bool = False
    repeatable: bool = False
    at_once: bool = False
    usual_s: float = 12.0
    model: Model = field(default_factory=clip_model)


def _kind(
    name: str,
    *,
    finds: bool = False,
    repeatable: bool = False,
    at_once: bool = False,
    usual_s: float = 12.0,
    reports_progress: bool = False,
    n_per_call: int = 1,
    concurrency: int | None = None,
    can_cancel: bool = False,
) -> Kind:
    model = clip_model(
        provider=name,
        usual_s=usual_s,
        repeatable_submit=repeatable,
        reports_progress=reports_progress,
        n_per_call=n_per_call,
        concurrency=concurrency,
        can_cancel=can_cancel,
        output_lifetime_s=OUTPUT_LIFETIME_S,
    )
    return Kind(name, finds, repeatable, at_once, usual_s, model)


KINDS = {
    kind.name: kind
    for kind in (
        _kind("forgetful", reports_progress=True),
        _kind("finding", finds=True, concurrency=1, can_cancel=True),
        _kind("repeatable", repeatable=True, finds=True, reports_progress=True, n_per_call=2),
        _kind("prompt", at_once=True, n_per_call=3),
        _kind("slow", finds=True, usual_s=45, reports_progress=True, concurrency=1, can_cancel=True),
    )
}


@dataclass(slots=True)
class Generation:
    """One accepted submission, as its provider knows it."""

    id: str
    kind: Kind
    attempt_id: str
    n: int
    accepted_ms: int
    done_ms: int
    fate: Fate
    secret: str
    """The key it was submitted with, which alone may ask for it."""
    lost: set[int] = field(default_factory=set)
    highest: float = 0.0

    @property
    def made(self) -> int:
        """How many videos there are in the end."""
        return {Fate.MADE: self.n, Fate.SHORT: self.n - 1}.get(self.fate, 0)

    def content(self, place: int) -> bytes:
        """The bytes of one video."""
        return f"video {place} of {self.id}".encode()


class Upstream:
    """All providers together. `accepted` is called for each submission that one of them takes on."""

    def __init__(self, chance: Chance, now_ms: Callable[[], int], accepted: Callable[[Generation], None]) -> None:
        self._chance = chance
        self.now_ms = now_ms
        self._accepted = accepted
        self.generations: dict[str, Generation] = {}
        self.by_attempt: dict[str, list[Generation]] = {}
        self.out: set[str] = {name for name in KINDS if chance.strikes(Fault.UNREACHED, 0.08)}

    def accept(self, kind: Kind, attempt_id: str, n: int, secret: str) -> Generation:
        """Take a submission on; where that is promised, one that came before is the same."""
        earlier = self.by_attempt.get(attempt_id)
        if earlier and kind.repeatable:
            return earlier[0]
        fault = self._chance.one_of(
            [
                (Fault.GENERATION_FAILS, 0.05),
                (Fault.NOTHING_MADE, 0.02),
                (Fault.NEVER_DONE, 0.08),
                *([(Fault.ONE_MISSING, 0.1)] if n > 1 else []),
            ]
        )
        fates = {
            Fault.GENERATION_FAILS: Fate.FAILS,
            Fault.NOTHING_MADE: Fate.EMPTY,
            Fault.NEVER_DONE: Fate.ENDLESS,
            Fault.ONE_MISSING: Fate.SHORT,
        }
        now_ms = self.now_ms()
        took_s = 0.0 if kind.at_once else self._chance.between(0.3, 1.7) * kind.usual_s
        generation = Generation(
            id=f"gen_{len(self.generations) + 1}",
            kind=kind,
            attempt_id=attempt_id,
            n=n,
            accepted_ms=now_ms,
            done_ms=now_ms + round(took_s * 1000),
            fate=Fate.MADE if fault is None else fates[fault],
            secret=secret,
        )
        self.generations[generation.id] = generation
        self.by_attempt.setdefault(attempt_id, []).append(generation)
        self._accepted(generation)
        return generation

    def cancel(self, generation: Generation) -> None:
        """Stop it, unless it is done; what it has come to is billed."""
        if generation.fate is not Fate.ENDLESS and self.now_ms() >= generation.done_ms:
            raise ProviderRejected("It is done already")
        generation.fate, generation.done_ms = Fate.CANCELLED, self.now_ms()

    def progress(self, generation: Generation) -> Progress:
        """What a poll would be told."""
        now_ms = self.now_ms()
        if generation.fate is Fate.ENDLESS or now_ms < generation.done_ms:
            if not generation.kind.model.reports_progress:
                return Working()
            took_ms = max(1, generation.done_ms - generation.accepted_ms)
            fraction = min(1.0, (now_ms - generation.accepted_ms) / took_ms)
            if self._chance.strikes(Fault.PROGRESS_FALLS, 0.1):
                fraction *= 0.3
            return Working(fraction=fraction)
        if generation.fate in (Fate.FAILS, Fate.CANCELLED):
            return Failed(ProviderRejected(f"The generation: {generation.fate}"))
        outputs: tuple[Output, ...] = tuple(
            {"place": place, "until_ms": now_ms + 60_000} for place in range(generation.made)
        )
        return Done(outputs, missing="one was filtered" if generation.fate is Fate.SHORT else None)


class SimulatedProvider(Provider):
    """The adapter, in one process. It keeps the promises of `Provider` whatever happens on the way."""

    def __init__(self, kind: Kind, upstream: Upstream, process: Process, chance: Chance) -> None:
        self.name = kind.name
        self.kind = kind
        self._upstream = upstream
        self._process = process
        self._chance = chance
        self.on_submit: Callable[[str], None] = lambda attempt_id: None
        self.on_other_key: Callable[[str], None] = lambda what: None

    async def submit(
        self,
        model: Model,
        request: VideoRequest,
        *,
        attempt_id: str,
        credential: Credential,
        read_media: ReadMedia,
    ) -> Submission:
        self.on_submit(attempt_id)
        if self.kind.name in self._upstream.out:
            self._chance.happened[Fault.UNREACHED] += 1
            await self._travel()
            raise _refusal(Fault.UNREACHED, self._chance)
        is_known = self.kind.repeatable and attempt_id in self._upstream.by_attempt
        refused = self._chance.one_of(
            [
                (Fault.UNREACHED, 0.08),
                (Fault.LIMITED, 0.08),
                (Fault.NO_CREDIT, 0.04),
                (Fault.KEY_REFUSED, 0.02),
                (Fault.ERROR_BEFORE, 0.05),
                # Of a submit that it knows a provider judges the request no more.
                *([] if is_known else [(Fault.REJECTED, 0.02), (Fault.FILTERED, 0.02)]),
            ]
        )
        if refused is not None:
            await self._travel()
            raise _refusal(refused, self._chance)
        # What leaves us arrives: a process that dies or freezes now cannot take it back.
        for earlier in self._upstream.by_attempt.get(attempt_id, []):
            self._check_key(earlier, credential, "submitted again")
        generation = self._upstream.accept(self.kind, attempt_id, request.n, credential.secret)
        if self._chance.strikes(Fault.SLOW_ANSWER, 0.05):
            await asyncio.sleep(self._chance.between(5, 25))
        await self._travel()
        match self._chance.one_of(
            [(Fault.ERROR_AFTER, 0.04), (Fault.ANSWER_LOST, 0.05), (Fault.BAD_JSON, 0.04), (Fault.ADAPTER_BUG, 0.02)]
        ):
            case Fault.ERROR_AFTER | Fault.ANSWER_LOST as fault:
                raise ProviderUnavailable(fault.value, accepted=None)
            case Fault.BAD_JSON:
                raise UnexpectedResponse("The answer is not JSON")
            case Fault.ADAPTER_BUG:
                raise KeyError("id")
            case _:
                return self._submission(generation)

    def _submission(self, generation: Generation) -> Submission:
        progress = self._upstream.progress(generation) if self.kind.at_once else Working()
        return Submission({"name": generation.id}, progress, provider_video_id=generation.id)

    async def poll(self, handle: Handle, *, credential: Credential) -> Progress:
        await self._travel()
        match self._chance.one_of(
            [
                (Fault.POLL_FAILS, 0.05),
                (Fault.POLL_LIMITED, 0.04),
                (Fault.UNKNOWN_STATUS, 0.04),
                (Fault.POLL_BUG, 0.02),
            ]
        ):
            case Fault.POLL_FAILS:
                raise ProviderUnavailable("nobody answers")
            case Fault.POLL_LIMITED:
                raise ProviderQuota("too many polls", retry_after_s=7)
            case Fault.UNKNOWN_STATUS:
                raise UnexpectedResponse("The status is 'pondering'")
            case Fault.POLL_BUG:
                raise KeyError("status")
            case _:
                generation = self._upstream.generations.get(str(handle["name"]))
        if generation is None:
            return Failed(ProviderRejected("There is no such generation"))
        self._check_key(generation, credential, "polled")
        return self._upstream.progress(generation)

    async def find(self, attempt_id: str, *, credential: Credential) -> Submission | None:
        if not self.kind.finds:
            return await super().find(attempt_id, credential=credential)
        await self._travel()
        if self._chance.strikes(Fault.FIND_FAILS, 0.2):
            raise ProviderUnavailable("nobody answers")
        generations = self._upstream.by_attempt.get(attempt_id)
        for generation in generations or ():
            self._check_key(generation, credential, "looked for")
        return self._submission(generations[0]) if generations else None

    async def cancel(self, handle: Handle, *, credential: Credential) -> None:
        if not self.kind.model.can_cancel:
            await super().cancel(handle, credential=credential)
        await self._travel()
        if self._chance.strikes(Fault.CANCEL_FAILS, 0.2):
            raise ProviderUnavailable("nobody answers")
        generation = self._upstream.generations.get(str(handle["name"]))
        if generation is None:
            raise ProviderRejected("There is no such generation")
        self._check_key(generation, credential, "cancelled")
        self._upstream.cancel(generation)

    def handle_for(self, provider_video_id: str) -> Handle:
        return {"name": provider_video_id}

    async def fetch(self, handle: Handle, output: Output, *, credential: Credential) -> AsyncGenerator[bytes, None]:
        await self._travel()
        generation = self._upstream.generations[str(handle["name"])]
        self._check_key(generation, credential, "fetched")
        place, until_ms = output["place"], output["until_ms"]
        assert isinstance(place, int)
        assert isinstance(until_ms, int)
        fault = self._chance.one_of(
            [
                (Fault.FETCH_FAILS, 0.06),
                (Fault.LINK_EXPIRED, 0.04),
                (Fault.OUTPUT_GONE, 0.03),
                (Fault.NOT_A_VIDEO, 0.02),
            ]
        )
        if fault is Fault.OUTPUT_GONE:
            generation.lost.add(place)
        if fault is Fault.LINK_EXPIRED or self._upstream.now_ms() > until_ms or place in generation.lost:
            raise OutputLost("The link has expired")
        content = GARBAGE if fault is Fault.NOT_A_VIDEO else generation.content(place)
        yield content[:5]
        await self._travel()
        if fault is Fault.FETCH_FAILS:
            raise ProviderUnavailable("the connection broke")
        yield content[5:]

    def _check_key(self, generation: Generation, credential: Credential, done: str) -> None:
        if credential.secret != generation.secret:
            self.on_other_key(
                f"{generation.id} was submitted with '{generation.secret}' and {done} with '{credential.secret}'"
            )

    async def _travel(self) -> None:
        if self._chance.happens(0.3):
            await asyncio.sleep(self._chance.between(0.01, 0.5))
        await self._process.gate("provider")


def _refusal(fault: Fault, chance: Chance) -> Exception:
    match fault:
        case Fault.UNREACHED:
            return ProviderUnavailable("no connection", accepted=False)
        case Fault.LIMITED:
            return ProviderQuota("too many requests", retry_after_s=chance.pick([None, 3.0, 45.0]))
        case Fault.NO_CREDIT:
            return ProviderCreditEmpty("no credit is left")
        case Fault.KEY_REFUSED:
            return ProviderAuth("the key is not known")
        case Fault.REJECTED:
            return ProviderRejected("not with us")
        case Fault.FILTERED:
            return ContentFiltered("not such a prompt")
        case _:
            return ProviderUnavailable("the server failed", accepted=None)
