"""What must be true however badly it goes: noted while the world turns, looked at again when it has come to rest."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Protocol

from rushes.db.database import Row
from rushes.domain.job import MOVES, Job, State, Status
from rushes.engine.job_record import LATE_ANSWER
from tests.contract.database_harness import Desk
from tests.simulation.database import SimulatedDatabase
from tests.simulation.upstream import GARBAGE, Fate, Generation

RANKS = {Status.PENDING: 0, Status.IN_PROGRESS: 1, Status.FAILED: 2, Status.COMPLETED: 3}
"""A failed job may be recovered by an operator; nothing else goes back."""

LATE_SUBMITS_BREAK = True
"""Whether a worker that lost its lease between its intent and its call may make the call all the same."""

NOTHING_CHARGED = frozenset({"cancelled", "provider_quota", "provider_auth", "provider_unavailable"})
"""Ends that promise that no generation was accepted."""


REMARKS = (
    "settled at ",
    "written off by the operator",
    "the operator asks to abort it",
    "its worker stopped; another goes on with it",
    LATE_ANSWER,
)
"""How events begin that say something of a job and do not move it."""


class Broken(AssertionError):
    """Something that must always be true was not."""


class RestCheck(Protocol):
    """Something else that must be true when the world has come to rest, such as what is told of each of `ends`."""

    def __call__(self, ledger: Ledger) -> Iterable[str]:
        """What is not."""
        ...


@dataclass(slots=True)
class Intent:
    """An attempt that was committed: which call of which job it stands for."""

    job_id: str
    part: int


@dataclass(slots=True)
class Seen:
    """A job as a caller has seen it last."""

    status: Status = Status.PENDING
    percent: int = 0
    reported: int | None = None


@dataclass(slots=True)
class Ledger:
    """Keeps the books of one world. Raises Broken at the moment that something is wrong."""

    database: SimulatedDatabase
    note: Callable[[str, str], None]
    history: dict[str, list[State]] = field(default_factory=dict)
    moves: Counter[tuple[State, State]] = field(default_factory=Counter)
    ends: list[tuple[str, State]] = field(default_factory=list)
    intents: dict[str, Intent] = field(default_factory=dict)
    paid: dict[tuple[str, int], list[Generation]] = field(default_factory=dict)
    seen: dict[str, Seen] = field(default_factory=dict)
    cancelled: set[str] = field(default_factory=set)
    late: set[str] = field(default_factory=set)
    left_over: list[str] = field(default_factory=list)
    """Files that no job names."""
    broken: Broken | None = None
    _last_event: int = 0

    def breaks(self, what: str) -> None:
        """Remember the first thing that went wrong: whoever is told of it here may be the engine, and carry on."""
        self.note("broken", what)
        if self.broken is None:
            self.broken = Broken(what)

    # While the world turns.

    def committed(self) -> None:
        """A transaction was committed: read what it says has happened."""
        for row in self.database.run("SELECT * FROM told WHERE number > :last ORDER BY number", last=self._last_event):
            self._last_event = row["number"]
            self._moved(row["job_id"], State(row["state"]), row["cause"])
        for row in self.database.run("SELECT id, job_id, part FROM attempts WHERE state = 'intent'"):
            self.intents.setdefault(row["id"], Intent(row["job_id"], row["part"]))

    def _moved(self, job_id: str, to: State, cause: str) -> None:
        self.note(job_id, f"{to} ({cause})")
        states = self.history.setdefault(job_id, [])
        was = states[-1] if states else None
        if was is None:
            if to is not State.QUEUED:
                self.breaks(f"{job_id} began as {to}")
        elif was is to and (to.waits_in_lane or cause.startswith(REMARKS)):
            return
        elif to not in MOVES[was]:
            self.breaks(f"{job_id} moved from {was} to {to}")
        else:
            self.moves[was, to] += 1
        states.append(to)
        if to.is_final:
            self.ends.append((job_id, to))
        if to is State.CANCELLED:
            self.cancelled.add(job_id)
            if self.generations_of(job_id):
                self.breaks(f"{job_id} was cancelled, and a provider had accepted it")

    def submitted(self, worker_id: str, attempt_id: str) -> None:
        """A provider is called: its intent must have been committed before."""
        rows = self.database.run(
            "SELECT attempts.state, worker_id FROM attempts JOIN jobs ON jobs.id = job_id WHERE attempts.id = :id",
            id=attempt_id,
        )
        intent = self.intents.get(attempt_id)
        if intent is None:
            self.breaks(f"{attempt_id} was submitted without a recorded intent")
            return
        self.note(worker_id, f"submits {attempt_id} of {intent.job_id}")
        if not rows or rows[0]["worker_id"] != worker_id:
            self.late.add(attempt_id)
            if LATE_SUBMITS_BREAK:
                self.breaks(f"{attempt_id} was submitted by {worker_id}, which had lost the job")
        elif rows[0]["state"] != "intent":
            self.breaks(f"{attempt_id} was submitted, and it is {rows[0]['state']}")

    def accepted(self, generation: Generation) -> None:
        """A provider has taken a submission on, and will ask to be paid for it."""
        intent = self.intents.get(generation.attempt_id)
        if intent is None:
            return
        job_id, part = intent.job_id, intent.part
        what = f"{generation.attempt_id} of {job_id} as {generation.id}, {generation.fate}"
        self.note(generation.kind.name, f"accepts {what}")
        paid = self.paid.setdefault((job_id, part), [])
        if paid and (LATE_SUBMITS_BREAK or generation.attempt_id not in self.late):
            self.breaks(f"part {part} of {job_id} was accepted twice: as {paid[0].id} and as {generation.id}")
        paid.append(generation)
        if job_id in self.cancelled:
            self.breaks(f"{job_id} was accepted after it was cancelled")

    def read(self, job: Job, now_ms: int, *, clocks_agree: bool) -> None:
        """A caller has read a job."""
        seen = self.seen.setdefault(job.id, Seen())
        percent = job.percent(now_ms)
        if RANKS[job.status] < RANKS[seen.status]:
            self.breaks(f"{job.id} went back from {seen.status} to {job.status}")
        # An estimate follows the clock of whoever reads, and cannot be better than it.
        if clocks_agree and percent < seen.percent:
            self.breaks(f"the progress of {job.id} fell from {seen.percent} to {percent}")
        if job.progress is not None and seen.reported is not None and job.progress < seen.reported:
            self.breaks(f"the reported progress of {job.id} fell from {seen.reported} to {job.progress}")
        if percent == 100 and job.state is not State.SUCCEEDED:
            self.breaks(f"{job.id} is at 100 and {job.state}")
        seen.status, seen.percent, seen.reported = job.status, percent, job.progress

    def generations_of(self, job_id: str) -> list[Generation]:
        """What providers have accepted of a job, by its parts."""
        return [generation for (paid_job, _), paid in self.paid.items() if paid_job == job_id for generation in paid]

    # When it has come to rest.

    async def check_rest(self, files: dict[str, bytes], others: Iterable[RestCheck] = ()) -> None:
        """Every job has ended once, with what was paid for, nothing is left over, and `others` find nothing."""
        await self.check_books()
        for job_id, states in self.history.items():
            self._check_history(job_id, states)
        kept: set[str] = set()
        for row in self.database.run("SELECT * FROM jobs"):
            kept |= self._check_outcome(row, files)
        self.left_over = sorted(files.keys() - kept)
        for check in others:
            for complaint in check(self):
                self.breaks(complaint)
        if self.database.run("SELECT key FROM doomed_files"):
            self.breaks("files that were given up were not removed")
        if self.database.run("SELECT job_id FROM byok_secrets"):
            self.breaks("a caller's own key outlived its job")

    async def check_books(self) -> None:
        """What is kept beside the jobs agrees with them, at any time."""
        try:
            await Desk(_Harness(self.database)).check_books()
        except AssertionError as error:
            self.breaks(f"the counters do not agree with the jobs: {error}")

    def _check_history(self, job_id: str, states: list[State]) -> None:
        if not states[-1].is_final:
            self.breaks(f"{job_id} never ended; it is {states[-1]}")
        ends = sum(state.is_final for state in states)
        if ends != 1 + states.count(State.RECOVERING):
            self.breaks(f"{job_id} ended {ends} times: {' > '.join(states)}")

    def _check_outcome(self, row: Row, files: dict[str, bytes]) -> set[str]:
        job_id, state = str(row["id"]), State(str(row["state"]))
        if state is not self.history[job_id][-1]:
            self.breaks(f"{job_id} is {state}, and its history ends with {self.history[job_id][-1]}")
        generations = self.generations_of(job_id)
        if row["error_code"] in NOTHING_CHARGED and generations and state is not State.SUCCEEDED:
            lost = [generation.id for generation in generations if generation.made]
            if lost:
                self.breaks(f"{job_id} ended with {row['error_code']}, and {lost} were accepted")
        if row["error_code"] == "aborted" and row["cost_usd"] == "0":
            running = [generation.id for generation in generations if generation.fate is not Fate.FAILS]
            if running:
                self.breaks(f"{job_id} was aborted at no cost, and {running} were accepted")
        if state is not State.SUCCEEDED:
            return set()
        outputs = json.loads(str(row["outputs"]))["videos"]
        if not outputs:
            self.breaks(f"{job_id} is completed, and has no video")
        made = {
            hashlib.sha256(generation.content(place)).hexdigest()
            for generation in generations
            for place in range(generation.made)
        }
        # What cannot be measured is kept all the same: it is paid for.
        made.add(hashlib.sha256(GARBAGE).hexdigest())
        for output in outputs:
            if output["sha256"] not in made:
                self.breaks(f"{job_id} shows a video that no provider made for it")
            content = files.get(output["key"])
            if row["files_removed_at"] is None and (
                content is None or hashlib.sha256(content).hexdigest() != output["sha256"]
            ):
                self.breaks(f"the file {output['key']} of {job_id} is not what was stored")
        asked = int(json.loads(str(row["request"])).get("n", 1))
        if len(outputs) < asked and not json.loads(str(row["warnings"])):
            self.breaks(f"{job_id} has {len(outputs)} of {asked} videos, and does not say why")
        return {output["key"] for output in outputs}


class _Harness:
    """What `Desk` needs of a harness to look at the books."""

    def __init__(self, database: SimulatedDatabase) -> None:
        self.database = database

    def now_ms(self) -> int:
        return self.database.clock.now_ms()

    def pass_time(self, seconds: float) -> None:
        raise NotImplementedError

    async def restart(self) -> None:
        raise NotImplementedError

    async def close(self) -> None:
        raise NotImplementedError
