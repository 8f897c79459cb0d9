"""The client for programs without an event loop.

Each method runs that of the asynchronous client on a loop of its own, so that the two cannot differ
(docs/design/client.md).
"""

from __future__ import annotations

import threading
import weakref
from collections.abc import AsyncGenerator, Callable, Coroutine, Generator, Mapping
from contextlib import suppress
from copy import copy
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import Any, TypeVar, Unpack

from rushes.client.answers import JobPage, JobState, Json, Model
from rushes.client.asynchronous import PATIENCE_S, AsyncClient, AsyncJob, Trouble
from rushes.client.download import Received
from rushes.client.http import RETRIES
from rushes.client.loop_thread import LoopThread, Relay
from rushes.client.options import GenerationOptions

Answer = TypeVar("Answer")


class Job(JobState):
    """A job and its actions. Its fields are those of the last read; each action reads the job again."""

    def __init__(self, client: Client, job: AsyncJob) -> None:
        self._client = client
        self._job = job
        self.become(job)

    def refresh(self) -> Job:
        """Read the job again."""
        return self._after(self._job.refresh())

    def wait(self, *, on_progress: Callable[[Job], object] | None = None, timeout_s: float | None = None) -> Job:
        """Wait until the job is completed, also through restarts of the service, and return it.

        `on_progress` is called on this thread after each change of status or progress. Raises JobFailed, or
        WaitedTooLong after `timeout_s`; the job then continues.
        """

        def reported(state: AsyncJob) -> None:
            self.become(state)
            if on_progress is not None:
                on_progress(self)

        relay = Relay(reported)
        return self._after(self._job.wait(on_progress=lambda job: relay.send(copy(job)), timeout_s=timeout_s), relay)

    def cancel(self) -> Job:
        """Cancel the job while it is pending, so that it never runs. Raises Conflict once it has begun."""
        return self._after(self._job.cancel())

    def delete(self) -> None:
        """Delete the job and its videos. Raises Conflict before it has ended."""
        self._after(self._job.delete())

    def download(
        self, path: str | Path, *, index: int = 0, replace: bool = False, on_received: Received | None = None
    ) -> Path:
        """Save the video at `index` to a file, or in a folder under the id of the job. Returns the path of the file.

        The file appears once it is complete, with the announced size and SHA-256. A cut connection is resumed.
        `on_received` gets the bytes so far, on this thread. Raises NotFinished, JobFailed, NotFound for a video that
        was deleted or never made, AlreadyThere unless `replace`, NotWhole, OSError.
        """
        relay = None if on_received is None else Relay(on_received)
        send = None if relay is None else relay.send
        try:
            return self._client.run(self._job.download(path, index=index, replace=replace, on_received=send), relay)
        finally:
            self.become(self._job)

    def _after(self, work: Coroutine[Any, Any, object], relay: Relay[Any] | None = None) -> Job:
        try:
            self._client.run(work, relay)
        finally:
            self.become(self._job)
        return self


