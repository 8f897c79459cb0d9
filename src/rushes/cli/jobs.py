"""`rushes jobs`: list, show, watch, cancel and delete jobs of a running service."""

from __future__ import annotations

import json
import sys
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from rushes.cli.connection import call, service_settings
from rushes.cli.exits import EPILOG, Exit, exit_of
from rushes.cli.options import ApiKey, AsJson, BaseUrl
from rushes.cli.saving import Destination
from rushes.cli.watching import Watch
from rushes.client_settings import ClientSettings

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.text import Text

    from rushes.client import AsyncClient, JobPage, JobState
    from rushes.client.answers import Json

app = typer.Typer(help="List, show, watch, cancel and delete jobs.", no_args_is_help=True, epilog=EPILOG)

JobId = Annotated[str, typer.Argument(metavar="ID", help="A job's id, as `rushes jobs list` shows it.")]
JobIds = Annotated[list[str], typer.Argument(metavar="ID...", help="Ids, as `rushes jobs list` shows them.")]
PAGE_OF_ALL = 200


@app.command("list", epilog=EPILOG)
def list_jobs(
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, max=1000, help="Most jobs to show.")] = 20,
    status: Annotated[
        Literal["pending", "in_progress", "completed", "failed"] | None, typer.Option(help="Only in this status.")
    ] = None,
    model: Annotated[str | None, typer.Option(metavar="ID", help="Only of this model.")] = None,
    provider: Annotated[str | None, typer.Option(metavar="NAME", help="Only of this provider.")] = None,
    user: Annotated[str | None, typer.Option(metavar="TAG", help="Only with this tag.")] = None,
    mode: Annotated[
        Literal["live", "test"] | None, typer.Option(help="With a live key, `test` shows the jobs of test keys.")
    ] = None,
    show_all: Annotated[bool, typer.Option("--all", help="Every job, in pages; --limit has no effect.")] = False,
    as_json: AsJson = False,
    base_url: BaseUrl = None,
    api_key: ApiKey = None,
) -> None:
    """Show the newest jobs. With --json and --all, the JSON of one page after the other."""
    settings = service_settings(base_url, api_key)

    async def show(client: AsyncClient) -> None:
        cursor = None
        shown = 0
        while True:
            page = await client.page(
                limit=PAGE_OF_ALL if show_all else limit,
                cursor=cursor,
                status=status,
                model=model,
                provider=provider,
                user=user,
                mode=mode,
            )
            _print_page(page, as_json=as_json, is_first=cursor is None)
            shown += len(page.jobs)
            cursor = page.next_cursor
            if cursor is None or not show_all:
                break
        if not as_json:
            _print_rest(page, shown)

    call(settings, show)


@app.command(epilog=EPILOG)
def show(job_id: JobId, as_json: AsJson = False, base_url: BaseUrl = None, api_key: ApiKey = None) -> None:
    """Show one job and its history; with --json the job alone."""
    from rushes.cli.screen import output, print_json

    settings = service_settings(base_url, api_key)
    if as_json:
        print_json(call(settings, lambda client: client.state(job_id)).content)
        return

    async def read(client: AsyncClient) -> tuple[JobState, Json]:
        return await client.state(job_id), await client.timeline(job_id)

    job, timeline = call(settings, read)
    console = output()
    console.print(_sheet(job))
    console.print(_history(timeline))


@app.command(epilog=EPILOG)
def watch(
    job_id: JobId,
    output: Annotated[
        str | None,
        typer.Option("--output", "-o", metavar="PATH", help="Save the video to this path; - is standard output."),
    ] = None,
    force: Annotated[bool, typer.Option("--force", "-f", help="Replace files that exist.")] = False,
    timeout: Annotated[
        float | None, typer.Option(metavar="SECONDS", min=0, help="Wait at most this long; the job continues.")
    ] = None,
    as_json: AsJson = False,
    base_url: BaseUrl = None,
    api_key: ApiKey = None,
) -> None:
    """Wait for a job to end, also through a restart of the service; with --output save its video."""
    settings = service_settings(base_url, api_key)
    destination = None if output is None else Destination(output, replace=force)
    if destination is not None and destination.is_standard_output and as_json:
        raise typer.BadParameter("standard output takes either the video or --json")
    if destination is not None:
        destination.check(1)
    watching = Watch(settings, job_id, status=None, destination=destination, timeout_s=timeout)
    watching.to_the_end(as_json=as_json, offers_cancel=False)


