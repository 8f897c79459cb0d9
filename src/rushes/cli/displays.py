"""The progress of a job on standard error: a bar on a terminal, single lines elsewhere."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING, Protocol, Self

from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn
from rich.text import Text

from rushes.cli.screen import STYLE_OF_STATUS, note, notes
from rushes.cli.wording import length, size

if TYPE_CHECKING:
    from rushes.client import ClientError, JobState

WORDS = {"pending": "waiting", "in_progress": "in progress", "completed": "done", "failed": "failed"}
LINE_STEP = 10
"""Without a terminal, progress is shown in steps of this many percent."""


class Display(Protocol):
    """Shows the progress of a job, then that of its videos."""

    def __enter__(self) -> Self: ...
    def __exit__(self, *reason: object) -> None: ...

    def show(self, job: JobState) -> None:
        """Show the job as it was just read."""
        ...

    def trouble(self, error: ClientError) -> None:
        """Show that a read failed and will be repeated."""
        ...

    def arriving(self, index: int, n: int, received_bytes: int, size_bytes: int | None) -> None:
        """Show how much of the video at `index` has arrived."""
        ...


def suitable_display() -> Display:
    """The bar if standard error is a terminal that can draw it, else lines."""
    return Bar() if sys.stderr.isatty() and not notes().is_dumb_terminal else Lines()


class Pace:
    """Estimates when a job will be done from its progress since the first read."""

    def __init__(self) -> None:
        self._first: tuple[float, int] | None = None

    def left_s(self, percent: int, now_s: float) -> float | None:
        """Seconds until 100 percent at the present pace; None below three percent of progress."""
        if self._first is None:
            self._first = now_s, percent
        first_s, first_percent = self._first
        if percent - first_percent < 3:
            return None
        return (now_s - first_s) * (100 - percent) / (percent - first_percent)


class Bar:
    """A spinner, the state, a bar, the percentage and the time left, all on one line of 80 columns."""

    def __init__(self) -> None:
        self._progress = Progress(
            SpinnerColumn("dots", style="cyan", finished_text="[green]✓"),
            TextColumn("{task.fields[state]}", table_column=None),
            BarColumn(bar_width=None, pulse_style="yellow"),
            TextColumn("{task.fields[percent]}"),
            TextColumn("{task.fields[remark]}", style="dim"),
            console=notes(),
            expand=False,
            transient=False,
        )
        self._task = self._progress.add_task("", total=None, state="[yellow]waiting", percent="", remark="")
        self._pace = Pace()
        self._began_s = time.monotonic()
        self._arriving: int | None = None

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(self, *reason: object) -> None:
        self._progress.stop()

    def show(self, job: JobState) -> None:
        style = STYLE_OF_STATUS.get(job.status, "")
        state = f"[{style}]{WORDS.get(job.status, job.status)}" if style else WORDS.get(job.status, "at work")
        now_s = time.monotonic()
        percent, remark = "", ""
        if job.status == "in_progress":
            left_s = self._pace.left_s(job.progress, now_s)
            percent = f"{job.progress:>3}%"
            remark = "" if left_s is None else f"about {length(max(left_s, 1))} left"
        elif job.has_ended:
            percent = f"{job.progress:>3}%"
            remark = f"in {length(now_s - self._began_s)}"
        # Without a total the bar pulses, which suits a job that has not begun.
        total = None if job.status == "pending" else 100
        self._progress.update(
            self._task, total=total, completed=job.progress, state=state, percent=percent, remark=remark
        )
        if job.has_ended:
            self._progress.stop_task(self._task)

    def trouble(self, error: ClientError) -> None:
        self._progress.update(self._task, remark="the service does not answer; trying again")

    def arriving(self, index: int, n: int, received_bytes: int, size_bytes: int | None) -> None:
        which = "saving" if n == 1 else f"saving {index + 1} of {n}"
        if self._arriving != index:
            self._arriving = index
            self._saving = self._progress.add_task("", total=size_bytes, state=which, percent="", remark="")
        share = f"{100 * received_bytes // size_bytes:>3}%" if size_bytes else ""
        self._progress.update(self._saving, completed=received_bytes, percent=share, remark=size(received_bytes))


class Lines:
    """One line for each change of the status and each tenth of progress."""

    def __init__(self) -> None:
        self._shown: tuple[str, int] | None = None
        self._is_troubled = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *reason: object) -> None:
        pass

    def show(self, job: JobState) -> None:
        if self._is_troubled:
            self._is_troubled = False
            note("the service answers again")
        shown = job.status, job.progress // LINE_STEP * LINE_STEP
        if shown != self._shown:
            self._shown = shown
            words = WORDS.get(job.status, job.status)
            note(f"{words}, {job.progress}%" if job.status == "in_progress" else words)

    def trouble(self, error: ClientError) -> None:
        if not self._is_troubled:
            self._is_troubled = True
            note(f"{error.detail}; trying again")

    def arriving(self, index: int, n: int, received_bytes: int, size_bytes: int | None) -> None:
        pass


def remark_on(job: JobState) -> Text:
    """The result in one line: `1280x720, 8 s, 2.1 MB, $3.20`."""
    from rushes.cli.wording import money

    facts = [] if job.n == 1 else [f"{len(job.videos)} of {job.n} videos"]
    if job.videos:
        first = job.videos[0]
        if first.width is not None and first.height is not None:
            facts.append(f"{first.width}x{first.height}")
        if first.duration_s is not None:
            facts.append(length(first.duration_s))
        facts.append(size(sum(video.size_bytes or 0 for video in job.videos)))
    facts.append(money(job.cost_usd))
    return Text(", ".join(facts), "dim")
