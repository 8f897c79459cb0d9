"""Runs the work of a command against a service, and ends the command with the right exit code on errors."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, TypeVar

import typer

from rushes.cli.exits import Exit, exit_of
from rushes.client_settings import ClientSettings, load_client_settings

if TYPE_CHECKING:
    from rushes.client import AsyncClient

T = TypeVar("T")


def service_settings(base_url: str | None, api_key: str | None) -> ClientSettings:
    """The address and the key of the service. Ends the command if there is no key."""
    from rushes.cli.screen import print_failure

    settings = load_client_settings(base_url, api_key)
    if settings.api_key is None:
        print_failure(
            "no API key: set RUSHES_API_KEY",
            ["`rushes keys create` creates one, or `rushes login` signs you in"],
        )
        raise typer.Exit(Exit.NOT_ALLOWED)
    return settings


def call(settings: ClientSettings, act: Callable[[AsyncClient], Awaitable[T]]) -> T:
    """Run `act` and return its result. An error is printed and ends the command, and so does Ctrl-C."""
    try:
        return connected(settings, act)
    except KeyboardInterrupt:
        raise typer.Exit(Exit.INTERRUPTED) from None


def connected(settings: ClientSettings, act: Callable[[AsyncClient], Awaitable[T]]) -> T:
    """The same for commands that handle Ctrl-C themselves. Raises KeyboardInterrupt."""
    from rushes.cli.screen import print_error
    from rushes.client import AsyncClient, ClientError, NotConfigured

    async def run(client: AsyncClient) -> T:
        async with client:
            return await act(client)

    try:
        client = AsyncClient(api_key=settings.api_key, base_url=settings.base_url)
    except NotConfigured as exc:
        raise typer.BadParameter(str(exc), param_hint="--base-url / RUSHES_BASE_URL") from exc
    try:
        return asyncio.run(run(client))
    except ClientError as error:
        print_error(error)
        raise typer.Exit(exit_of(error)) from None
