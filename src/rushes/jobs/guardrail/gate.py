"""Asks the operator's guardrail before a job is accepted, once for one idempotency key, and rules on what it says."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Protocol

import structlog

from rushes.accounts.keys import Caller
from rushes.domain.options import LONGEST_PROMPT
from rushes.domain.request import InputMedia
from rushes.errors import AccountBusy, GuardrailBlocked, GuardrailFailed, IdempotencyMismatch
from rushes.ids import new_id
from rushes.jobs.guardrail.store import Asking, Blocked, GuardStore
from rushes.jobs.idempotency import HEADER, Once, replayed
from rushes.shared_places import SharedPlace

log = structlog.get_logger(__name__)

LONGEST_REASON = 500
LOOK_S = 0.1
"""How often a repetition looks whether the question of the first request is answered."""
GRACE_S = 10.0
"""How much longer than the time limit a question may be under way, in another process, before it counts as lost."""


class Action(StrEnum):
    """What a guardrail says of a request."""

    ALLOW = "allow"
    BLOCK = "block"
    REWRITE = "rewrite"


class OnError(StrEnum):
    """What happens to requests of which the guardrail says nothing that can be used."""

    BLOCK = "block"
    ALLOW = "allow"


@dataclass(frozen=True, slots=True)
class AskedMedia:
    """One input file of a request.

    `url` is a signed link to our copy, which is what the model would get; None where our own address is not known.
    """

    role: str
    sha256: str
    content_type: str
    url: str | None = field(repr=False)


@dataclass(frozen=True, slots=True)
class Question:
    """What a guardrail is asked about."""

    request_id: str | None
    account_id: str
    key_id: str
    model: str
    prompt: str
    negative_prompt: str | None
    media: tuple[AskedMedia, ...]
    user: str | None
    metadata: Mapping[str, str]

    def __repr__(self) -> str:
        return f"Question({self.request_id})"


@dataclass(frozen=True, slots=True)
class Answer:
    """What a guardrail answers. `prompt` is the one to use, where it is rewritten."""

    action: Action
    reason: str | None = None
    prompt: str | None = None


class Guardrail(Protocol):
    """Someone who judges requests."""

    async def ask(self, question: Question) -> Answer:
        """The answer. Raises GuardrailFailed with a few words where it cannot be used; bounded in time."""
        ...


@dataclass(frozen=True, slots=True)
class GuardPolicy:
    """What the operator has decided. `keeps_prompts`: whether the record of a blocked request has its prompt."""

    on_error: OnError
    timeout_s: float
    keeps_prompts: bool = False


@dataclass(frozen=True, slots=True)
class Ruling:
    """What is to become of a request that is let through."""

    prompt: str | None = None
    """The prompt that replaces the caller's."""
    reason: str | None = None
    warning: str | None = None


LET_THROUGH = Ruling()

LinkTo = Callable[[InputMedia], str | None]
"""Makes a link with which a guardrail can fetch an input file for a short while."""

Observe = Callable[[str, float], None]
"""Called with `allow`, `block`, `rewrite` or `failed`, and how many seconds the answer took."""


