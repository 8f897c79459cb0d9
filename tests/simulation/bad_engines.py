"""Engines with one thing wrong, to show that the simulation would notice. In each context one of them runs."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from types import ModuleType
from typing import Any
from unittest import mock

from rushes.app.credentials import JobCredentials
from rushes.domain.job import MOVES, Attempt, AttemptState, Job, Problem, State
from rushes.engine import claims, job_record, polling, storing, submission
from rushes.engine.job_record import JobRecord
from rushes.engine.submission import Submitting
from rushes.errors import Aborted, SubmissionUnknown
from rushes.jobs import lanes, retention, store, transitions
from rushes.jobs.store import JobStore
from rushes.operations import recovery
from rushes.providers.credentials import Pinned
from rushes.webhooks import outbox
from rushes.webhooks.dispatch import Dispatcher
from rushes.webhooks.outbox import DeliveryOutcome, Outbox
from tests.simulation.faults import Fault
from tests.simulation.upstream import SimulatedProvider


def altered(module: ModuleType, name: str, old: str, new: str) -> AbstractContextManager[Any]:
    """The module with another SQL text. Raises if the text does not hold what is to be replaced."""
    text = getattr(module, name)
    assert old in text, f"{module.__name__}.{name} does not hold {old!r}, so this engine would have no fault"
    return mock.patch.object(module, name, text.replace(old, new))


@contextmanager
def intent_is_recorded_after_the_submit() -> Iterator[None]:
    """The attempt is written down once the answer is here, as in most programs that nobody has killed yet."""
    intend, accept = JobRecord.intend, JobRecord.accept
    meant: dict[str, dict[str, Any]] = {}

    async def remember(self: JobRecord, attempt_id: str, **given: Any) -> Attempt:
        meant[attempt_id] = given
        return Attempt(attempt_id, given["part"], given["n"], AttemptState.INTENT)

    async def record_both(self: JobRecord, attempt_id: str, submission: Any) -> None:
        await intend(self, attempt_id, **meant[attempt_id])
        await accept(self, attempt_id, submission)

    with mock.patch.object(JobRecord, "intend", remember), mock.patch.object(JobRecord, "accept", record_both):
        yield


def writes_are_not_fenced() -> AbstractContextManager[Any]:
    """Whoever once had a job may write to it for ever."""
    return altered(job_record, "LOCK_LEASED", "lease = :lease", ":lease IS NOT NULL")


def cancel_does_not_look_at_the_state() -> AbstractContextManager[Any]:
    """Whoever cancels wins, also against a submit."""
    begun = {was: MOVES[was] | {State.CANCELLED} for was in (State.SUBMITTING, State.RUNNING, State.STORING)}
    return mock.patch.object(transitions, "MOVES", {**MOVES, **begun})


@contextmanager
def progress_is_what_was_said_last() -> Iterator[None]:
    """Reported progress is stored as it comes."""
    with ExitStack() as stack:
        stack.enter_context(mock.patch.object(polling, "PROGRESS_STEP", -1000))
        stack.enter_context(altered(job_record, "REPORT_PROGRESS", "AND progress < :percent", ""))
        yield


@contextmanager
def unknown_submits_are_repeated() -> Iterator[None]:
    """What cannot be found is taken for not accepted."""
    find = SimulatedProvider.find

    async def find_or_guess(self: SimulatedProvider, attempt_id: str, **given: Any) -> Any:
        try:
            return await find(self, attempt_id, **given)
        except SubmissionUnknown:
            return None

    with mock.patch.object(SimulatedProvider, "find", find_or_guess):
        yield


def lanes_forget_who_left() -> AbstractContextManager[Any]:
    """A slot is never given back."""
    return altered(lanes, "CHANGE_LANE", "in_use + :in_use", "in_use + MAX(:in_use, 0)")


@contextmanager
def ends_are_not_recorded() -> Iterator[None]:
    """A job ends without an event, so that nobody would be told of it."""
    record = transitions._record_change

    async def record_but_ends(transaction: Any, job: Any, to: State, cause: str) -> None:
        if to is State.SUCCEEDED or not to.is_final:
            await record(transaction, job, to, cause)

    with mock.patch.object(transitions, "_record_change", record_but_ends):
        yield


@contextmanager
def dead_workers_keep_their_jobs() -> Iterator[None]:
    """A lease that has run out is nobody's."""
    with (
        altered(claims, "DEAD_WORKERS", "alive_until < :now", "alive_until < 0 AND :now > 0"),
        altered(claims, "ALL_WORKERS", "FROM workers", "FROM workers WHERE alive_until < 0"),
    ):
        yield


