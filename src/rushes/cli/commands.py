"""The tree of commands."""

from __future__ import annotations

import typer

from rushes.cli import keys
from rushes.cli.demo import demo
from rushes.cli.serve import serve

app = typer.Typer(
    name="rushes",
    help="A self-hosted video generation gateway.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
app.command()(serve)
app.command()(demo)
app.add_typer(keys.app, name="keys")