@app.command(epilog=EPILOG)
def cancel(job_ids: JobIds, as_json: AsJson = False, base_url: BaseUrl = None, api_key: ApiKey = None) -> None:
    """Cancel pending jobs. A job that has begun cannot be cancelled."""
    settings = service_settings(base_url, api_key)
    _each(settings, job_ids, lambda client, job_id: client.cancel_job(job_id), "cancelled", as_json=as_json)


@app.command(epilog=EPILOG)
def delete(
    job_ids: JobIds,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask; needed without a terminal.")] = False,
    as_json: AsJson = False,
    base_url: BaseUrl = None,
    api_key: ApiKey = None,
) -> None:
    """Delete jobs that have ended, and their videos, permanently."""
    settings = service_settings(base_url, api_key)
    if not yes:
        if not sys.stdin.isatty():
            raise typer.BadParameter("this is not a terminal, so give --yes to delete permanently", param_hint="--yes")
        what = f"job {job_ids[0]} and its video" if len(job_ids) == 1 else f"{len(job_ids)} jobs and their videos"
        typer.confirm(f"Delete {what} permanently?", abort=True, err=True)
    _each(settings, job_ids, lambda client, job_id: client.delete_job(job_id), "deleted", as_json=as_json)


def _each(
    settings: ClientSettings,
    job_ids: Sequence[str],
    act: Callable[[AsyncClient, str], Awaitable[Json | None]],
    done: str,
    *,
    as_json: bool,
) -> None:
    """Act on every job, also after a failure. The first failure decides the exit code."""
    from rushes.cli.screen import print_error, print_json
    from rushes.client import Refused

    async def act_on_all(client: AsyncClient) -> Exit:
        code = Exit.OK
        for job_id in job_ids:
            try:
                answer = await act(client, job_id)
            except Refused as error:
                print_error(error)
                code = code or exit_of(error)
                continue
            if not as_json:
                print(f"{done} {job_id}")
            elif answer is not None:
                print_json(answer)
        return code

    code = call(settings, act_on_all)
    if code is not Exit.OK:
        raise typer.Exit(code)


def _print_page(page: JobPage, *, as_json: bool, is_first: bool) -> None:
    from rich.text import Text

    from rushes.cli.screen import WIDE_COLUMNS, output, plain_table, print_json, status_text
    from rushes.cli.wording import ago, printable

    if as_json:
        print_json(page.content)
        return
    if not page.jobs:
        return
    console = output()
    is_wide = console.width >= WIDE_COLUMNS
    table = plain_table("JOB", "STATUS", "CREATED", *(["MODEL"] if is_wide else []), "PROMPT")
    table.show_header = is_first
    # Fixed widths align the pages of a long list; the prompt takes the rest.
    for column, width in zip(table.columns, (28, 16, 10, 28), strict=False):
        column.min_width = width
    table.columns[-1].min_width = None
    table.columns[-1].no_wrap = False
    now = datetime.now(UTC)
    for job in page.jobs:
        model = [Text(printable(f"{job.provider}/{job.model}"))] if is_wide else []
        table.add_row(
            Text(printable(job.id)),
            _outcome(job) if job.status == "failed" else status_text(job.status, job.progress),
            ago(job.created_at, now),
            *model,
            Text(printable(job.prompt), no_wrap=True, overflow="ellipsis"),
        )
    console.print(table)


def _outcome(job: JobState) -> RenderableType:
    from rich.text import Text

    # The code says more than "failed", but a long code would leave no space for the prompt.
    code = (job.error_code or "failed").replace("_", " ")
    return Text(code, "dim") if job.error_code == "cancelled" else Text(code if len(code) <= 16 else "failed", "red")


