"""What stands for the provider of a job whose credential is no longer configured: everything it is asked fails."""

from __future__ import annotations

from collections.abc import AsyncGenerator

from rushes.catalogue.model import Model
from rushes.domain.output import Output
from rushes.domain.progress import Failed, Handle, Progress, Submission
from rushes.domain.request import VideoRequest
from rushes.errors import CredentialRemoved, SubmissionUnknown
from rushes.providers.base import Credential, Provider, ReadMedia


class WithoutCredential(Provider):
    """Ends what was accepted as `provider_auth`, for an operator to recover, and what may have been as unknown.

    No other credential of the provider is tried: it belongs to another account, which does not know the generation.
    """

    def __init__(self, provider: str, credential: str) -> None:
        self.name = provider
        self._reason = (
            f"The credential '{credential}' of '{provider}', with which this job was submitted, is no longer configured"
        )

    def _removed(self) -> CredentialRemoved:
        return CredentialRemoved(f"{self._reason}; it may be charged")

    async def submit(
        self,
        model: Model,
        request: VideoRequest,
        *,
        attempt_id: str,
        credential: Credential,
        read_media: ReadMedia,
    ) -> Submission:
        raise self._removed()

    async def poll(self, handle: Handle, *, credential: Credential) -> Progress:
        return Failed(self._removed())

    async def find(self, attempt_id: str, *, credential: Credential) -> Submission | None:
        raise SubmissionUnknown(f"{self._reason}; it may have been accepted, and may be charged")

    async def fetch(self, handle: Handle, output: Output, *, credential: Credential) -> AsyncGenerator[bytes, None]:
        for error in (self._removed(),):
            raise error
        # Never reached; it makes this a generator.
        yield b""