def secrets_outlive_their_jobs() -> AbstractContextManager[Any]:
    """A caller's own key stays when the job has ended."""
    return altered(transitions, "WIPE_SEALED", ":job_id", ":job_id || '?'")


def answers_of_idempotency_keys_are_not_kept() -> AbstractContextManager[Any]:
    """Each repetition of a request makes another job."""
    return altered(store, "KEEP_ANSWER", ":key,", ":key || random(),")


@contextmanager
def workers_share_the_names_of_files() -> Iterator[None]:
    """Two workers that store the same video use the same file, and one of them has lost its lease."""

    def shared_key(job_id: str, attempt_id: str, place: int, lease: str) -> str:
        return retention.video_key(job_id, attempt_id, place, "shared")

    with mock.patch.object(storing, "video_key", shared_key), mock.patch.object(job_record, "video_key", shared_key):
        yield


def refusals_deny_what_was_lost() -> AbstractContextManager[Any]:
    """A repeated submit that is refused for its key says that the one before was refused too."""
    return mock.patch.object(submission.Submitting, "_raise_unknown_if_maybe_accepted", return_value=None)


@contextmanager
def written_off_means_gone() -> Iterator[None]:
    """An operator revives a job whatever became of it."""
    reopened = {was: MOVES[was] | {State.RUNNING} for was in (State.FAILED, State.EXPIRED)}
    move = transitions.move

    async def move_to_running(transaction: Any, job: Any, to: State, *rest: Any, **given: Any) -> None:
        await move(transaction, job, State.RUNNING if to is State.RECOVERING else to, *rest, **given)

    with (
        mock.patch.object(transitions, "MOVES", {**MOVES, **reopened}),
        mock.patch.object(recovery, "move", move_to_running),
    ):
        yield


def aborted_means_free() -> AbstractContextManager[Any]:
    """A job that an operator has ended costs nothing, whatever its provider may think of it."""
    fail = JobRecord.fail

    async def fail_for_free(self: JobRecord, state: State, problem: Problem, **given: Any) -> None:
        given["is_free"] = problem.code == Aborted.code
        await fail(self, state, problem, **given)

    return mock.patch.object(JobRecord, "fail", fail_for_free)


def changes_are_not_marked() -> AbstractContextManager[Any]:
    """A change is not marked in its own transaction, so whoever tells of changes does not find it."""
    return altered(transitions, "INSERT_CHANGE", "THEN 1 END", "THEN NULL END")


@contextmanager
def marks_are_taken_before_messages_are_written() -> Iterator[None]:
    """Whoever makes messages of changes takes them from the list first, and may die then."""
    write_messages = Outbox.write_messages

    async def take_then_write(self: Outbox, most: int) -> int:
        async def take(transaction: Any) -> list[Any]:
            news = await transaction.fetch(outbox.NEWS, most=most)
            for change in news:
                await transaction.execute(outbox.ANNOUNCED, seq=change["seq"])
            return list(news)

        async def mark_again(transaction: Any) -> None:
            for change in taken:
                await transaction.execute("UPDATE job_events SET unannounced = 1 WHERE seq = :seq", seq=change["seq"])

        taken = await self._database.write(take)
        await self._database.write(mark_again)
        return await write_messages(self, most)

    with mock.patch.object(Outbox, "write_messages", take_then_write):
        yield


@contextmanager
def messages_are_settled_before_they_are_sent() -> Iterator[None]:
    """What is claimed counts as delivered, so that it is never sent twice; nor, after a crash, at all."""
    send = Dispatcher._try

    async def settle_then_send(self: Dispatcher, delivery: Any) -> DeliveryOutcome:
        await self._outbox.record(delivery, DeliveryOutcome(status=200))
        return await send(self, delivery)

    with mock.patch.object(Dispatcher, "_try", settle_then_send):
        yield


