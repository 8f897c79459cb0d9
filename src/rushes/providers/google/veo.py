"""Veo through `predictLongRunning` and `fetchPredictOperation`; an operation's name is all that a poll needs."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Final

from rushes.domain.output import Output
from rushes.domain.progress import Failed, Handle, Progress, Submission
from rushes.domain.request import VideoRequest
from rushes.errors import ProviderRejected, ProviderUnavailable
from rushes.providers.base import Credential, ReadMedia
from rushes.providers.body import Inline
from rushes.providers.failure import poll_error
from rushes.providers.google.inline import FieldSieve
from rushes.providers.google.platform import Platform
from rushes.providers.google.reply import complaint_of
from rushes.providers.google.veo_payload import prediction
from rushes.providers.google.veo_reply import INLINE_FIELD, OPERATION_NAME, operation_name, progress_of, why_refused

API: Final = "veo"
HANDLE_VERSION: Final = 1
JSON_HEADERS: Final = {"Content-Type": "application/json"}


class Veo:
    """The Veo models of Vertex."""

    def __init__(self, platform: Platform) -> None:
        self._platform = platform

    async def submit(
        self, model_id: str, request: VideoRequest, *, attempt_id: str, credential: Credential, read_media: ReadMedia
    ) -> Submission:
        """Start one operation for all `request.n` videos. It cannot be repeated: sending it twice pays twice."""
        caller = await self._platform.caller(credential)
        media = [(item, Inline(await read_media(item))) for item in request.media]
        document = prediction(request, media, folder=self._platform.folder(caller, attempt_id))
        location = self._platform.place.location
        path = f"/v1/projects/{caller.project}/locations/{location}/publishers/google/models/{model_id}"
        reply = await self._platform.origin(location).submit(
            f"{path}:predictLongRunning", headers=caller.headers, document=document
        )
        self._platform.notice(reply, caller)
        if not reply.is_success:
            refused = why_refused(reply, model_id=model_id, project=caller.project, secret=caller.token)
            raise self._platform.refused_token(reply, caller) or refused
        name = operation_name(reply)
        if name is None:
            raise ProviderUnavailable(
                "Google answered the submission without an operation; whether it was accepted is not known",
                accepted=None,
                provider_error=complaint_of(reply, secret=caller.token).code,
            )
        return Submission({**handle_for(name), "n": request.n}, provider_video_id=name)

    async def poll(self, handle: Handle, *, credential: Credential) -> Progress:
        """Look at the operation. Videos inside the reply are passed over, so that it takes no memory."""
        caller = await self._platform.later_caller(credential)
        name, location, path = _place_of(handle)
        reply = await self._platform.origin(location).call(
            "POST",
            path,
            headers={**caller.headers, **JSON_HEADERS},
            body=_asking_for(name),
            sieve=FieldSieve(INLINE_FIELD).keep,
        )
        self._platform.notice(reply, caller)
        if reply.is_success and isinstance(reply.body, dict):
            n = handle.get("n")
            return progress_of(reply.body, n=n if isinstance(n, int) else None, secret=caller.token)
        complaint = complaint_of(reply, secret=caller.token)
        if reply.status in (404, 410):
            return Failed(
                ProviderRejected(
                    "Google does not know, or no longer knows, this generation", provider_error=complaint.code
                )
            )
        raise poll_error(reply, complaint, provider="Google")

    async def fetch(self, handle: Handle, output: Output, *, credential: Credential) -> AsyncGenerator[bytes, None]:
        """The video's bytes, from the bucket, or out of a reply that is asked for again."""
        caller = await self._platform.later_caller(credential)
        name, location, path = _place_of(handle)
        reply = self._platform.reply_again(location, "POST", path, caller=caller, body=_asking_for(name))
        source = self._platform.fetch(output, caller, reply=reply, field=INLINE_FIELD)
        async with aclosing(source) as chunks:
            async for chunk in chunks:
                yield chunk


def handle_for(name: str) -> Handle:
    """The handle of an operation by its full name."""
    return {"version": HANDLE_VERSION, "api": API, "operation": name}


def _place_of(handle: Handle) -> tuple[str, str, str]:
    """The operation's name, its location, and the path to ask for it: the model stands in the name."""
    name = str(handle.get("operation"))
    found = OPERATION_NAME.fullmatch(name)
    if found is None:
        raise ProviderUnavailable("the generation was recorded in a form that is not known")
    return name, found["location"], f"/v1/{name.partition('/operations/')[0]}:fetchPredictOperation"


def _asking_for(name: str) -> bytes:
    return json.dumps({"operationName": name}).encode()
