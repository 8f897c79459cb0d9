"""The client: a method per route, typed answers, and waiting for a job through restarts of the service."""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from types import TracebackType
from typing import Any, TypedDict, Unpack
from urllib.parse import quote

from rushes.client.answers import Job, JobPage, Json, Model, Started, read
from rushes.client.errors import ServiceUnavailable, Unreachable, WaitedTooLong
from rushes.client.http import Http, backoff_s

FIRST_POLL_S = 0.3
LONGEST_POLL_S = 5.0
POLLS_PER_AGE = 20
"""A job is polled this many times while its age doubles, roughly: often when young, every five seconds when old."""
PATIENCE_S = 300.0
"""How long a watch goes on asking a service that does not answer."""

Trouble = Callable[[Unreachable | ServiceUnavailable], None]


class GenerationOptions(TypedDict, total=False):
    """Every option of a generation besides its prompt, named as on the wire; one that is left out is not sent.

    A medium is base64, a data URL, an http(s) URL or what `Client.upload` answers.
    """

    model: str
    provider: str
    aspect_ratio: str
    resolution: str
    size: str
    duration: int
    n: int
    seed: int
    negative_prompt: str
    generate_audio: bool
    person_generation: str
    input_image: str
    last_frame: str
    reference_image: str
    reference_images: list[str]
    video: str
    response_format: str
    additional_params: dict[str, Any]
    byok_api_key: str


class Client:
    """One service, one key; use it as `async with Client(base_url, api_key) as client`.

    Every method raises the errors of `rushes.client.errors`. Raises ValueError for an address that cannot be one.
    """

    def __init__(self, base_url: str, api_key: str | None = None) -> None:
        self._http = Http(base_url, api_key)

    @property
    def base_url(self) -> str:
        """The service's address."""
        return self._http.base_url

    @property
    def http(self) -> Http:
        """The connection, for what has no method here."""
        return self._http

    async def __aenter__(self) -> Client:
        await self._http.open()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._http.close()

    async def create(
        self, prompt: str, *, idempotency_key: str | None = None, **options: Unpack[GenerationOptions]
    ) -> Started:
        """Start a generation. It is sent once; to send it again, give the same `idempotency_key`."""
        headers = {"Idempotency-Key": idempotency_key or uuid.uuid4().hex}
        body = {"prompt": prompt, **options}
        return read(
            Started.from_json, await self._http.send("POST", "/api/v1/videos/generations", body=body, headers=headers)
        )

    async def get_job(self, job_id: str) -> Job:
        """The job as it is now."""
        return read(Job.from_json, await self._http.get(_job_path(job_id)))

    async def list_jobs(
        self,
        *,
        limit: int | None = None,
        cursor: str | None = None,
        status: str | None = None,
        model: str | None = None,
        provider: str | None = None,
    ) -> JobPage:
        """One page of jobs, newest first; `cursor` is the `next_cursor` of the page before."""
        asked = {"limit": limit, "cursor": cursor, "status": status, "model": model, "provider": provider}
        query = {name: value for name, value in asked.items() if value is not None}
        return read(JobPage.from_json, await self._http.get("/api/v1/videos/jobs", query))

    async def watch(
        self,
        job_id: str,
        *,
        timeout_s: float | None = None,
        patience_s: float = PATIENCE_S,
        on_trouble: Trouble | None = None,
    ) -> AsyncIterator[Job]:
        """The job at every poll, until it has ended. `on_trouble` hears of each poll that found no service.

        Raises WaitedTooLong after `timeout_s`, and the trouble itself once it has lasted `patience_s`.
        """
        began = time.monotonic()
        troubled_since: float | None = None
        troubles = 0
        while True:
            try:
                job = read(Job.from_json, await self._http.get(_job_path(job_id), retries=0))
            except (Unreachable, ServiceUnavailable) as error:
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
                yield job
                if job.has_ended:
                    return
                wait_s = min(LONGEST_POLL_S, max(FIRST_POLL_S, (time.monotonic() - began) / POLLS_PER_AGE))
            if timeout_s is not None:
                left_s = began + timeout_s - time.monotonic()
                if left_s <= 0:
                    raise WaitedTooLong(f"job '{job_id}' has not ended within {timeout_s:g} s; it goes on")
                wait_s = min(wait_s, left_s)
            await asyncio.sleep(wait_s)

    async def cancel_job(self, job_id: str) -> Json:
        """Cancel a pending job; it then never runs. Raises Conflict for one that has begun."""
        return read(dict, await self._http.send("POST", f"{_job_path(job_id)}/cancel"))

    async def delete_job(self, job_id: str) -> Json | None:
        """Delete a job that has ended, and its videos. Raises Conflict for one that has not."""
        answer = await self._http.send("DELETE", _job_path(job_id))
        return None if answer is None else read(dict, answer)

    async def list_models(self) -> tuple[tuple[Model, ...], Json]:
        """Every model that the service knows, and the answer itself."""
        content: Any = await self._http.get("/api/v1/models")

        def models_in(answer: Any) -> tuple[Model, ...]:
            return tuple(Model.from_json(model) for provider in answer for model in provider["models"])

        return read(models_in, content), content

    async def upload(self, path: Path) -> str:
        """Send a file to the service, as a stream; the answer is usable wherever a medium is. Raises OSError."""
        with await asyncio.to_thread(path.open, "rb") as file:
            answer = await self._http.send(
                "POST", "/api/v1/uploads", data=file, headers={"Content-Type": "application/octet-stream"}
            )
        return read(lambda content: str(content["reference"]), answer)


def _job_path(job_id: str) -> str:
    return f"/api/v1/videos/jobs/{quote(job_id, safe='')}"
