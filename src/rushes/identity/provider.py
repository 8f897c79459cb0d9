"""The identity provider: found by its issuer, asked for codes' tokens, its keys kept for a while."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import json
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

import aiohttp
import structlog
from yarl import URL

from rushes.accounts.people import Person
from rushes.clock import Clock
from rushes.errors import SignInRefused, SignInUnavailable
from rushes.identity.claims import ClaimRules, person_from
from rushes.net.client import HttpClient, TimeLimits

log = structlog.get_logger(__name__)

LIMITS = TimeLimits(connect_s=5, read_s=10, total_s=15)
LARGEST_ANSWER_BYTES = 256 * 1024
METADATA_S = 3600.0
KEYS_S = 3600.0
KEYS_PAUSE_S = 30.0
"""How soon the keys are asked for again because a token names one that we do not have."""
FRESH_S = 600
"""How old an ID token may be that is exchanged for an access token."""
NEEDED = ("authorization_endpoint", "token_endpoint", "jwks_uri")
FORM = "application/x-www-form-urlencoded"


@dataclass(frozen=True, slots=True)
class IdentityConfig:
    """How we are known to the provider. `cli_client_id` is the public client of `rushes login`, if there is one."""

    issuer: str
    client_id: str
    rules: ClaimRules
    name: str
    client_secret: str | None = None
    cli_client_id: str | None = None
    scope: str = "openid profile email"

    def __repr__(self) -> str:
        return f"IdentityConfig({self.issuer})"


@dataclass(frozen=True, slots=True)
class SignIn:
    """What a browser must bring back. All are random; `verifier` proves that the code is ours (RFC 7636)."""

    state: str
    nonce: str
    verifier: str

    @classmethod
    def begin(cls) -> SignIn:
        """A new one."""
        return cls(*(secrets.token_urlsafe(32) for _ in range(3)))

    @property
    def challenge(self) -> str:
        """What the provider is shown of the verifier."""
        return base64.urlsafe_b64encode(hashlib.sha256(self.verifier.encode()).digest()).decode().rstrip("=")


@dataclass(frozen=True, slots=True)
class DeviceSignIn:
    """What `rushes login` needs to sign a person in by the device flow (RFC 8628)."""

    issuer: str
    client_id: str
    scope: str
    device_authorization_endpoint: str
    token_endpoint: str


class _Kept:
    """Something that was fetched, and when."""

    def __init__(self) -> None:
        self.value: Mapping[str, Any] | None = None
        self.at_ms = 0
        self.lock = asyncio.Lock()


class IdentityProvider:
    """One provider. What asks it raises SignInUnavailable where it cannot be reached or answers no sense."""

    def __init__(self, config: IdentityConfig, client: HttpClient, clock: Clock) -> None:
        self._config = config
        self._client = client
        self._clock = clock
        self._metadata = _Kept()
        self._keys = _Kept()

    @property
    def name(self) -> str:
        """What the button of the sign-in page says."""
        return self._config.name

    async def authorization_url(self, sign_in: SignIn, redirect_uri: str) -> str:
        """Where the browser is sent, to come back to `redirect_uri` with a code."""
        metadata = await self._discovered()
        query = {
            "response_type": "code",
            "client_id": self._config.client_id,
            "redirect_uri": redirect_uri,
            "scope": self._config.scope,
            "state": sign_in.state,
            "nonce": sign_in.nonce,
            "code_challenge": sign_in.challenge,
            "code_challenge_method": "S256",
        }
        endpoint = str(metadata["authorization_endpoint"])
        return f"{endpoint}{'&' if '?' in endpoint else '?'}{urlencode(query)}"

    async def person_for_code(self, code: str, sign_in: SignIn, redirect_uri: str) -> Person:
        """Who has signed in. Raises SignInRefused for a code or an ID token that does not hold."""
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": redirect_uri,
            "code_verifier": sign_in.verifier,
        }
        answer = await self._token_answer(form)
        id_token, access_token = answer.get("id_token"), answer.get("access_token")
        if not isinstance(id_token, str):
            raise SignInUnavailable("The identity provider gave no ID token; its client needs the scope 'openid'")
        claims = await self._claims(
            id_token,
            client_id=self._config.client_id,
            nonce=sign_in.nonce,
            access_token=access_token if isinstance(access_token, str) else None,
        )
        return person_from(claims, self._config.rules)

    async def person_for_id_token(self, id_token: str) -> Person:
        """Who has signed in with `rushes login`. Raises SignInRefused, also for an old token."""
        if self._config.cli_client_id is None:
            raise SignInRefused("This service has no client for `rushes login` (RUSHES_OIDC__CLI_CLIENT_ID)")
        claims = await self._claims(id_token, client_id=self._config.cli_client_id, nonce=None, access_token=None)
        if self._clock.now_ms() / 1000 - float(claims["iat"]) > FRESH_S:
            raise SignInRefused(f"The ID token is older than {FRESH_S // 60} minutes; sign in again")
        return person_from(claims, self._config.rules)

    async def device_sign_in(self) -> DeviceSignIn:
        """What `rushes login` begins with. Raises SignInRefused if this service or the provider offers none."""
        if self._config.cli_client_id is None:
            raise SignInRefused("This service has no client for `rushes login` (RUSHES_OIDC__CLI_CLIENT_ID)")
        metadata = await self._discovered()
        endpoint = metadata.get("device_authorization_endpoint")
        if not isinstance(endpoint, str):
            raise SignInRefused("The identity provider does not offer the device flow that `rushes login` needs")
        return DeviceSignIn(
            issuer=self._config.issuer,
            client_id=self._config.cli_client_id,
            scope=self._config.scope,
            device_authorization_endpoint=_checked(endpoint, self._config.issuer),
            token_endpoint=str(metadata["token_endpoint"]),
        )

    async def _claims(
        self, id_token: str, *, client_id: str, nonce: str | None, access_token: str | None
    ) -> Mapping[str, Any]:
        async def verified(keys: Mapping[str, Any]) -> Mapping[str, Any]:
            return await asyncio.to_thread(
                _verified_claims,
                id_token,
                keys,
                issuer=self._config.issuer,
                client_id=client_id,
                nonce=nonce,
                access_token=access_token,
                now_s=self._clock.now_ms() // 1000,
            )

        keys = await self._current_keys(within_s=KEYS_S)
        if not _has_key_of(id_token, keys):
            # The provider has changed its keys since we asked.
            keys = await self._current_keys(within_s=KEYS_PAUSE_S)
        return await verified(keys)

    async def _token_answer(self, form: Mapping[str, str]) -> Mapping[str, Any]:
        metadata = await self._discovered()
        config = self._config
        headers = {"Accept": "application/json", "Content-Type": FORM}
        sent = dict(form)
        methods = metadata.get("token_endpoint_auth_methods_supported") or ["client_secret_basic"]
        if config.client_secret is None:
            sent["client_id"] = config.client_id
        elif "client_secret_basic" in methods:
            pair = f"{quote(config.client_id, safe='')}:{quote(config.client_secret, safe='')}"
            headers["Authorization"] = f"Basic {base64.b64encode(pair.encode()).decode()}"
        else:
            sent |= {"client_id": config.client_id, "client_secret": config.client_secret}
        status, answer = await self._ask("POST", str(metadata["token_endpoint"]), headers, urlencode(sent).encode())
        error = answer.get("error")
        if error == "invalid_grant":
            raise SignInRefused("The identity provider refuses the code: it has expired or was used before")
        if status != 200 or error is not None:
            log.warning("identity_provider_refuses", status=status, error=str(error)[:100])
            raise SignInUnavailable(
                f"The identity provider refuses this service ({status} '{str(error)[:60]}'); its operator must look"
            )
        return answer

    async def _discovered(self) -> Mapping[str, Any]:
        return await self._kept(self._metadata, METADATA_S, self._fetch_metadata)

    async def _fetch_metadata(self) -> Mapping[str, Any]:
        issuer = self._config.issuer
        # OpenID Connect Discovery 1.0, section 4.1.
        _, metadata = await self._ask("GET", f"{issuer.rstrip('/')}/.well-known/openid-configuration")
        if metadata.get("issuer") != issuer:
            raise SignInUnavailable(
                f"The identity provider calls itself '{str(metadata.get('issuer'))[:200]}', and RUSHES_OIDC__ISSUER is "
                f"'{issuer}'; they must be the same"
            )
        for name in NEEDED:
            _checked(metadata.get(name), issuer)
        return metadata

    async def _current_keys(self, *, within_s: float) -> Mapping[str, Any]:
        return await self._kept(self._keys, within_s, self._fetch_keys)

    async def _fetch_keys(self) -> Mapping[str, Any]:
        _, keys = await self._ask("GET", str((await self._discovered())["jwks_uri"]))
        if not isinstance(keys.get("keys"), list):
            raise SignInUnavailable("The identity provider shows no keys that its tokens are signed with")
        return keys

    async def _kept(self, kept: _Kept, within_s: float, fetch: Any) -> Mapping[str, Any]:
        async with kept.lock:
            now_ms = self._clock.now_ms()
            if kept.value is None or now_ms - kept.at_ms > within_s * 1000:
                kept.value = await fetch()
                kept.at_ms = now_ms
            assert kept.value is not None
            return kept.value

    async def _ask(
        self, method: str, url: str, headers: Mapping[str, str] | None = None, body: bytes | None = None
    ) -> tuple[int, Mapping[str, Any]]:
        try:
            async with self._client.open_trusted(
                method, URL(url), headers=headers or {"Accept": "application/json"}, limits=LIMITS, body=body
            ) as response:
                content = bytearray()
                async for chunk in response.content.iter_chunked(LARGEST_ANSWER_BYTES):
                    content += chunk
                    if len(content) > LARGEST_ANSWER_BYTES:
                        raise SignInUnavailable("The identity provider's answer is too large")
                status = response.status
        except (aiohttp.ClientError, TimeoutError, OSError) as exc:
            raise SignInUnavailable("The identity provider cannot be reached; try again shortly") from exc
        try:
            answer = json.loads(content)
        except ValueError:
            answer = None
        if not isinstance(answer, dict) or (method == "GET" and status != 200):
            raise SignInUnavailable(f"The identity provider's answer ({status}) makes no sense; its operator must look")
        return status, answer


def _verified_claims(*given: Any, **named: Any) -> Mapping[str, Any]:
    from rushes.identity.id_token import verified_claims

    return verified_claims(*given, **named)


def _has_key_of(id_token: str, keys: Mapping[str, Any]) -> bool:
    """Whether the key that the token's header names is among these; True where it names none."""
    try:
        head = id_token.partition(".")[0]
        kid = json.loads(base64.urlsafe_b64decode(head + "=" * (-len(head) % 4)))["kid"]
    except (ValueError, TypeError, KeyError):
        return True
    return any(isinstance(key, dict) and key.get("kid") == kid for key in keys["keys"])


def _checked(endpoint: object, issuer: str) -> str:
    """The endpoint, if secrets may be sent there: by https, or where the issuer itself is reached without."""
    found = urlsplit(endpoint) if isinstance(endpoint, str) else urlsplit("")
    if not found.netloc or (found.scheme != "https" and found.scheme != urlsplit(issuer).scheme):
        raise SignInUnavailable(f"The identity provider names no usable endpoint: '{str(endpoint)[:200]}'")
    return str(endpoint)