def deletions_keep_no_copy() -> AbstractContextManager[Any]:
    """A deleted job takes what was still to be told of it along."""
    return mock.patch.object(JobStore, "delete", functools.partialmethod(_delete_and_tell_nobody, JobStore.delete))


async def _delete_and_tell_nobody(jobs: JobStore, delete: Any, *given: Any) -> None:
    await delete(JobStore(jobs._database), *given)


@contextmanager
def jobs_are_not_pinned_to_their_keys() -> Iterator[None]:
    """After a restart a job goes on with whatever key comes first."""

    def any_key(self: JobCredentials, job: Job) -> Pinned:
        return self._keyring.of(job.served_provider)[0]

    with mock.patch.object(JobCredentials, "_pinned", any_key):
        yield


@contextmanager
def keys_are_chosen_anew_for_what_may_be_accepted() -> Iterator[None]:
    """Every submission takes the key whose turn it is, also one that is repeated."""
    with mock.patch.object(Submitting, "_may_choose_key", lambda self, part: self._resources.keys is not None):
        yield


@dataclass(frozen=True, slots=True)
class BadEngine:
    """One of them: what the ledger says of it, the faults that bring it out (none: any), and the seed to begin with.

    That seed finds it at once for as long as the engine draws the same; afterwards one of those that follow does.
    """

    apply: Callable[[], AbstractContextManager[Any]]
    said: str
    faults: tuple[Fault, ...] = ()
    first: int = 0


BAD_ENGINES = (
    BadEngine(intent_is_recorded_after_the_submit, "without a recorded intent"),
    BadEngine(
        writes_are_not_fenced,
        "did not foresee|moved from|accepted twice|never ended|counters|had lost the job|is not what was stored",
        (Fault.FREEZE, Fault.SLOW_WRITE),
        first=144,
    ),
    BadEngine(cancel_does_not_look_at_the_state, "moved from|was cancelled"),
    BadEngine(progress_is_what_was_said_last, "fell from", (Fault.PROGRESS_FALLS, Fault.CRASH, Fault.STOP), first=16),
    BadEngine(unknown_submits_are_repeated, "was accepted twice", (Fault.ANSWER_LOST,), first=7),
    BadEngine(lanes_forget_who_left, "counters|did not come to rest"),
    BadEngine(
        ends_are_not_recorded, "never ended|history ends with|was said to be cancelled|moved from \\w+ to recovering"
    ),
    BadEngine(dead_workers_keep_their_jobs, "did not come to rest", (Fault.CRASH,)),
    BadEngine(secrets_outlive_their_jobs, "outlived its job"),
    BadEngine(answers_of_idempotency_keys_are_not_kept, "one idempotency key made"),
    BadEngine(
        workers_share_the_names_of_files,
        "is not what was stored",
        (Fault.FREEZE, Fault.NOT_A_VIDEO, Fault.FETCH_FAILS, Fault.MEASURING_DIES),
        first=42,
    ),
    BadEngine(
        refusals_deny_what_was_lost,
        "were accepted",
        (Fault.ANSWER_LOST, Fault.ERROR_AFTER, Fault.KEY_REFUSED, Fault.NO_CREDIT),
        first=46,
    ),
    BadEngine(aborted_means_free, "was aborted at no cost", (Fault.CANCEL_FAILS,)),
    BadEngine(changes_are_not_marked, "was never told|no message says"),
    BadEngine(marks_are_taken_before_messages_are_written, "was never told|no message says", (Fault.CRASH,), first=25),
    BadEngine(messages_are_settled_before_they_are_sent, "nobody has taken it", (Fault.RECEIVER_FAILS, Fault.CRASH)),
    BadEngine(deletions_keep_no_copy, "was given up: the job was deleted", (Fault.RECEIVER_FAILS,)),
    BadEngine(jobs_are_not_pinned_to_their_keys, "was submitted with", (Fault.CRASH,)),
    BadEngine(keys_are_chosen_anew_for_what_may_be_accepted, "was submitted with", (Fault.ANSWER_LOST,)),
    BadEngine(written_off_means_gone, "moved from|counters", (Fault.ANSWER_LOST, Fault.OUTPUT_GONE)),
)
