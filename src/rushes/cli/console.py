"""`rushes console`: a link that opens the console signed in, once."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Annotated

import typer

from rushes.cli.options import BaseUrl, DataDir

if TYPE_CHECKING:
    from pathlib import Path

LINK_LIFETIME_S = 600
KEY_NAME = "console"


def console(
    key: Annotated[
        str | None,
        typer.Option(metavar="ID", help="The key to sign in with, by the id that `rushes keys list` shows."),
    ] = None,
    account: Annotated[str, typer.Option(help="Without --key: the account to sign in to.")] = "default",
    test: Annotated[bool, typer.Option("--test", help="Without --key: sign in with a test key.")] = False,
    only_print: Annotated[bool, typer.Option("--print", help="Print the link and open no browser.")] = False,
    base_url: BaseUrl = None,
    data_dir: DataDir = None,
) -> None:
    """Open the console, signed in by a link that works once, within ten minutes.

    Without --key it creates a key with all scopes that expires with the session.
    """
    from rushes.settings import load_settings

    settings = load_settings(data_dir=data_dir)
    link = asyncio.run(
        sign_in_link(settings.data_dir, key, account=account, test=test, base_url=base_url, lifetime_s=LINK_LIFETIME_S)
    )
    print(link)
    if not only_print:
        import webbrowser

        webbrowser.open(link)


async def sign_in_link(
    directory: Path, key_id: str | None, *, account: str, test: bool, base_url: str | None, lifetime_s: float
) -> str:
    """A link that signs in once with this key, or with a new one. Raises KeyNotFound or StartupError."""
    from rushes.accounts.keys import Mode, Scope
    from rushes.app.administration import opened_console_access
    from rushes.client_settings import load_client_settings
    from rushes.settings import load_settings

    settings = load_settings(data_dir=directory)
    async with opened_console_access(settings) as (keys, sessions):
        if key_id is None:
            record, _ = await keys.create_key(
                account=account,
                name=KEY_NAME,
                mode=Mode.TEST if test else Mode.LIVE,
                lifetime_s=lifetime_s + settings.console_session_s,
                scopes=frozenset(Scope),
            )
        else:
            record = await keys.get_key(key_id)
        code = await sessions.make_link(record.id, lifetime_s=lifetime_s)
    client = load_client_settings(base_url)
    known = settings.public_url if settings.public_url is not None and not client.is_configured else client.base_url
    return f"{known.rstrip('/')}/console/sign-in/link?code={code}"
