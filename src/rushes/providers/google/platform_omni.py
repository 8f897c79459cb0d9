"""Gemini Omni on Vertex: the interactions of the Gemini API at another address, with a bearer token, v1beta1.

It is served at the location `global` only. Links are delivered into a bucket of the project's own, or not at all.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from typing import Final
from urllib.parse import quote

from rushes.domain.output import Output
from rushes.domain.progress import Done, Failed, Handle, Progress, Submission
from rushes.domain.request import Role, VideoRequest
from rushes.errors import ProviderRejected, ProviderUnavailable
from rushes.providers.base import Credential, ReadMedia
from rushes.providers.body import Inline
from rushes.providers.failure import poll_error
from rushes.providers.google.inline import FieldSieve
from rushes.providers.google.payload import interaction
from rushes.providers.google.platform import Caller, Platform
from rushes.providers.google.reply import (
    complaint_of,
    has_video,
    inline_data,
    interaction_id,
    is_unknown_interaction,
    progress_of,
)
from rushes.providers.google.veo_reply import why_refused

API: Final = "omni"
LOCATION: Final = "global"
HANDLE_VERSION: Final = 1
OUTPUT_VERSION: Final = 1
INLINE_FIELD: Final = "data"


class PlatformOmni:
    """The Omni models of Vertex, one video a call."""

    def __init__(self, platform: Platform) -> None:
        self._platform = platform

    async def submit(
        self,
        model_id: str,
        request: VideoRequest,
        *,
        attempt_id: str,
        credential: Credential,
        read_media: ReadMedia,
    ) -> Submission:
        """Start one interaction for one video. There is no token to repeat it by: sending it twice pays twice."""
        caller = await self._platform.caller(credential)
        in_order = [item for role in Role for item in request.media_for(role)]
        media = [(item, Inline(await read_media(item))) for item in in_order]
        folder = self._platform.folder(caller, attempt_id)
        delivery = {"delivery": "inline"} if folder is None else {"delivery": "uri", "gcs_uri": folder}
        document = interaction(model_id, request, media, delivery=delivery)
        reply = await self._platform.origin(LOCATION).submit(
            _interactions(caller.project), headers=caller.headers, document=document
        )
        self._platform.notice(reply, caller)
        if not reply.is_success:
            refused = why_refused(reply, model_id=model_id, project=caller.project, secret=caller.token)
            raise self._platform.refused_token(reply, caller) or refused
        identity = interaction_id(reply)
        if identity is None:
            raise ProviderUnavailable(
                "Google answered the submission without an id; whether it was accepted is not known",
                accepted=None,
                provider_error=complaint_of(reply, secret=caller.token).code,
            )
        handle: Handle = {**handle_for(identity), "project": caller.project}
        if folder is not None:
            handle["folder"] = folder
        if request.media_for(Role.VIDEO):
            handle["had_video"] = True
        return Submission(handle, provider_video_id=identity)

    async def poll(self, handle: Handle, *, credential: Credential) -> Progress:
        """Look at the interaction. A video inside the reply is passed over, so that it takes no memory."""
        caller = await self._platform.later_caller(credential)
        reply = await self._platform.origin(LOCATION).call(
            "GET", _path(handle, caller), headers=caller.headers, sieve=FieldSieve(INLINE_FIELD).keep
        )
        self._platform.notice(reply, caller)
        if reply.is_success and isinstance(reply.body, dict):
            return await self._progress_of(reply.body, handle, caller)
        complaint = complaint_of(reply, secret=caller.token)
        if is_unknown_interaction(reply, complaint):
            return Failed(
                ProviderRejected(
                    "Google does not know, or no longer knows, this generation", provider_error=complaint.code
                )
            )
        raise poll_error(reply, complaint, provider="Google")

    async def cancel(self, handle: Handle, *, credential: Credential) -> None:
        """Ask Google to stop. Raises ProviderRejected if it is too late, else as a poll does."""
        caller = await self._platform.later_caller(credential)
        reply = await self._platform.origin(LOCATION).call(
            "POST", f"{_path(handle, caller)}/cancel", headers=caller.headers
        )
        self._platform.notice(reply, caller)
        if reply.is_success:
            return
        complaint = complaint_of(reply, secret=caller.token)
        if reply.status in (400, 404, 405, 409):
            raise ProviderRejected("Google can no longer cancel this generation", provider_error=complaint.code)
        raise poll_error(reply, complaint, provider="Google")

    async def fetch(self, handle: Handle, output: Output, *, credential: Credential) -> AsyncGenerator[bytes, None]:
        """The video's bytes, from the bucket, or out of a reply that is asked for again."""
        caller = await self._platform.later_caller(credential)
        reply = self._platform.reply_again(LOCATION, "GET", _path(handle, caller), caller=caller)
        source = self._platform.fetch(output, caller, reply=reply, field=INLINE_FIELD)
        async with aclosing(source) as chunks:
            async for chunk in chunks:
                yield chunk

    async def _progress_of(self, body: Mapping[str, object], handle: Handle, caller: Caller) -> Progress:
        folder = handle.get("folder")
        if body.get("status") == "completed" and isinstance(folder, str) and not has_video(body):
            # Seen at Google: the reply has no video, and yet it lies in the bucket.
            found = await self._platform.videos_in(folder, caller)
            if found:
                return Done(tuple({"version": OUTPUT_VERSION, "uri": uri} for uri in found))
        progress = progress_of(body, had_video=handle.get("had_video") is True, secret=caller.token)
        return _numbered(progress, body)


def handle_for(identity: str) -> Handle:
    """The handle of an interaction by its id."""
    return {"version": HANDLE_VERSION, "api": API, "id": identity}


def _interactions(project: str) -> str:
    return f"/v1beta1/projects/{quote(project, safe=':')}/locations/{LOCATION}/interactions"


def _path(handle: Handle, caller: Caller) -> str:
    # An operator who names an interaction by its id alone means one of the account's project.
    project = handle.get("project")
    return (
        f"{_interactions(project if isinstance(project, str) else caller.project)}/{quote(str(handle['id']), safe='')}"
    )


def _numbered(progress: Progress, body: Mapping[str, object]) -> Progress:
    """The same, but a video inside the reply is known by the number that the sieve put in its place."""
    number = inline_data(body)
    if isinstance(progress, Done) and "inline" in progress.outputs[0] and number is not None:
        return Done(({"version": OUTPUT_VERSION, "inline": int(number)},))
    return progress
