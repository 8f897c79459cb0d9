"""`rushes doctor`: examine an installation, and say what to do about each trouble."""

from __future__ import annotations

import asyncio
from dataclasses import asdict
from typing import Annotated

import typer

from rushes.cli.exits import Exit
from rushes.cli.options import DataDir


def doctor(
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, for scripts.")] = False,
    data_dir: DataDir = None,
) -> None:
    """Examine database, storage, public URL, credentials and limits. Ends with 1 if anything has failed.

    It changes nothing: a file is written to the storage and deleted again. Run it with the service's own settings,
    before its first start or beside it.
    """
    from rushes import logs
    from rushes.app.doctor import examine
    from rushes.app.findings import State
    from rushes.cli.screen import print_json
    from rushes.cli.tables import print_table
    from rushes.settings import load_settings

    settings = load_settings(data_dir=data_dir)
    # Warnings go to standard error, where no script reads its JSON.
    logs.configure("warning", settings.log_format)
    findings = asyncio.run(examine(settings))
    if as_json:
        print_json({"findings": [asdict(finding) for finding in findings]})
    else:
        print_table(
            ("part", "state", "finding"),
            [(finding.part, finding.state.value, finding.message) for finding in findings],
        )
        for finding in findings:
            if finding.advice is not None:
                print(f"{finding.part}: {finding.advice}")
    if any(finding.state is State.FAILED for finding in findings):
        raise typer.Exit(Exit.FAILED)
