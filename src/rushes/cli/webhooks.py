"""`rushes webhooks`: register and test webhooks of a running service, and send messages again."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any, Literal
from urllib.parse import quote

import typer

from rushes.cli.connection import call, service_settings
from rushes.cli.exits import EPILOG, Exit
from rushes.cli.options import ApiKey, AsJson, BaseUrl

if TYPE_CHECKING:
    from rushes.client import AsyncClient

app = typer.Typer(help="Register, list and test webhooks; see their deliveries.", no_args_is_help=True, epilog=EPILOG)

PATH = "/api/v1/webhooks"
WebhookId = Annotated[str, typer.Argument(metavar="ID", help="A webhook's id, as `rushes webhooks list` shows it.")]
EventOption = Annotated[
    list[str] | None,
    typer.Option("--event", metavar="TYPE", help="Only this type, such as video.completed; repeatable."),
]


@app.command("list", epilog=EPILOG)
def list_webhooks(as_json: AsJson = False, base_url: BaseUrl = None, api_key: ApiKey = None) -> None:
    """Show the account's webhooks."""

    async def ask(client: AsyncClient) -> Any:
        return await client.request("GET", PATH)

    content = call(service_settings(base_url, api_key), ask)
    rows = [
        (one["id"], _health(one), ", ".join(one["events"] or ["all"]), one["url"])
        for one in content["webhooks"]
    ]  # fmt: skip
    _print(content, ("WEBHOOK", "HEALTH", "EVENTS", "URL"), rows, nothing="no webhooks", as_json=as_json)


@app.command(epilog=EPILOG)
def create(
    url: Annotated[str, typer.Argument(metavar="URL", help="The URL that gets the messages, by POST.")],
    event: EventOption = None,
    description: Annotated[str | None, typer.Option(help="A text for your own use.")] = None,
    as_json: AsJson = False,
    base_url: BaseUrl = None,
    api_key: ApiKey = None,
) -> None:
    """Register a receiver. Its secret is printed now, and never again."""
    from rushes.cli.screen import note, print_json

    body = {"url": url, "events": event or None, "description": description}

    async def ask(client: AsyncClient) -> Any:
        return await client.request("POST", PATH, body=body)

    content = call(service_settings(base_url, api_key), ask)
    if as_json:
        print_json(content)
        return
    note(f"registered {content['id']}; its secret, which is not shown again:")
    print(content["secret"])


@app.command("test", epilog=EPILOG)
def ping(webhook_id: WebhookId, as_json: AsJson = False, base_url: BaseUrl = None, api_key: ApiKey = None) -> None:
    """Send a test message, and show the answer of the receiver. The exit code is 1 if it is not accepted."""
    from rushes.cli.screen import print_json
    from rushes.cli.wording import printable

    async def ask(client: AsyncClient) -> Any:
        return await client.request("POST", f"{PATH}/{quote(webhook_id, safe='')}/test")

    result = call(service_settings(base_url, api_key), ask)
    if as_json:
        print_json(result)
    else:
        text = f"the receiver answered {result['status_code']}" if result["success"] else printable(result["error"])
        print(f"{text}, after {result['duration_ms']} ms")
    if not result["success"]:
        raise typer.Exit(Exit.FAILED)


@app.command(epilog=EPILOG)
def deliveries(
    webhook_id: Annotated[str | None, typer.Argument(metavar="ID", help="Only of this webhook.")] = None,
    status: Annotated[
        Literal["pending", "delivered", "dead"] | None, typer.Option(help="Only in this status; dead means given up.")
    ] = None,
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, max=1000, help="Most to show.")] = 20,
    as_json: AsJson = False,
    base_url: BaseUrl = None,
    api_key: ApiKey = None,
) -> None:
    """Show the newest messages and their deliveries."""
    query: dict[str, str | int] = {"limit": limit, **({} if status is None else {"status": status})}
    path = f"{PATH}/deliveries" if webhook_id is None else f"{PATH}/{quote(webhook_id, safe='')}/deliveries"

    async def ask(client: AsyncClient) -> Any:
        return await client.request("GET", path, query=query)

    content = call(service_settings(base_url, api_key), ask)
    rows = [
        (one["id"], one["status"], str(one["attempts"]), one["type"], one["job_id"], one["last_error"] or "")
        for one in content["deliveries"]
    ]
    headings = ("DELIVERY", "STATUS", "ATTEMPTS", "TYPE", "JOB", "LAST ERROR")
    _print(content, headings, rows, nothing="no deliveries", as_json=as_json)


@app.command(epilog=EPILOG)
def redeliver(
    delivery_ids: Annotated[list[str], typer.Argument(metavar="ID...", help="Ids that `deliveries` shows.")],
    as_json: AsJson = False,
    base_url: BaseUrl = None,
    api_key: ApiKey = None,
) -> None:
    """Send messages again that were given up, or send pending ones now."""
    from rushes.cli.screen import print_json

    async def ask(client: AsyncClient) -> None:
        for delivery_id in delivery_ids:
            answer = await client.request("POST", f"{PATH}/deliveries/{quote(delivery_id, safe='')}/redeliver")
            if as_json:
                print_json(answer)
            else:
                print(f"sending {delivery_id} again")

    call(service_settings(base_url, api_key), ask)


def _health(webhook: dict[str, Any]) -> str:
    if not webhook["enabled"]:
        return "disabled"
    failures = webhook["consecutive_failures"]
    return f"{failures} failed" if failures else "ok"


def _print(
    content: object, headings: tuple[str, ...], rows: Sequence[tuple[str, ...]], *, nothing: str, as_json: bool
) -> None:
    from rich.text import Text

    from rushes.cli.screen import note, output, plain_table, print_json
    from rushes.cli.wording import printable

    if as_json:
        print_json(content)
    elif not rows:
        note(nothing)
    else:
        table = plain_table(*headings)
        for column in table.columns[:-1]:
            # An id that is cut off cannot be copied.
            column.no_wrap, column.overflow = True, "ignore"
        for row in rows:
            table.add_row(*(Text(printable(cell)) for cell in row))
        output().print(table)
