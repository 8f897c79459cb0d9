"""Watches a job to its end, saves its videos, and handles Ctrl-C."""

from __future__ import annotations

import asyncio
import os
import shutil
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

import typer

from rushes.cli.connection import call, connected
from rushes.cli.exits import Exit, exit_of
from rushes.cli.saving import Destination
from rushes.client_settings import ClientSettings

if TYPE_CHECKING:
    from rushes.cli.displays import Display
    from rushes.client import AsyncClient, ClientError, JobState


class Watch:
    """One job that a command watches."""

    def __init__(
        self,
        settings: ClientSettings,
        job_id: str,
        *,
        status: str | None,
        destination: Destination | None,
        timeout_s: float | None,
        shown_warnings: tuple[str, ...] = (),
    ) -> None:
        self._settings = settings
        self._job_id = job_id
        self._status = status
        self._destination = destination
        self._timeout_s = timeout_s
        self._shown_warnings = shown_warnings

    def to_the_end(self, *, as_json: bool, offers_cancel: bool) -> None:
        """Show progress, save the videos, print their paths. Ends the command unless the job completed."""
        from rushes.cli.displays import remark_on
        from rushes.cli.screen import note, notes, print_failure, print_json

        try:
            job, paths = connected(self._settings, self._follow)
        except KeyboardInterrupt:
            self._interrupted(offers_cancel=offers_cancel)
        for warning in job.warnings:
            if warning not in self._shown_warnings:
                note(f"warning: {warning}", "yellow")
        if job.status == "failed":
            if as_json:
                print_json(job.content)
            print_failure(f"{job.error or 'the job failed'} ({job.error_code})", [f"job {job.id}"])
            raise typer.Exit(Exit.CONFLICT if job.error_code == "cancelled" else Exit.FAILED)
        notes().print(remark_on(job))
        if as_json:
            print_json(job.content)
        for path in paths:
            print(path, file=sys.stderr if as_json else sys.stdout)

    async def _follow(self, client: AsyncClient) -> tuple[JobState, list[Path]]:
        from rushes.cli.displays import suitable_display

        with suitable_display() as display:
            async for job in client.watch(self._job_id, timeout_s=self._timeout_s, on_trouble=display.trouble):
                self._status = job.status
                display.show(job)
            if job.status != "completed" or self._destination is None:
                return job, []
            return job, await self._save(client, job, self._destination, display)

    async def _save(self, client: AsyncClient, job: JobState, destination: Destination, display: Display) -> list[Path]:
        from rushes.client import ClientError, save_video

        if destination.is_standard_output:
            return await self._write_out(client, job, display)
        saved: list[Path] = []
        for index, (video, path) in enumerate(zip(job.videos, destination.paths(job), strict=True)):

            def on_received(received_bytes: int, index: int = index, size_bytes: int | None = video.size_bytes) -> None:
                display.arriving(index, len(job.videos), received_bytes, size_bytes)

            try:
                await save_video(client.http, video, path, replace=destination.replace, on_received=on_received)
            except (ClientError, OSError) as error:
                display.__exit__()
                for kept in saved:
                    print(kept)
                self._not_saved(job, str(path), error)
            saved.append(path)
        return saved

    async def _write_out(self, client: AsyncClient, job: JobState, display: Display) -> list[Path]:
        """Write the one video to standard output, once it has arrived whole and was checked."""
        from rushes.cli.screen import print_failure
        from rushes.client import ClientError, save_video

        if len(job.videos) != 1:
            print_failure(f"job {job.id} has {len(job.videos)} videos, and standard output takes one; name a folder")
            raise typer.Exit(Exit.USAGE)
        video = job.videos[0]
        try:
            with tempfile.TemporaryDirectory() as folder:
                whole = Path(folder) / "video"
                await save_video(
                    client.http, video, whole, on_received=lambda size: display.arriving(0, 1, size, video.size_bytes)
                )
                with await asyncio.to_thread(whole.open, "rb") as file:
                    await asyncio.to_thread(shutil.copyfileobj, file, sys.stdout.buffer)
                    await asyncio.to_thread(sys.stdout.buffer.flush)
        except (ClientError, OSError) as error:
            display.__exit__()
            self._not_saved(job, "standard output", error)
        return []

    def _not_saved(self, job: JobState, target: str, error: ClientError | OSError) -> NoReturn:
        from rushes.cli.screen import print_error, print_failure

        if isinstance(error, OSError):
            print_failure(f"'{target}' cannot be written: {os.strerror(error.errno or 0).lower()}")
        else:
            print_error(error)
        print_failure(f"the service keeps the video: rushes jobs watch {job.id} --output PATH")
        raise typer.Exit(Exit.FAILED if isinstance(error, OSError) else exit_of(error)) from None

    def _interrupted(self, *, offers_cancel: bool) -> None:
        from rushes.cli.screen import note

        watch_again = f"watch it with: rushes jobs watch {self._job_id}"
        if self._status == "completed":
            note(f"Stopped while saving; the service keeps the video: rushes jobs watch {self._job_id} --output PATH")
        elif self._status != "pending":
            note(f"The job continues; {watch_again}")
        elif offers_cancel and sys.stdin.isatty() and sys.stderr.isatty():
            if _wants_to_cancel():
                self._cancel()
            note(f"The job continues; {watch_again}")
        else:
            note(f"The job is pending and continues; {watch_again}")
            note(f"cancel it with: rushes jobs cancel {self._job_id}")
        raise typer.Exit(Exit.INTERRUPTED)

    def _cancel(self) -> None:
        from rushes.cli.screen import note
        from rushes.client import Conflict

        async def cancel(client: AsyncClient) -> JobState | None:
            try:
                await client.cancel_job(self._job_id)
            except Conflict:
                return await client.state(self._job_id)
            return None

        begun = call(self._settings, cancel)
        if begun is None:
            note("Cancelled before it began, at no cost.")
            raise typer.Exit(Exit.CONFLICT)
        note(f"Too late to cancel: it is {begun.status.replace('_', ' ')}.", "yellow")


def _wants_to_cancel() -> bool:
    try:
        return typer.confirm("Cancel the job? It has not begun", default=False, err=True)
    except (typer.Abort, KeyboardInterrupt, EOFError):
        print(file=sys.stderr)
        return False
