"""The asynchronous client: jobs that wait and download, and polling that survives restarts of the service."""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import AsyncGenerator, Callable, Mapping
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Unpack
from urllib.parse import quote

from rushes.client.answers import JobPage, JobState, Json, Model, read
from rushes.client.download import Received, save_video
from rushes.client.errors import (
    JobFailed,
    NotAllowed,
    NotConfigured,
    NotFinished,
    NotFound,
    Refused,
    ServiceUnavailable,
    Unreachable,
    WaitedTooLong,
)
from rushes.client.http import RETRIES, Http, backoff_s
from rushes.client.media import with_media
from rushes.client.options import GenerationOptions
from rushes.client_settings import load_client_settings

FIRST_POLL_S = 0.3
LONGEST_POLL_S = 5.0
POLLS_PER_AGE = 20
"""A job is polled this many times while its age doubles, roughly: often when young, every five seconds when old."""
PATIENCE_S = 300.0
"""For how long a watch polls a service that does not answer."""
PAGE = 100
TOO_MANY_REQUESTS = 429

Trouble = Callable[[Unreachable | Refused], object]


class AsyncJob(JobState):
    """A job and its actions. Its fields are those of the last read; each action reads the job again."""

    def __init__(self, client: AsyncClient, state: JobState) -> None:
        self._client = client
        self.become(state)

    async def refresh(self) -> AsyncJob:
        """Read the job again."""
        self.become(await self._client.state(self.id))
        return self

    async def wait(
        self, *, on_progress: Callable[[AsyncJob], object] | None = None, timeout_s: float | None = None
    ) -> AsyncJob:
        """Wait until the job is completed, also through restarts of the service, and return it.

        `on_progress` is called after each change of status or progress. Raises JobFailed, or WaitedTooLong after
        `timeout_s`; the job then continues.
        """
        reported: tuple[str, int] | None = None
        async for state in self._client.watch(self.id, timeout_s=timeout_s):
            self.become(state)
            if on_progress is not None and reported != (self.status, self.progress):
                reported = self.status, self.progress
                on_progress(self)
        if self.status == "failed":
            raise JobFailed(state)
        return self

    async def cancel(self) -> AsyncJob:
        """Cancel the job while it is pending, so that it never runs. Raises Conflict once it has begun."""
        await self._client.cancel_job(self.id)
        return await self.refresh()

    async def delete(self) -> None:
        """Delete the job and its videos. Raises Conflict before it has ended."""
        await self._client.delete_job(self.id)

    async def download(
        self, path: str | Path, *, index: int = 0, replace: bool = False, on_received: Received | None = None
    ) -> Path:
        """Save the video at `index` to a file, or in a folder under the id of the job. Returns the path of the file.

        The file appears once it is complete, with the announced size and SHA-256. A cut connection is resumed.
        `on_received` gets the bytes so far. Raises NotFinished, JobFailed, NotFound for a video that was deleted or
        never made, AlreadyThere unless `replace`, NotWhole, OSError.
        """
        if not self.has_ended:
            await self.refresh()
        target = Path(path)
        if await asyncio.to_thread(target.is_dir):
            number = "" if index == 0 else f"-{index + 1}"
            extension = self.videos[index].extension if 0 <= index < len(self.videos) else ".mp4"
            target /= f"{self.id}{number}{extension}"
        try:
            await self._save(target, index, replace, on_received)
        except NotAllowed:
            # Links expire, and this one may be old.
            await self.refresh()
            await self._save(target, index, replace, on_received)
        return target

    async def _save(self, target: Path, index: int, replace: bool, on_received: Received | None) -> None:
        if self.status == "failed":
            raise JobFailed(JobState.from_json(self.content))
        if self.status != "completed":
            raise NotFinished(f"job '{self.id}' is {self.status}; wait until it is completed, then download")
        if not 0 <= index < len(self.videos):
            raise NotFound(
                f"job '{self.id}' has no video {index}; it has {len(self.videos)}, counted from 0",
                status=404,
                code="no_such_video",
            )
        await save_video(self._client.http, self.videos[index], target, replace=replace, on_received=on_received)


