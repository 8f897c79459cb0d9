"""`rushes jobs abort`, `reconcile` and `recover`: the operator's word on jobs that run, and on those that failed."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Annotated

import typer

from rushes.cli.options import DataDir

if TYPE_CHECKING:
    from rushes.domain.job import Job
    from rushes.settings import Settings

ABORT_WAIT_S = 10.0
ABORT_LOOK_S = 0.25


def reconcile(
    job_id: Annotated[str | None, typer.Argument(metavar="[JOB]", help="The job; without it, all that wait.")] = None,
    provider_id: Annotated[
        str | None,
        typer.Option(help="The id under which the provider shows the generation; it is taken up from there."),
    ] = None,
    write_off: Annotated[bool, typer.Option("--write-off", help="Nothing of it is to be had at the provider.")] = False,
    data_dir: DataDir = None,
) -> None:
    """Settle jobs whose submission got no answer: attach the provider's id and go on, or write them off.

    Works on the data directory, also while the service runs, which then goes on within seconds.
    """
    if job_id is not None and (provider_id is None) == (not write_off):
        raise typer.BadParameter("give either --provider-id or --write-off")
    if provider_id is not None and not provider_id.strip():
        raise typer.BadParameter("--provider-id is empty")
    from rushes.settings import load_settings

    asyncio.run(_reconcile(load_settings(data_dir=data_dir), job_id, provider_id))


def recover(job_id: Annotated[str, typer.Argument(metavar="JOB")], data_dir: DataDir = None) -> None:
    """Try once more to fetch and store a video that was lost on the way to our storage."""
    from rushes.settings import load_settings

    asyncio.run(_recover(load_settings(data_dir=data_dir), job_id))


def abort(
    job_id: Annotated[str, typer.Argument(metavar="JOB")],
    wait: Annotated[bool, typer.Option("--wait/--no-wait", help="Wait some seconds for the job to end.")] = True,
    data_dir: DataDir = None,
) -> None:
    """End an unfinished job of any account; its provider is asked to stop where it can.

    Works on the data directory: beside a running service within seconds, else at its next start.
    """
    from rushes.settings import load_settings

    asyncio.run(_abort(load_settings(data_dir=data_dir), job_id, wait=wait))


async def _abort(settings: Settings, job_id: str, *, wait: bool) -> None:
    from rushes.app.administration import opened_aborting

    async with opened_aborting(settings) as (jobs, is_served):
        job = await jobs.request(job_id)
        give_up = time.monotonic() + (ABORT_WAIT_S if wait and is_served else 0)
        while not job.state.is_final and time.monotonic() < give_up:
            await asyncio.sleep(ABORT_LOOK_S)
            job = await jobs.get(job_id)
        typer.echo(_what_became_of(job, is_served=is_served))


def _what_became_of(job: Job, *, is_served: bool) -> str:
    match job.status.value:
        case "completed":
            return f"'{job.id}' was finished at its provider before it could be stopped; its video is paid for and kept"
        case "failed" if job.problem is not None:
            return f"'{job.id}' has ended ({job.problem.code}): {job.problem.message}"
        case _ if is_served:
            return f"'{job.id}' is being aborted; see `rushes jobs show {job.id}`"
        case _:
            return f"'{job.id}' will be aborted when the service is started; none runs now"


async def _reconcile(settings: Settings, job_id: str | None, provider_id: str | None) -> None:
    from rushes.app.administration import opened_recovery

    async with opened_recovery(settings) as recovery:
        if job_id is None:
            waiting = await recovery.unsettled()
            for job in waiting:
                typer.echo(
                    f"{job.id}  {job.served_provider}/{job.served_model}  {job.problem.message if job.problem else ''}"
                )
                for answer in await recovery.late_answers(job.id):
                    typer.echo(f"    {answer}")
            if not waiting:
                typer.echo("no job waits to be reconciled", err=True)
        elif provider_id is not None:
            await recovery.reconcile(job_id, provider_id)
            typer.echo(f"'{job_id}' goes on with the provider's '{provider_id}'; see `rushes jobs show {job_id}`")
        else:
            await recovery.write_off(job_id)
            typer.echo(f"'{job_id}' is written off")


async def _recover(settings: Settings, job_id: str) -> None:
    from rushes.app.administration import opened_recovery

    async with opened_recovery(settings) as recovery:
        await recovery.recover(job_id)
        typer.echo(f"'{job_id}' is being stored once more; see `rushes jobs show {job_id}`")
