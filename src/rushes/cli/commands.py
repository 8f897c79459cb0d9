"""The tree of commands. Each imports its libraries when it runs, so that no command waits for those of others."""

from __future__ import annotations

import typer

from rushes.cli import (
    accounts,
    audit,
    guardrail,
    jobs,
    keys,
    limits,
    models,
    needs_operator,
    recovery,
    settling,
    webhooks,
)
from rushes.cli.backup import backup
from rushes.cli.console import console
from rushes.cli.demo import demo
from rushes.cli.doctor import doctor
from rushes.cli.exits import EPILOG
from rushes.cli.generate import generate
from rushes.cli.login import login, logout
from rushes.cli.mcp import mcp
from rushes.cli.migrate import migrate
from rushes.cli.move import move
from rushes.cli.serve import serve, work
from rushes.cli.usage import usage

app = typer.Typer(
    name="rushes",
    help="A self-hosted video generation gateway.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
app.command()(serve)
app.command("worker")(work)
app.command()(migrate)
app.command()(demo)
app.command()(console)
app.command()(login)
app.command()(logout)
app.command()(mcp)
app.command(epilog=EPILOG)(generate)
jobs.app.command()(recovery.reconcile)
jobs.app.command()(recovery.recover)
jobs.app.command()(recovery.abort)
jobs.app.command()(settling.settle)
jobs.app.command("needs-operator")(needs_operator.needs_operator)
jobs.app.command()(needs_operator.decide)
app.add_typer(jobs.app, name="jobs")
app.add_typer(models.app, name="models")
app.add_typer(webhooks.app, name="webhooks")
app.add_typer(keys.app, name="keys")
app.add_typer(accounts.app, name="accounts")
app.add_typer(limits.app, name="limits")
app.add_typer(audit.app, name="audit")
app.add_typer(guardrail.app, name="guardrail")
app.command()(usage)
app.command()(backup)
app.command()(move)
app.command()(doctor)