class AsyncClient:
    """One service and one key. Use `async with AsyncClient() as client`, or call `await client.close()` at the end.

    The defaults are RUSHES_API_KEY and RUSHES_BASE_URL, else port 8080 of this machine. Requests that are safe to
    send twice, also a `submit`, are sent again up to `retries` times after a lost connection, 429, 502, 503 or 504.
    Every method raises the errors of `rushes.client.errors`; the constructor raises NotConfigured.
    """

    def __init__(self, *, api_key: str | None = None, base_url: str | None = None, retries: int = RETRIES) -> None:
        settings = load_client_settings(base_url, api_key)
        if settings.api_key is None:
            raise NotConfigured("no API key: give api_key, or set RUSHES_API_KEY")
        self._http = Http(settings.base_url, settings.api_key, retries=retries)

    @property
    def base_url(self) -> str:
        """The service's address."""
        return self._http.base_url

    @property
    def http(self) -> Http:
        """The connection."""
        return self._http

    async def __aenter__(self) -> AsyncClient:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Close all connections."""
        await self._http.close()

    async def generate(
        self,
        prompt: str,
        *,
        on_progress: Callable[[AsyncJob], object] | None = None,
        timeout_s: float | None = None,
        idempotency_key: str | None = None,
        **options: Unpack[GenerationOptions],
    ) -> AsyncJob:
        """Submit, then wait. Returns the completed job."""
        job = await self.submit(prompt, idempotency_key=idempotency_key, **options)
        return await job.wait(on_progress=on_progress, timeout_s=timeout_s)

    async def submit(
        self, prompt: str, *, idempotency_key: str | None = None, **options: Unpack[GenerationOptions]
    ) -> AsyncJob:
        """Start a generation. It makes one job, however often the request is sent.

        With an `idempotency_key` of its own, such as an order number, a program that was restarted can submit again
        within 24 hours and gets the same job. Raises OSError for a file that cannot be read.
        """
        headers = {"Idempotency-Key": uuid.uuid4().hex if idempotency_key is None else idempotency_key}
        body = {"prompt": prompt, **await with_media(options, self.upload)}
        envelope = await self._http.repeated(
            lambda: self._http.send("POST", "/api/v1/videos/generations", body=body, headers=headers)
        )
        n = options.get("n")
        return AsyncJob(
            self, read(lambda content: JobState.from_envelope(content, prompt, 1 if n is None else n), envelope)
        )

    async def job(self, job_id: str) -> AsyncJob:
        """The job with this id. Raises NotFound."""
        return AsyncJob(self, await self.state(job_id))

    async def jobs(
        self,
        *,
        status: str | None = None,
        model: str | None = None,
        provider: str | None = None,
        user: str | None = None,
        created_after: datetime | None = None,
        created_before: datetime | None = None,
    ) -> AsyncGenerator[AsyncJob]:
        """Every matching job of the account, newest first, fetched in pages. Times need a time zone."""
        cursor: str | None = None
        while True:
            page = await self.page(
                limit=PAGE,
                cursor=cursor,
                status=status,
                model=model,
                provider=provider,
                user=user,
                created_after=created_after,
                created_before=created_before,
            )
            for state in page.jobs:
                yield AsyncJob(self, state)
            cursor = page.next_cursor
            if cursor is None:
                return

    async def page(
        self,
        *,
        limit: int | None = None,
        cursor: str | None = None,
        status: str | None = None,
        model: str | None = None,
        provider: str | None = None,
        user: str | None = None,
        created_after: datetime | None = None,
        created_before: datetime | None = None,
        mode: str | None = None,
    ) -> JobPage:
        """One page of jobs, newest first; `cursor` is the `next_cursor` of the page before.

        With a live key, the `mode` `test` gives the jobs of the account's test keys.
        """
        asked = {
            "limit": limit,
            "cursor": cursor,
            "status": status,
            "model": model,
            "provider": provider,
            "user": user,
            "created_after": _time("created_after", created_after),
            "created_before": _time("created_before", created_before),
            "mode": mode,
        }
        query = {name: value for name, value in asked.items() if value is not None}
        return read(JobPage.from_json, await self._http.get("/api/v1/videos/jobs", query))

    async def state(self, job_id: str) -> JobState:
        """The job as it is now, without actions. Raises NotFound."""
        return read(JobState.from_json, await self._http.get(_job_path(job_id)))

    async def timeline(self, job_id: str) -> Json:
        """The history of the job. Raises NotFound."""
        return read(dict, await self._http.get(f"{_job_path(job_id)}/timeline"))

    async def watch(
        self,
        job_id: str,
        *,
        timeout_s: float | None = None,
        patience_s: float = PATIENCE_S,
        on_trouble: Trouble | None = None,
    ) -> AsyncGenerator[JobState]:
        """The job at every poll, until it has ended. `on_trouble` gets the error of each poll without an answer.

        Raises WaitedTooLong after `timeout_s`, and the last error once the service was silent for `patience_s`.
        """
        began = time.monotonic()
        troubled_since: float | None = None
        troubles = 0
        while True:
            try:
                state = read(JobState.from_json, await self._http.get(_job_path(job_id), retries=0))
            except (Unreachable, Refused) as error:
                if not (isinstance(error, (Unreachable, ServiceUnavailable)) or error.status == TOO_MANY_REQUESTS):
                    raise
                now = time.monotonic()
                troubled_since = now if troubled_since is None else troubled_since
                if now - troubled_since >= patience_s:
                    raise
                if on_trouble is not None:
                    on_trouble(error)
                wait_s = backoff_s(troubles, error)
                troubles += 1
            else:
                troubled_since, troubles = None, 0
                yield state
                if state.has_ended:
                    return
                wait_s = min(LONGEST_POLL_S, max(FIRST_POLL_S, (time.monotonic() - began) / POLLS_PER_AGE))
            if timeout_s is not None:
                left_s = began + timeout_s - time.monotonic()
                if left_s <= 0:
                    raise WaitedTooLong(f"job '{job_id}' has not ended within {timeout_s:g} s; it continues", job_id)
                wait_s = min(wait_s, left_s)
            await asyncio.sleep(wait_s)

    async def cancel_job(self, job_id: str) -> Json:
        """Cancel a pending job, so that it never runs. Raises Conflict for a job that has begun."""
        path = f"{_job_path(job_id)}/cancel"
        # Cancelling a cancelled job changes nothing, so this is safe to repeat.
        return read(dict, await self._http.repeated(lambda: self._http.send("POST", path)))

    async def delete_job(self, job_id: str) -> Json | None:
        """Delete an ended job and its videos. Raises Conflict for a job that has not ended."""
        # Sent once: after a lost answer, a second request would fail with NotFound.
        answer = await self._http.send("DELETE", _job_path(job_id))
        return None if answer is None else read(dict, answer)

    async def models(self) -> tuple[Model, ...]:
        """Every model of the service."""
        return read(models_in, await self._http.get("/api/v1/models"))

    async def upload(self, path: str | Path) -> str:
        """Upload a file as a stream. The returned reference can stand wherever a medium can. Raises OSError."""
        source = Path(path)

        async def once() -> Any:
            with await asyncio.to_thread(source.open, "rb") as file:
                headers = {"Content-Type": "application/octet-stream"}
                return await self._http.send("POST", "/api/v1/uploads", data=file, headers=headers)

        # The service stores the same bytes once, so this is safe to repeat.
        return read(lambda content: str(content["reference"]), await self._http.repeated(once))

    async def request(
        self, method: str, path: str, *, query: Mapping[str, str | int] | None = None, body: object = None
    ) -> Any:
        """The JSON of any route without a method here, such as `/api/v1/user/usage`. Only a GET is repeated."""
        if method.upper() == "GET":
            return await self._http.get(path, query)
        return await self._http.send(method, path, query=query, body=body)


def models_in(answer: Any) -> tuple[Model, ...]:
    """The models of an answer of `/api/v1/models`."""
    return tuple(Model.from_json(model) for provider in answer for model in provider["models"])


def _job_path(job_id: str) -> str:
    return f"/api/v1/videos/jobs/{quote(job_id, safe='')}"


def _time(name: str, moment: datetime | None) -> str | None:
    if moment is not None and moment.utcoffset() is None:
        raise ValueError(f"{name} has no time zone; give an aware time, such as datetime.now(UTC)")
    return None if moment is None else moment.isoformat()