class Client:
    """One service and one key, for scripts, threads and notebooks. `with Client() as client` closes it at the end.

    The defaults are RUSHES_API_KEY and RUSHES_BASE_URL, else port 8080 of this machine. Requests that are safe to
    send twice, also a `submit`, are sent again up to `retries` times after a lost connection, 429, 502, 503 or 504.
    Every method raises the errors of `rushes.client.errors`; the constructor raises NotConfigured.
    """

    def __init__(self, *, api_key: str | None = None, base_url: str | None = None, retries: int = RETRIES) -> None:
        self._end: weakref.finalize[..., Any] | None = None
        self._client = AsyncClient(api_key=api_key, base_url=base_url, retries=retries)
        self._thread: LoopThread | None = None
        self._lock = threading.Lock()

    @property
    def base_url(self) -> str:
        """The service's address."""
        return self._client.base_url

    def __enter__(self) -> Client:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close all connections. The next call opens new ones."""
        with self._lock:
            if self._end is not None:
                self._end()
            self._thread = self._end = None

    def generate(
        self,
        prompt: str,
        *,
        on_progress: Callable[[Job], object] | None = None,
        timeout_s: float | None = None,
        idempotency_key: str | None = None,
        **options: Unpack[GenerationOptions],
    ) -> Job:
        """Submit, then wait. Returns the completed job."""
        job = self.submit(prompt, idempotency_key=idempotency_key, **options)
        return job.wait(on_progress=on_progress, timeout_s=timeout_s)

    def submit(self, prompt: str, *, idempotency_key: str | None = None, **options: Unpack[GenerationOptions]) -> Job:
        """Start a generation. It makes one job, however often the request is sent.

        With an `idempotency_key` of its own, such as an order number, a program that was restarted can submit again
        within 24 hours and gets the same job. Raises OSError for a file that cannot be read.
        """
        return Job(self, self.run(self._client.submit(prompt, idempotency_key=idempotency_key, **options)))

    def job(self, job_id: str) -> Job:
        """The job with this id. Raises NotFound."""
        return Job(self, self.run(self._client.job(job_id)))

    def jobs(
        self,
        *,
        status: str | None = None,
        model: str | None = None,
        provider: str | None = None,
        user: str | None = None,
        created_after: datetime | None = None,
        created_before: datetime | None = None,
    ) -> Generator[Job]:
        """Every matching job of the account, newest first, fetched in pages. Times need a time zone."""
        found = self._client.jobs(
            status=status,
            model=model,
            provider=provider,
            user=user,
            created_after=created_after,
            created_before=created_before,
        )
        for job in self._each(found):
            yield Job(self, job)

    def page(
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
        return self.run(
            self._client.page(
                limit=limit,
                cursor=cursor,
                status=status,
                model=model,
                provider=provider,
                user=user,
                created_after=created_after,
                created_before=created_before,
                mode=mode,
            )
        )

    def state(self, job_id: str) -> JobState:
        """The job as it is now, without actions. Raises NotFound."""
        return self.run(self._client.state(job_id))

    def timeline(self, job_id: str) -> Json:
        """The history of the job. Raises NotFound."""
        return self.run(self._client.timeline(job_id))

    def watch(
        self,
        job_id: str,
        *,
        timeout_s: float | None = None,
        patience_s: float = PATIENCE_S,
        on_trouble: Trouble | None = None,
    ) -> Generator[JobState]:
        """The job at every poll, until it has ended. `on_trouble` gets the error of each poll without an answer.

        Raises WaitedTooLong after `timeout_s`, and the last error once the service was silent for `patience_s`.
        """
        relay = None if on_trouble is None else Relay(on_trouble)
        send = None if relay is None else relay.send
        states = self._client.watch(job_id, timeout_s=timeout_s, patience_s=patience_s, on_trouble=send)
        yield from self._each(states, relay)

    def cancel_job(self, job_id: str) -> Json:
        """Cancel a pending job, so that it never runs. Raises Conflict for a job that has begun."""
        return self.run(self._client.cancel_job(job_id))

    def delete_job(self, job_id: str) -> Json | None:
        """Delete an ended job and its videos. Raises Conflict for a job that has not ended."""
        return self.run(self._client.delete_job(job_id))

    def models(self) -> tuple[Model, ...]:
        """Every model of the service."""
        return self.run(self._client.models())

    def upload(self, path: str | Path) -> str:
        """Upload a file as a stream. The returned reference can stand wherever a medium can. Raises OSError."""
        return self.run(self._client.upload(path))

    def request(
        self, method: str, path: str, *, query: Mapping[str, str | int] | None = None, body: object = None
    ) -> Any:
        """The JSON of any route without a method here, such as `/api/v1/user/usage`. Only a GET is repeated."""
        return self.run(self._client.request(method, path, query=query, body=body))

    def run(self, work: Coroutine[Any, Any, Answer], relay: Relay[Any] | None = None) -> Answer:
        """Run work of the asynchronous client on the loop of this client, and return or raise its result."""
        with self._lock:
            if self._thread is None:
                self._thread = LoopThread()
                # Also at exit, so that a script that does not close its client ends without warnings.
                self._end = weakref.finalize(self, self._thread.close, self._client.close)
            thread = self._thread
        return thread.run(work, relay)

    def _each(self, items: AsyncGenerator[Answer], relay: Relay[Any] | None = None) -> Generator[Answer]:
        async def following() -> tuple[Answer] | None:
            try:
                return (await anext(items),)
            except StopAsyncIteration:
                return None

        try:
            while (found := self.run(following(), relay)) is not None:
                yield found[0]
        finally:
            with suppress(RuntimeError):  # after a fork there is nothing to close
                self.run(items.aclose())
