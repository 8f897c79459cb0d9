"""One ComfyUI server, by its API under `/api`.

ComfyUI 0.26 and later (`server.py`, `comfy_execution/jobs.py`), seen on the wire at 0.33.0, checked 2026-11-30. Quirks:

- A prompt id of ours is no idempotency token: the same one twice runs twice. So it is looked up before it is sent.
- Only the output node's branch is asked for (`partial_execution_targets`): otherwise a branch that does not fit is
  dropped, and the answer is 200 and a success without a video.
- Media are uploaded beforehand and the prompt is small JSON: after a connection that broke off during a large body,
  the job was found a moment later only.
- A file can be read while it is written, and stays half-written after a crash: only a completed job is fetched.
- Queue and history are in memory: after a restart a job is 404, with a JSON body that says so. Files stay.
- `/interrupt` without a body stops whatever runs, so `/jobs/{id}/cancel` is used, which names the job.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Mapping, Sequence
from typing import Any, Final
from urllib.parse import quote, urlencode

from rushes.catalogue.model import Model
from rushes.clock import Clock
from rushes.domain.output import Output
from rushes.domain.progress import Handle, Progress, Submission, Working
from rushes.domain.request import InputMedia, Role, VideoRequest
from rushes.errors import ProviderError, ProviderRejected, ProviderUnavailable, UnexpectedResponse
from rushes.net.client import HttpClient
from rushes.providers.base import Credential, Provider, ReadMedia
from rushes.providers.comfyui.binding import Workflow
from rushes.providers.comfyui.entry import Server, workflow_in
from rushes.providers.comfyui.graph import Place, leading_to
from rushes.providers.comfyui.node_list import classes_of, misfits
from rushes.providers.comfyui.payload import FOLDER, file_name_of, filled, prompt_id_of
from rushes.providers.comfyui.progress_feed import ProgressFeed
from rushes.providers.comfyui.reply import (
    LEAST_VERSION,
    complaint_of,
    is_running,
    is_too_old,
    is_unknown_job,
    progress_of,
    uploaded_name,
    version_of,
    why_not_uploaded,
    why_refused,
)
from rushes.providers.failure import Reply, poll_error, submit_error
from rushes.providers.form import FormBody, Part
from rushes.providers.http import DOWNLOAD_LIMIT_BYTES, CallLimits, Origin
from rushes.providers.own_server import key_headers

HANDLE_VERSION: Final = 1
MOST_STEPS: Final = 20
"""Nodes that a handle names for its progress."""
NODE_LIMIT_BYTES: Final = 8 * 1024 * 1024
"""What a server may say of one node: it lists every file that the node can load."""
ASKED_AT_ONCE: Final = 4


class Comfyui(Provider):
    """One configured server. It keeps no state of a job but the last progress that it was sent."""

    def __init__(
        self,
        client: HttpClient,
        server: Server,
        *,
        limit_bytes: int = DOWNLOAD_LIMIT_BYTES,
        limits: CallLimits | None = None,
        clock: Clock | None = None,
    ) -> None:
        self.name = server.name
        self._server = server
        self._shown = f"'{server.name}'"
        self._origin = Origin(client, server.base_url, provider=self._shown, limits=limits, clock=clock)
        self._limit_bytes = limit_bytes
        self._feed = ProgressFeed(self._origin)

    async def submit(
        self,
        model: Model,
        request: VideoRequest,
        *,
        attempt_id: str,
        credential: Credential,
        read_media: ReadMedia,
    ) -> Submission:
        """Queue one run of the workflow, under a prompt id that follows from the attempt."""
        headers = self._headers(credential)
        workflow = workflow_in(model)
        if workflow is None:
            raise ProviderRejected(
                f"the workflow of '{model.id}' is no longer configured", provider_error="no_workflow"
            )
        prompt_id = prompt_id_of(attempt_id)
        # Refused before anything is uploaded; the names of files are known only afterwards.
        named = {role: [""] * len(request.media_for(role)) for role in Role}
        filled(workflow, model, request, named, prompt_id=prompt_id)
        handle = _handle(prompt_id, workflow)
        if await self._is_known(prompt_id, headers, credential):
            return Submission(handle, provider_video_id=prompt_id)
        files = await self._uploaded(request, prompt_id, headers, credential, read_media)
        graph = filled(workflow, model, request, files, prompt_id=prompt_id)
        document = {
            "prompt": graph,
            "prompt_id": prompt_id,
            "client_id": prompt_id,
            "partial_execution_targets": [workflow.output],
        }
        reply = await self._origin.submit("/api/prompt", headers=headers, document=document)
        if not reply.is_success:
            raise why_refused(reply, graph, _bound(workflow), server=self._shown, secret=credential.secret)
        accepted = reply.body.get("prompt_id") if isinstance(reply.body, dict) else None
        if accepted != prompt_id:
            raise ProviderUnavailable(
                f"{self._shown} answered the submission without the id that it was given; whether it was accepted is "
                "not known",
                accepted=None,
                provider_error=complaint_of(reply, secret=credential.secret).code,
            )
        return Submission(handle, provider_video_id=prompt_id)

    async def poll(self, handle: Handle, *, credential: Credential) -> Progress:
        """Look at the job. One that the server no longer knows has ended."""
        headers = self._headers(credential)
        reply = await self._origin.call("GET", _path(handle), headers=headers)
        progress = progress_of(reply, handle, server=self._shown, secret=credential.secret)
        prompt_id, nodes = str(handle["id"]), handle.get("nodes")
        if not isinstance(progress, Working):
            self._feed.end(prompt_id)
        elif is_running(reply) and isinstance(nodes, int):
            steps = handle.get("steps")
            names = [str(step) for step in steps] if isinstance(steps, list) else []
            return Working(self._feed.fraction(prompt_id, names, nodes, headers=headers))
        return progress

    async def find(self, attempt_id: str, *, credential: Credential) -> Submission | None:
        """The job of this attempt, or None if the server has no such job: it never had, or was restarted."""
        prompt_id = prompt_id_of(attempt_id)
        reply = await self._origin.call("GET", _path({"id": prompt_id}), headers=self._headers(credential))
        if is_unknown_job(reply):
            return None
        if not reply.is_success:
            raise poll_error(reply, complaint_of(reply, secret=credential.secret), provider=self._shown)
        return Submission(self.handle_for(prompt_id), provider_video_id=prompt_id)

    async def cancel(self, handle: Handle, *, credential: Credential) -> None:
        """Stop the job, or take it out of the queue.

        It stops at its next step or node. Raises ProviderRejected if it has ended, ProviderUnavailable or
        ProviderQuota.
        """
        headers = self._headers(credential)
        reply = await self._origin.call("POST", f"{_path(handle)}/cancel", headers=headers)
        complaint = complaint_of(reply, secret=credential.secret)
        if reply.is_success and isinstance(reply.body, dict):
            if reply.body.get("cancelled") is True:
                return
            raise ProviderRejected(f"{self._shown} can no longer cancel this job", provider_error="finished")
        raise poll_error(reply, complaint, provider=self._shown)

    def fetch(self, handle: Handle, output: Output, *, credential: Credential) -> AsyncGenerator[bytes, None]:
        """The video's bytes."""
        query = urlencode({name: str(output[name]) for name in ("filename", "subfolder", "type")})
        url = self._origin.url(f"/api/view?{query}")
        return self._origin.download(url, headers=self._headers(credential), limit_bytes=self._limit_bytes)

    def handle_for(self, provider_video_id: str) -> Handle:
        """The handle of a job whose prompt id an operator found. Every video that it has saved is its result."""
        return {"version": HANDLE_VERSION, "id": provider_video_id}

    async def try_credential(self, *, credential: Credential) -> None:
        """Reads the server's version."""
        await self._asked("/api/system_stats", self._headers(credential), credential)

    async def misfits(self, models: Sequence[Model], *, credential: Credential) -> tuple[str, ...]:
        """What of these workflows the server cannot run: too old a release, nodes, inputs or files that it lacks."""
        headers = self._headers(credential)
        version = version_of(await self._asked("/api/system_stats", headers, credential))
        if version is not None and is_too_old(version):
            least = ".".join(str(number) for number in LEAST_VERSION)
            return (f"it is ComfyUI {version}, and at least {least} is needed",)
        workflows = [(model, workflow) for model in models if (workflow := workflow_in(model)) is not None]
        classes = sorted({name for _, workflow in workflows for name in classes_of(workflow)})
        turns = asyncio.Semaphore(ASKED_AT_ONCE)

        async def ask(name: str) -> Mapping[str, Any] | None:
            async with turns:
                reply = await self._asked(f"/api/object_info/{quote(name, safe='')}", headers, credential)
            found = reply.body.get(name) if isinstance(reply.body, dict) else None
            return found if isinstance(found, dict) else None

        known = dict(zip(classes, await asyncio.gather(*(ask(name) for name in classes)), strict=True))
        return tuple(sentence for model, workflow in workflows for sentence in misfits(model, workflow, known))

    async def release(self, handle: Handle, *, credential: Credential) -> None:
        """Stop listening to the job's progress."""
        self._feed.end(str(handle.get("id")))

    async def close(self) -> None:
        """Stop listening."""
        await self._feed.close()

    async def _is_known(self, prompt_id: str, headers: Mapping[str, str], credential: Credential) -> bool:
        """Whether an earlier call of this attempt arrived after all: ComfyUI would run the same id a second time."""
        try:
            reply = await self._origin.call("GET", _path({"id": prompt_id}), headers=headers)
        except (ProviderUnavailable, UnexpectedResponse) as exc:
            raise ProviderUnavailable(f"{exc.message}; nothing was submitted", accepted=False) from exc
        if is_unknown_job(reply):
            return False
        if reply.is_success:
            return True
        if reply.status in (404, 405):
            least = ".".join(str(number) for number in LEAST_VERSION)
            raise ProviderRejected(
                f"{self._shown} has no '/api/jobs' at its base_url: a ComfyUI of at least {least} is needed",
                provider_error=f"HTTP {reply.status}",
            )
        raise _before_submit(reply, self._shown, credential)

    async def _uploaded(
        self,
        request: VideoRequest,
        prompt_id: str,
        headers: Mapping[str, str],
        credential: Credential,
        read_media: ReadMedia,
    ) -> dict[Role, list[str]]:
        """The names under which the server has the request's files, by role. They vanish at its next start."""
        names: dict[Role, list[str]] = {}
        for item in request.media:
            of_role = names.setdefault(item.role, [])
            content = await read_media(item)
            of_role.append(await self._upload(item, len(of_role), content, prompt_id, headers, credential))
        return names

    async def _upload(
        self,
        item: InputMedia,
        index: int,
        content: bytes,
        prompt_id: str,
        headers: Mapping[str, str],
        credential: Credential,
    ) -> str:
        parts = [
            Part("image", content, file_name=file_name_of(item, index), content_type=item.content_type),
            Part("type", "temp"),
            Part("subfolder", f"{FOLDER}/{prompt_id}"),
            Part("overwrite", "true"),
        ]
        try:
            reply = await self._origin.submit_form("/api/upload/image", headers=headers, form=FormBody(parts))
        except ProviderUnavailable as exc:
            raise ProviderUnavailable(
                f"{self._shown} did not take {item.role.field}; nothing was submitted", accepted=False
            ) from exc
        if not reply.is_success:
            refused = why_not_uploaded(reply, item.role.field, server=self._shown, secret=credential.secret)
            raise refused or _before_submit(reply, self._shown, credential)
        name = uploaded_name(reply)
        if name is None:
            raise ProviderUnavailable(
                f"{self._shown} took {item.role.field} without saying under which name; nothing was submitted",
                accepted=False,
            )
        return name

    async def _asked(self, path: str, headers: Mapping[str, str], credential: Credential) -> Reply:
        reply = await self._origin.call("GET", path, headers=headers, limit_bytes=NODE_LIMIT_BYTES)
        if reply.is_success and isinstance(reply.body, dict):
            return reply
        complaint = complaint_of(reply, secret=credential.secret)
        if reply.status in (401, 403):
            raise submit_error(reply, complaint, provider=self._shown)
        raise poll_error(reply, complaint, provider=self._shown)

    def _headers(self, credential: Credential) -> dict[str, str]:
        return key_headers(credential, self._server.key_header, server=self._shown)


def _before_submit(reply: Reply, server: str, credential: Credential) -> ProviderError:
    """The error of a call that comes before the submission: whatever its answer, nothing was accepted."""
    error = submit_error(reply, complaint_of(reply, secret=credential.secret), provider=server)
    if isinstance(error, ProviderUnavailable):
        return ProviderUnavailable(
            f"{server} answered with HTTP {reply.status} before anything was submitted",
            accepted=False,
            provider_error=error.provider_error,
            retry_after_s=error.retry_after_s,
        )
    return error


def _handle(prompt_id: str, workflow: Workflow) -> Handle:
    runs = set(leading_to(workflow.graph, workflow.output))
    return {
        "version": HANDLE_VERSION,
        "id": prompt_id,
        "output": workflow.output,
        "steps": [node for node in workflow.steps if node in runs][:MOST_STEPS],
        "nodes": len(runs),
    }


def _bound(workflow: Workflow) -> list[Place]:
    values = [*workflow.bind.values.values(), *(file for role in Role for file in workflow.bind.files(role))]
    return [place for value in values for place in workflow.places(value)]


def _path(handle: Handle) -> str:
    return f"/api/jobs/{quote(str(handle['id']), safe='')}"
