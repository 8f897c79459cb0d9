"""`rushes login`: sign in through the service's identity provider, and keep the access token for later commands."""

from __future__ import annotations

import asyncio
import sys
import time
from typing import TYPE_CHECKING, Annotated, Any

import typer

from rushes.cli.exits import Exit
from rushes.cli.options import BaseUrl

if TYPE_CHECKING:
    import aiohttp

DEVICE_GRANT = "urn:ietf:params:oauth:grant-type:device_code"
USUAL_INTERVAL_S = 5
SLOWER_S = 5
ANSWER_S = 30


class LoginFailed(Exception):
    """Why the sign-in failed, in one sentence."""


def login(
    base_url: BaseUrl = None,
    no_browser: Annotated[bool, typer.Option("--no-browser", help="Print the address and open no browser.")] = False,
) -> None:
    """Sign in as a person. Commands use the access token until it ends, where no API key is given.

    The address and code that it prints can be opened on any device.
    """
    from rushes.cli.screen import print_failure
    from rushes.client_settings import load_client_settings
    from rushes.client_sign_in import keep_token

    url = load_client_settings(base_url).base_url.rstrip("/")
    try:
        token, lifetime_s = asyncio.run(_signed_in(url, opens=not no_browser))
    except LoginFailed as exc:
        print_failure(str(exc), [])
        raise typer.Exit(Exit.NOT_ALLOWED) from None
    except KeyboardInterrupt:
        raise typer.Exit(Exit.INTERRUPTED) from None
    kept = keep_token(url, token, time.time() + lifetime_s)
    print(f"signed in to {url} for {lifetime_s // 3600} hours; the token is in {kept}")


def logout(base_url: BaseUrl = None) -> None:
    """Forget the access token that `rushes login` has kept."""
    from rushes.client_settings import load_client_settings
    from rushes.client_sign_in import forget_token

    url = load_client_settings(base_url).base_url.rstrip("/")
    print(f"signed out of {url}" if forget_token(url) else f"not signed in to {url}")


async def _signed_in(url: str, *, opens: bool) -> tuple[str, int]:
    import aiohttp

    timeout = aiohttp.ClientTimeout(total=ANSWER_S)
    async with aiohttp.ClientSession(timeout=timeout) as session:
        offer = await _ask(session, "GET", f"{url}/api/v1/auth/oidc")
        id_token = await _id_token(session, offer, opens=opens)
        answer = await _ask(session, "POST", f"{url}/api/v1/auth/oidc", {"id_token": id_token})
    return str(answer["access_token"]), int(answer["expires_in"])


async def _id_token(session: aiohttp.ClientSession, offer: dict[str, Any], *, opens: bool) -> str:
    client = {"client_id": offer["client_id"]}
    asked = {**client, "scope": offer["scope"]}
    begun = await _ask(session, "POST", offer["device_authorization_endpoint"], asked)
    address = str(begun.get("verification_uri_complete") or begun["verification_uri"])
    print(f"open {begun['verification_uri']} and enter {begun['user_code']}", file=sys.stderr, flush=True)
    if opens:
        import webbrowser

        webbrowser.open(address)
    interval_s = float(begun.get("interval") or USUAL_INTERVAL_S)
    give_up = time.monotonic() + float(begun.get("expires_in") or 600)
    form = {**client, "grant_type": DEVICE_GRANT, "device_code": begun["device_code"]}
    while time.monotonic() < give_up:
        await asyncio.sleep(interval_s)
        status, answer = await _exchange(session, "POST", offer["token_endpoint"], form)
        match answer.get("error"):
            case None if status == 200 and isinstance(answer.get("id_token"), str):
                return str(answer["id_token"])
            case "authorization_pending":
                continue
            case "slow_down":
                interval_s += SLOWER_S
            case "access_denied":
                raise LoginFailed("the sign-in was refused at the identity provider")
            case "expired_token":
                break
            case error:
                raise LoginFailed(f"the identity provider answered {status} '{str(error)[:100]}'")
    raise LoginFailed("the code has expired; run `rushes login` again")


async def _ask(session: aiohttp.ClientSession, method: str, url: str, form: dict[str, Any] | None = None) -> Any:
    status, answer = await _exchange(session, method, url, form)
    if status != 200:
        said = answer.get("detail") or answer.get("error_description") or answer.get("error") or "no reason given"
        raise LoginFailed(f"{str(said)[:500]} ({status})")
    return answer


async def _exchange(
    session: aiohttp.ClientSession, method: str, url: str, form: dict[str, Any] | None
) -> tuple[int, dict[str, Any]]:
    import aiohttp

    try:
        async with session.request(method, url, data=form, allow_redirects=False) as response:
            answer = await response.json(content_type=None)
            status = response.status
    except (aiohttp.ClientError, TimeoutError, ValueError) as exc:
        raise LoginFailed(f"'{url.partition('?')[0]}' cannot be reached, or gives no JSON") from exc
    return status, answer if isinstance(answer, dict) else {}
