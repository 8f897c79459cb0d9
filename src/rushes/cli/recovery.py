"""`rushes jobs reconcile` and `recover`: the operator's word on jobs that failed after they may have been paid for."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Annotated

import typer

from rushes.cli.options import DataDir

if TYPE_CHECKING:
    from rushes.settings import Settings


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


async def _reconcile(settings: Settings, job_id: str | None, provider_id: str | None) -> None:
    from rushes.app.administration import opened_recovery

    async with opened_recovery(settings) as recovery:
        if job_id is None:
            waiting = await recovery.unsettled()
            for job in waiting:
                typer.echo(
                    f"{job.id}  {job.served_provider}/{job.served_model}  {job.problem.message if job.problem else ''}"
                )
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