def _print_rest(page: JobPage, shown: int) -> None:
    from rushes.cli.screen import note

    if shown == 0:
        note("no jobs")
    elif page.next_cursor is not None:
        of_total = "" if page.total is None else f" of {page.total}"
        note(f"{shown}{of_total} jobs; --limit and --all show more", "dim")


def _sheet(job: JobState) -> RenderableType:
    from rich.table import Table
    from rich.text import Text

    from rushes.cli.screen import status_text
    from rushes.cli.wording import at, length, money, printable, size

    sheet = Table.grid(padding=(0, 2, 0, 0))
    sheet.add_column(style="bold", no_wrap=True)
    sheet.add_column(overflow="fold")

    def row(name: str, value: str | Text | None) -> None:
        if value is not None and value != "":
            sheet.add_row(name, Text(printable(value)) if isinstance(value, str) else value)

    now = datetime.now(UTC)
    row("job", job.id)
    row("status", status_text(job.status, job.progress))
    if job.error is not None:
        row("error", Text(printable(f"{job.error} ({job.error_code})"), "red"))
    for warning in job.warnings:
        row("warning", Text(printable(warning), "yellow"))
    row("prompt", job.prompt)
    served = "" if job.served_model == job.model else f", served by {job.served_model}"
    row("model", f"{job.provider}/{job.model}{served}")
    row("options", _options(job))
    row("cost", f"{money(job.cost_usd)}{' (estimated)' if job.cost_is_estimated and job.cost_usd else ''}")
    row("created", at(job.created_at, now))
    if job.started_at is not None:
        row("started", at(job.started_at, now))
    if job.completed_at is not None:
        took = length((job.completed_at - job.created_at).total_seconds())
        row("completed" if job.status == "completed" else "ended", f"{at(job.completed_at, now)}, after {took}")
    for number, video in enumerate(job.videos, 1):
        facts = [f"{video.width}x{video.height}" if video.width and video.height else None]
        facts.append(None if video.duration_s is None else length(video.duration_s))
        facts.append(None if video.size_bytes is None else size(video.size_bytes))
        name = "video" if len(job.videos) == 1 else f"video {number}"
        row(name, ", ".join(fact for fact in facts if fact is not None))
        row("url", Text("deleted", "dim") if video.url is None else _link(printable(video.url)))
        row("sha256", None if video.sha256 is None else Text(printable(video.sha256), "dim"))
    return sheet


def _history(timeline: Json) -> RenderableType:
    from rich.table import Table
    from rich.text import Text

    from rushes.cli.wording import printable

    history = Table.grid(padding=(0, 2, 0, 0))
    history.add_column(no_wrap=True, style="dim")
    history.add_column(overflow="fold")
    history.add_row("")
    if timeline.get("earlier_left_out"):
        history.add_row("", Text("earlier entries are left out", "dim"))
    day = None
    for entry in timeline["entries"]:
        moment = datetime.fromisoformat(entry["at"]).astimezone()
        # The sheet above has the day, so it is shown here only where the next day begins.
        if day is not None and moment.date() != day:
            history.add_row(f"{moment:%Y-%m-%d}")
        day = moment.date()
        history.add_row(f"{moment:%H:%M:%S}", Text(printable(entry["message"])))
    if timeline.get("now") is not None:
        history.add_row("now", Text(printable(timeline["now"]), "cyan"))
    return history


def _link(url: str) -> Text:
    from rich.style import Style
    from rich.text import Text

    # A URL that is folded over two lines cannot be copied, so it is also a link for terminals that support links.
    return Text(url, Style(color="cyan", link=url))


def _options(job: JobState) -> str:
    shown_above = ("prompt", "model", "provider", "response_format")
    request = job.content.get("request") or {}
    return ", ".join(
        f"{name.replace('_', ' ')} {_option(value)}"
        for name, value in request.items()
        if name not in shown_above and value is not None and value not in ({}, [])
    )


def _option(value: object) -> str:
    match value:
        case bool():
            return "yes" if value else "no"
        case dict() | list():
            return json.dumps(value, ensure_ascii=False)
        case _:
            return str(value)