class Gate:
    """Where requests are judged. Questions take turns by account, and no more than so many are asked at once."""

    def __init__(
        self,
        guardrail: Guardrail,
        store: GuardStore,
        place: SharedPlace,
        policy: GuardPolicy,
        observe: Observe,
        link_to: LinkTo,
    ) -> None:
        self._guardrail = guardrail
        self._store = store
        self._place = place
        self._policy = policy
        self._observe = observe
        self._link_to = link_to
        self._asking: set[asyncio.Task[Asking]] = set()

    def asked_media(self, media: InputMedia) -> AskedMedia:
        """An input file that is stored, as a question names it."""
        return AskedMedia(media.role.value, media.sha256, media.content_type, self._link_to(media))

    async def rule(self, caller: Caller, question: Question, once: Once | None) -> Ruling:
        """Ask, or take the answer that the same idempotency key got before.

        Raises GuardrailBlocked, GuardrailFailed if there is no answer and the operator blocks then, AccountBusy,
        IdempotencyMismatch.
        """
        found = await self._find_or_ask(caller, question, once)
        match found.action:
            case Action.BLOCK.value:
                raise GuardrailBlocked(_blocked(found.reason))
            case Action.REWRITE.value:
                return Ruling(found.prompt, found.reason, _rewritten(found.reason))
            case Action.ALLOW.value:
                return LET_THROUGH
            case _:
                return self.failed(found.reason or "it gave no answer", is_kept=once is not None)

    def failed(self, why: str, *, is_kept: bool) -> Ruling:
        """The ruling where there is no answer that can be used. Raises GuardrailFailed if the operator blocks then."""
        if self._policy.on_error is OnError.BLOCK:
            again = f"send it again with a new {HEADER}" if is_kept else "try again later"
            raise GuardrailFailed(
                f"The guardrail of this service has not judged the request ({why}), so nothing was started; {again}"
            )
        return Ruling(warning=f"The guardrail has not judged this request ({why}); it was let through all the same.")

    async def _find_or_ask(self, caller: Caller, question: Question, once: Once | None) -> Asking:
        if once is not None:
            kept = await self._store.find(caller.tenant, once.route, once.key)
            if kept is not None:
                return await self._answered(caller, once, kept)
        try:
            async with asyncio.timeout(self._policy.timeout_s):
                holding = await self._place.wait(caller.account_id)
        except TimeoutError:
            raise AccountBusy(
                "Too many requests of this account wait for the guardrail; try again shortly",
                retry_after_s=self._place.declaration.retry_after_s,
            ) from None
        with holding:
            if once is not None and not await self._store.begin(caller.tenant, once.route, once.key, once.body_hash):
                kept = await self._store.find(caller.tenant, once.route, once.key)
                assert kept is not None
                holding.release()
                return await self._answered(caller, once, kept)
            # The client may have gone away, and the answer is kept all the same.
            return await asyncio.shield(self._task(self._ask(caller, question, once)))

    def _task(self, work: Coroutine[Any, Any, Asking]) -> asyncio.Task[Asking]:
        task = asyncio.create_task(work)
        self._asking.add(task)
        task.add_done_callback(self._asking.discard)
        return task

    async def _ask(self, caller: Caller, question: Question, once: Once | None) -> Asking:
        began = time.monotonic()
        try:
            async with asyncio.timeout(self._policy.timeout_s):
                answer = checked(await self._guardrail.ask(question))
            found = Asking(answer.action.value, answer.reason, answer.prompt)
        except TimeoutError:
            found = Asking("failed", f"it did not answer within {self._policy.timeout_s:g} s")
        except GuardrailFailed as error:
            found = Asking("failed", error.message)
        self._observe(str(found.action), time.monotonic() - began)
        if found.action == "failed":
            log.warning("guardrail_failed", reason=found.reason, account_id=caller.account_id)
        blocked = None
        if found.action == Action.BLOCK:
            blocked = Blocked(
                id=new_id("grd"),
                key_id=caller.key_id,
                request_id=question.request_id,
                model=question.model,
                user=question.user,
                reason=found.reason,
                prompt=question.prompt if self._policy.keeps_prompts else None,
            )
        if once is not None or blocked is not None:
            place = None if once is None else (once.route, once.key)
            await self._store.keep(caller.account_id, caller.tenant, place, found, blocked)
        return found

    async def _answered(self, caller: Caller, once: Once, kept: Asking) -> Asking:
        """The answer to the question of an earlier request, as soon as there is one."""
        while True:
            if kept.body_hash != once.body_hash:
                replayed(once, kept.body_hash, "")
            if kept.action is not None:
                return kept
            if kept.age_ms > (self._policy.timeout_s + GRACE_S) * 1000:
                return Asking("failed", "its answer to an earlier request with this key was lost")
            await asyncio.sleep(LOOK_S)
            found = await self._store.find(caller.tenant, once.route, once.key)
            if found is None:
                raise IdempotencyMismatch(f"{HEADER} '{once.key}' has expired just now; use a new key")
            kept = found


def checked(answer: Answer) -> Answer:
    """The answer, if it can be followed. Raises GuardrailFailed."""
    if answer.action is not Action.REWRITE:
        return answer
    prompt = answer.prompt
    if prompt is None or not prompt.strip():
        raise GuardrailFailed("its rewrite has no prompt")
    if len(prompt) > LONGEST_PROMPT:
        raise GuardrailFailed(f"the prompt of its rewrite has {len(prompt)} characters; at most {LONGEST_PROMPT} fit")
    return answer


def reason_of(text: object) -> str | None:
    """A reason as it is shown: one line of printable text, cut at LONGEST_REASON characters."""
    if not isinstance(text, str) or not text.strip():
        return None
    line = "".join(char if char.isprintable() else " " for char in text[: LONGEST_REASON + 1].strip())
    return line if len(line) <= LONGEST_REASON else line[: LONGEST_REASON - 1] + "…"


def question_json(question: Question) -> dict[str, Any]:
    """The question in the form of our own protocol."""
    return {
        "request_id": question.request_id,
        "account_id": question.account_id,
        "key_id": question.key_id,
        "model": question.model,
        "prompt": question.prompt,
        "negative_prompt": question.negative_prompt,
        "media": [
            {"role": one.role, "sha256": one.sha256, "content_type": one.content_type, "url": one.url}
            for one in question.media
        ],
        "user": question.user,
        "metadata": dict(question.metadata),
    }


def _blocked(reason: str | None) -> str:
    return "The guardrail of this service blocked the request" + ("" if reason is None else f": {reason}")


def _rewritten(reason: str | None) -> str:
    return "The guardrail of this service rewrote the prompt" + ("." if reason is None else f": {reason}")
