"""`rushes jobs abort`, `reconcile` and `recover`: an operator's decision on one job."""

from __future__ import annotations

import asyncio
import sys
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
    job_id: Annotated[
        str | None, typer.Argument(metavar="[JOB]", help="The job; else the waiting jobs are listed.")
    ] = None,
    provider_id: Annotated[
        str | None,
        typer.Option(help="The provider's id of the generation, from which the job continues."),
    ] = None,
    write_off: Annotated[bool, typer.Option("--write-off", help="The provider has nothing for this job.")] = False,
    data_dir: DataDir = None,
) -> None:
    """Decide on a job whose submission got no answer: continue with the provider's id, or write it off.

    Works on the data directory, also while the service runs, which continues the job within seconds.
    """
    if job_id is not None and (provider_id is None) == (not write_off):
        raise typer.BadParameter("give either --provider-id or --write-off")
    if provider_id is not None and not provider_id.strip():
        raise typer.BadParameter("--provider-id is empty")
    from rushes.settings import load_settings

    asyncio.run(_reconcile(load_settings(data_dir=data_dir), job_id, provider_id))


def recover(job_id: Annotated[str, typer.Argument(metavar="JOB")], data_dir: DataDir = None) -> None:
    """Fetch and store a video once more that was lost on its way to the storage."""
    from rushes.settings import load_settings

    asyncio.run(_recover(load_settings(data_dir=data_dir), job_id))


def abort(
    job_id: Annotated[str, typer.Argument(metavar="JOB")],
    wait: Annotated[bool, typer.Option("--wait/--no-wait", help="Wait some seconds for the job to end.")] = True,
    data_dir: DataDir = None,
) -> None:
    """End an unfinished job of any account. It is cancelled at its provider if the provider can do that.

    Works on the data directory. A running service acts within seconds, else the service acts at its next start.
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
        print(_outcome(job, is_served=is_served))


def _outcome(job: Job, *, is_served: bool) -> str:
    match job.status.value:
        case "completed":
            return f"'{job.id}' was finished at its provider before it could be stopped; its video is stored"
        case "failed" if job.problem is not None:
            return f"'{job.id}' has ended ({job.problem.code}): {job.problem.message}"
        case _ if is_served:
            return f"'{job.id}' is being aborted; see `rushes jobs show {job.id}`"
        case _:
            return f"'{job.id}' will be aborted when the service starts; no service runs now"


async def _reconcile(settings: Settings, job_id: str | None, provider_id: str | None) -> None:
    from rushes.app.administration import opened_recovery

    async with opened_recovery(settings) as recovery:
        if job_id is None:
            waiting = await recovery.unsettled()
            for job in waiting:
                print(
                    f"{job.id}  {job.served_provider}/{job.served_model}  {job.problem.message if job.problem else ''}"
                )
                for answer in await recovery.late_answers(job.id):
                    print(f"    {answer}")
            if not waiting:
                print("no job waits to be reconciled", file=sys.stderr)
        elif provider_id is not None:
            await recovery.reconcile(job_id, provider_id)
            print(f"'{job_id}' continues with the provider's '{provider_id}'; see `rushes jobs show {job_id}`")
        else:
            await recovery.write_off(job_id)
            print(f"'{job_id}' is written off")


async def _recover(settings: Settings, job_id: str) -> None:
    from rushes.app.administration import opened_recovery

    async with opened_recovery(settings) as recovery:
        await recovery.recover(job_id)
        print(f"'{job_id}' is being stored once more; see `rushes jobs show {job_id}`")
