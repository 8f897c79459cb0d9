"""Access tokens for service accounts: asked for with a signed statement, kept while they are good.

https://developers.google.com/identity/protocols/oauth2/service-account, checked 2026-11-22. The account's file names an
endpoint too (`token_uri`), which is not used: the file may be a caller's, and the endpoint then a stranger's.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import re
from collections import OrderedDict
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import urlencode

from rushes.clock import Clock, SystemClock
from rushes.errors import ProviderAuth, ProviderError, ProviderUnavailable
from rushes.net.client import HttpClient
from rushes.providers.base import Credential
from rushes.providers.failure import Raw, Reply, said
from rushes.providers.http import CallLimits, Origin

TOKEN_URL: Final = "https://oauth2.googleapis.com/token"  # noqa: S105 - an address
SCOPE: Final = "https://www.googleapis.com/auth/cloud-platform"
GRANT: Final = "urn:ietf:params:oauth:grant-type:jwt-bearer"
LIFETIME_S: Final = 3600
RENEWED_BEFORE_S: Final = 300
MOST_KEPT: Final = 256

FIELDS: Final = ("client_email", "project_id", "private_key_id", "private_key")
PROJECT: Final = re.compile(r"[A-Za-z0-9][\w.:-]{0,99}")


@dataclass(frozen=True, slots=True)
class ServiceAccount:
    """Who calls, and the key to prove it. `fingerprint` tells accounts apart, also two that claim the same name."""

    email: str
    project_id: str
    key_id: str
    private_key: str = field(repr=False)
    fingerprint: str = field(repr=False)

    @classmethod
    def of(cls, credential: Credential) -> ServiceAccount:
        """The account that a credential holds. Raises ProviderAuth if it is another kind, or malformed."""
        if credential.kind != "service_account":
            raise ProviderAuth(
                "Vertex takes the JSON of a service account, not an API key", provider_error="wrong kind of credential"
            )
        try:
            content = json.loads(credential.secret)
            email, project_id, key_id, private_key = (content[name] for name in FIELDS)
        except (ValueError, KeyError, TypeError):
            # Without its cause, which quotes the document.
            raise _malformed("it is not the JSON of one") from None
        if not all(isinstance(value, str) for value in (email, key_id, private_key)):
            raise _malformed("its client_email, private_key_id and private_key must be strings")
        if not isinstance(project_id, str) or not PROJECT.fullmatch(project_id):
            raise _malformed("its project_id is not the id of a project")
        fingerprint = hashlib.sha256(credential.secret.encode()).hexdigest()
        return cls(email, project_id, key_id, private_key, fingerprint)


@dataclass(frozen=True, slots=True)
class AccessToken:
    """What calls are made with. It is renewed from `renew_at_ms` on and refused from `expires_at_ms` on."""

    value: str = field(repr=False)
    renew_at_ms: int
    expires_at_ms: int


class AccessTokens:
    """The tokens of the service accounts in use, in memory only, at most `MOST_KEPT` of them.

    `token_url` is the operator's setting, and the only place that sees a signed statement.
    """

    def __init__(
        self,
        client: HttpClient,
        token_url: str = TOKEN_URL,
        *,
        limits: CallLimits | None = None,
        clock: Clock | None = None,
    ) -> None:
        self._clock = clock or SystemClock()
        self._token_url = token_url
        self._origin = Origin(client, token_url, provider="Google's token endpoint", limits=limits, clock=clock)
        self._kept: OrderedDict[str, AccessToken] = OrderedDict()
        self._asking: dict[str, asyncio.Task[AccessToken]] = {}

    def held(self, account: ServiceAccount) -> AccessToken | None:
        """The account's token, if there is one that need not be renewed yet."""
        token = self._kept.get(account.fingerprint)
        if token is None or token.renew_at_ms <= self._clock.now_ms():
            return None
        self._kept.move_to_end(account.fingerprint)
        return token

    async def ask(self, account: ServiceAccount) -> AccessToken:
        """A new token. Calls that ask for one at the same time get the same one.

        Raises ProviderAuth if Google does not accept the account, ProviderUnavailable (nothing was submitted) if the
        endpoint cannot say.
        """
        task = self._asking.get(account.fingerprint)
        if task is None:
            task = asyncio.create_task(self._exchange(account))
            self._asking[account.fingerprint] = task
            task.add_done_callback(lambda done: self._asked(account, done))
        try:
            return await asyncio.shield(task)
        except ProviderUnavailable:
            old = self._kept.get(account.fingerprint)
            if old is not None and old.expires_at_ms > self._clock.now_ms():
                return old
            raise

    def forget(self, account: ServiceAccount, value: str) -> None:
        """Google no longer takes this token."""
        token = self._kept.get(account.fingerprint)
        if token is not None and token.value == value:
            del self._kept[account.fingerprint]

    async def close(self) -> None:
        """Cancel every request for a token, and forget every token."""
        tasks = list(self._asking.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self._kept.clear()

    def _asked(self, account: ServiceAccount, done: asyncio.Task[AccessToken]) -> None:
        self._asking.pop(account.fingerprint, None)
        if done.cancelled() or done.exception() is not None:
            return
        self._kept[account.fingerprint] = done.result()
        self._kept.move_to_end(account.fingerprint)
        while len(self._kept) > MOST_KEPT:
            self._kept.popitem(last=False)

    async def _exchange(self, account: ServiceAccount) -> AccessToken:
        now_ms = self._clock.now_ms()
        statement = await asyncio.to_thread(signed_statement, account, self._token_url, now_ms // 1000)
        form = urlencode({"grant_type": GRANT, "assertion": statement}).encode()
        headers = {"Content-Type": "application/x-www-form-urlencoded", "Accept": "application/json"}
        try:
            reply = await self._origin.call("POST", "", headers=headers, body=form)
        except ProviderError as error:
            raise ProviderUnavailable(
                f"{error.message}; nothing was submitted", accepted=False, provider_error=error.provider_error
            ) from error
        token = token_in(reply, now_ms)
        if token is None:
            raise why_no_token(reply, account, statement)
        return token


def signed_statement(account: ServiceAccount, token_url: str, now_s: int) -> str:
    """A JWT that says who asks, good for an hour. Takes milliseconds of computing. Raises ProviderAuth."""
    # Here, because it takes a tenth of a second and three megabytes, and most have no service account.
    from google.auth import jwt
    from google.auth.crypt import RSASigner

    claims = {"iss": account.email, "scope": SCOPE, "aud": token_url, "iat": now_s, "exp": now_s + LIFETIME_S}
    try:
        # google-auth has no types here.
        signer = RSASigner.from_string(account.private_key, key_id=account.key_id)  # type: ignore[no-untyped-call]
        encoded: bytes = jwt.encode(signer, claims)  # type: ignore[no-untyped-call]
    except (ValueError, TypeError, AttributeError):
        # Without its cause, which may quote the key. A key that is not RSA fails only when it signs.
        raise _malformed("its private_key is not an RSA key in PEM form") from None
    return encoded.decode()


def token_in(reply: Reply, now_ms: int) -> AccessToken | None:
    """The token in the endpoint's reply, None if the reply has no usable token."""
    body = reply.body
    if not reply.is_success or not isinstance(body, dict):
        return None
    value, lifetime_s = body.get("access_token"), body.get("expires_in", 0)
    if not isinstance(value, str) or not re.fullmatch(r"[\x21-\x7e]+", value):
        return None
    if isinstance(lifetime_s, bool) or not isinstance(lifetime_s, int | float):
        lifetime_s = 0
    # A short-lived one is good for half of its time at least.
    good_s = max(lifetime_s - RENEWED_BEFORE_S, lifetime_s / 2)
    return AccessToken(value, now_ms + int(good_s * 1000), now_ms + int(lifetime_s * 1000))


def why_no_token(reply: Reply, account: ServiceAccount, statement: str) -> ProviderError:
    """Why the endpoint gave no token: the account's fault (ProviderAuth) or its own."""
    body = reply.body if isinstance(reply.body, dict) else {}
    code = said(body.get("error"), secret=statement)[:100] or f"HTTP {reply.status}"
    words = said(body.get("error_description"), secret=statement)
    shown = f": '{words}'" if words else ""
    if 400 <= reply.status < 500 and reply.status not in (404, 408, 429) and not isinstance(reply.body, Raw):
        return ProviderAuth(
            f"Google gives the service account '{account.email[:100]}' no access token; check that its key is still "
            f"valid and this machine's clock is right{shown}",
            provider_error=code,
        )
    return ProviderUnavailable(
        f"Google's token endpoint answered HTTP {reply.status} without a token; nothing was submitted{shown}",
        accepted=False,
        provider_error=code,
        retry_after_s=reply.retry_after_s,
    )


def _malformed(what: str) -> ProviderAuth:
    return ProviderAuth(f"the Google service account cannot be used: {what}", provider_error="malformed credential")
