"""Google Cloud as both of its video APIs use it: who calls, at which address, and where results lie."""

from __future__ import annotations

import re
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import quote, unquote

from yarl import URL

from rushes.clock import Clock
from rushes.domain.output import Output
from rushes.errors import OutputLost, ProviderAuth, ProviderError, ProviderRejected, ProviderUnavailable, StartupError
from rushes.net.client import HttpClient, TimeLimits, same_origin
from rushes.net.urls import exact_url
from rushes.providers.base import Credential
from rushes.providers.failure import Reply
from rushes.providers.google.inline import video_in
from rushes.providers.google.tokens import PROJECT, TOKEN_URL, AccessTokens, ServiceAccount
from rushes.providers.http import DOWNLOAD_LIMIT_BYTES, CallLimits, Origin

STORAGE_URL: Final = "https://storage.googleapis.com"
VEO_LOCATION: Final = "us-central1"

# A poll may answer with the videos themselves.
LIMITS: Final = CallLimits(poll=TimeLimits(connect_s=10, read_s=120, total_s=900))

LOCATION: Final = re.compile(r"[a-z]{2,}(?:-[a-z]+\d+)?")
BUCKET_FOLDER: Final = re.compile(r"(?:gs://)?([a-z0-9][a-z0-9._-]{1,220}[a-z0-9])((?:/[\w.=-]+)*)/?")
GCS_URI: Final = re.compile(r"gs://([\w.-]+)/(.+)", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Place:
    """What the operator may set: where Veo runs, whose project pays, where results go, and where all this is reached.

    Without a `bucket` (`name` or `gs://name/folder`) results come inside the replies. `project` and `bucket` are for
    the operator's own service account only. `base_url` stands for the API at every location.
    """

    location: str = VEO_LOCATION
    project: str | None = None
    bucket: str | None = None
    base_url: str | None = None
    token_url: str = TOKEN_URL
    storage_url: str = STORAGE_URL

    def __post_init__(self) -> None:
        if not LOCATION.fullmatch(self.location):
            raise StartupError(f"Google's location '{self.location}' is not valid; name one such as 'us-central1'")
        if self.project is not None and not PROJECT.fullmatch(self.project):
            raise StartupError(f"Google's project '{self.project}' is not the id of a project")
        if self.bucket is not None and not BUCKET_FOLDER.fullmatch(self.bucket):
            raise StartupError(f"Google's bucket '{self.bucket}' is not valid; write its name, or 'gs://name/folder'")

    def folder(self, attempt_id: str) -> str | None:
        """The `gs://` folder for the results of one attempt, None if there is no bucket."""
        found = None if self.bucket is None else BUCKET_FOLDER.fullmatch(self.bucket)
        return None if found is None else f"gs://{found[1]}{found[2]}/{quote(attempt_id, safe='')}/"


@dataclass(frozen=True, slots=True)
class Caller:
    """On whose account one call is made."""

    account: ServiceAccount
    project: str
    is_callers: bool
    token: str = field(repr=False)
    had_token: bool
    """Whether the token is one from before, which Google may have withdrawn since."""

    @property
    def headers(self) -> dict[str, str]:
        """What proves it."""
        return {"Authorization": f"Bearer {self.token}"}


class Platform:
    """The way to Google Cloud. Tokens go to the API's and the storage's configured origins only."""

    def __init__(
        self,
        client: HttpClient,
        place: Place,
        *,
        limit_bytes: int = DOWNLOAD_LIMIT_BYTES,
        limits: CallLimits | None = None,
        clock: Clock | None = None,
    ) -> None:
        self.place = place
        self._limit_bytes = limit_bytes
        self._client = client
        self._limits = limits or LIMITS
        self._clock = clock
        self._tokens = AccessTokens(client, place.token_url, limits=limits, clock=clock)
        self._storage = Origin(client, place.storage_url, provider="Google Cloud Storage", limits=limits, clock=clock)
        self._origins: dict[str, Origin] = {}

    def reply_again(
        self, location: str, method: str, path: str, *, caller: Caller, body: bytes | None = None
    ) -> AsyncGenerator[bytes, None]:
        """A reply with a video in it, as it arrives."""
        headers = caller.headers if body is None else {**caller.headers, "Content-Type": "application/json"}
        # Base64 is longer than what it stands for, and a reply holds up to four videos.
        limit_bytes = 6 * self._limit_bytes
        return self.origin(location).stream(method, path, headers=headers, body=body, limit_bytes=limit_bytes)

    def origin(self, location: str) -> Origin:
        """Where the API of a location is reached."""
        found = self._origins.get(location)
        if found is None:
            if not LOCATION.fullmatch(location):
                raise ProviderRejected("the generation is at no location of Google's", provider_error="bad location")
            prefix = "" if location == "global" else f"{location}-"
            base_url = self.place.base_url or f"https://{prefix}aiplatform.googleapis.com"
            found = Origin(self._client, base_url, provider="Google", limits=self._limits, clock=self._clock)
            self._origins[location] = found
        return found

    async def caller(self, credential: Credential) -> Caller:
        """Who calls with this credential. Raises ProviderAuth, or ProviderUnavailable with nothing submitted."""
        account = ServiceAccount.of(credential)
        project = account.project_id
        if self.place.project is not None and not credential.is_callers:
            project = self.place.project
        held = self._tokens.held(account)
        token = held or await self._tokens.ask(account)
        return Caller(account, project, credential.is_callers, token.value, had_token=held is not None)

    async def later_caller(self, credential: Credential) -> Caller:
        """Who looks after a generation that was paid for already: an account in trouble may recover.

        Raises ProviderUnavailable.
        """
        try:
            return await self.caller(credential)
        except ProviderAuth as error:
            raise ProviderUnavailable(error.message, provider_error=error.provider_error) from error

    def notice(self, reply: Reply, caller: Caller) -> None:
        """Forget a token that is no longer taken. Call it with every reply."""
        if reply.status == 401:
            self._tokens.forget(caller.account, caller.token)

    def refused_token(self, reply: Reply, caller: Caller) -> ProviderError | None:
        """The error for a submit that failed only because a token from before is no longer taken."""
        if reply.status != 401 or not caller.had_token:
            return None
        return ProviderUnavailable(
            "Google no longer takes an access token it gave; nothing was submitted, and a new one is asked for",
            accepted=False,
            provider_error="UNAUTHENTICATED",
        )

    def folder(self, caller: Caller, attempt_id: str) -> str | None:
        """Where the results of an attempt are to go: nowhere of the operator's for a caller's own account."""
        return None if caller.is_callers else self.place.folder(attempt_id)

    async def fetch(
        self, output: Output, caller: Caller, *, reply: AsyncGenerator[bytes, None], field: str
    ) -> AsyncGenerator[bytes, None]:
        """The bytes of a result: from where its URI says, or else out of `field` in `reply`.

        Raises what `Origin.download` raises.
        """
        uri, number = output.get("uri"), output.get("inline")
        if isinstance(uri, str):
            source = self._storage.download(
                self._result_url(uri), headers=caller.headers, limit_bytes=self._limit_bytes
            )
        elif isinstance(number, int):
            source = video_in(reply, field=field, number=number)
        else:
            raise OutputLost("the result was recorded in a form that is not known")
        try:
            async with aclosing(source) as chunks:
                async for chunk in chunks:
                    yield chunk
        except ProviderUnavailable as error:
            if error.provider_error == "HTTP 401":
                self._tokens.forget(caller.account, caller.token)
            raise

    async def videos_in(self, folder: str, caller: Caller) -> tuple[str, ...]:
        """The `gs://` URIs of the videos in a folder, none also if it may not be looked into."""
        found = GCS_URI.fullmatch(folder)
        if found is None:
            return ()
        path = f"/storage/v1/b/{found[1]}/o?prefix={quote(found[2], safe='')}&fields=items(name)"
        try:
            reply = await self._storage.call("GET", path, headers=caller.headers)
        except ProviderError:
            return ()
        items = reply.body.get("items") if reply.is_success and isinstance(reply.body, dict) else None
        names = [item.get("name") for item in (items if isinstance(items, list) else []) if isinstance(item, dict)]
        return tuple(f"gs://{found[1]}/{name}" for name in names if isinstance(name, str) and name.endswith(".mp4"))

    async def close(self) -> None:
        """Forget the tokens."""
        await self._tokens.close()

    def _result_url(self, uri: str) -> URL:
        found = GCS_URI.fullmatch(uri)
        if found is not None:
            return self._storage.url(f"/storage/v1/b/{found[1]}/o/{quote(found[2], safe='')}?alt=media")
        try:
            url = exact_url(uri)
            is_storage = same_origin(url, URL(STORAGE_URL))
        except ValueError as exc:
            raise ProviderUnavailable("Google names a result by something that is not a URL") from exc
        bucket, _, name = url.raw_path.removeprefix("/").partition("/")
        if is_storage and name and not bucket.startswith(("storage", "download")):
            # The form that browsers use; a bearer token is taken there as well, but the origin is the operator's.
            return self._storage.url(f"/storage/v1/b/{bucket}/o/{quote(unquote(name), safe='')}?alt=media")
        return url
