"""What an adapter is: three verbs are required (submit, poll, fetch), the others have defaults.

Every verb is given the job's pinned credential; an adapter keeps none. A handle and an output are JSON that the
adapter alone understands: they are stored with the job, so any process can go on where another stopped.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from rushes.catalogue.model import Model
from rushes.domain.output import Output
from rushes.domain.progress import Handle, Progress, Submission
from rushes.domain.request import InputMedia, VideoRequest
from rushes.errors import SubmissionUnknown, UnsupportedOption

ReadMedia = Callable[[InputMedia], Awaitable[bytes]]


@dataclass(frozen=True, slots=True)
class Credential:
    """A secret of one of the shapes its provider has. It never shows in a repr, a log or an error."""

    kind: str
    secret: str = field(repr=False)
    is_callers: bool = False
    """Brought by the caller for one job: what else the operator has configured (a bucket, a project) is not for it."""
    account_id: str | None = None
    """The account of the job it is used for, so that an adapter that works on this machine takes turns by account."""


NO_CREDENTIAL = Credential(kind="none", secret="")


class Provider(ABC):
    """One upstream API. Stateless but for its HTTP client: everything a job needs is in its handle."""

    name: str
    no_generation: str | None = "00000000-0000-4000-8000-000000000000"
    """The id of a generation that does not exist; None if asking for one says nothing of the credential."""

    @abstractmethod
    async def submit(
        self,
        model: Model,
        request: VideoRequest,
        *,
        attempt_id: str,
        credential: Credential,
        read_media: ReadMedia,
    ) -> Submission:
        """Ask for `request.n` videos and return how to find them again.

        Raises ProviderRejected, ContentFiltered, ProviderAuth or ProviderQuota if it is certain that nothing was
        accepted, ProviderUnavailable otherwise, its `accepted` saying what is known.
        """

    @abstractmethod
    async def poll(self, handle: Handle, *, credential: Credential) -> Progress:
        """How far the generation is. Safe to repeat, also after it has finished.

        A generation that ended badly is a `Failed`, not an exception. Raises ProviderUnavailable, ProviderQuota or
        UnexpectedResponse if this poll failed: the generation may be well.
        """

    async def find(self, attempt_id: str, *, credential: Credential) -> Submission | None:
        """After a crash: the submission made under `attempt_id`, or None if it is certain that none was accepted.

        Raises SubmissionUnknown where the provider has no way to tell, which is the default.
        """
        raise SubmissionUnknown(
            f"'{self.name}' offers no way to look up whether attempt '{attempt_id}' was accepted; "
            "it may have been, and may be charged"
        )

    def handle_for(self, provider_video_id: str) -> Handle:
        """The handle of a generation known only by the provider's own id, for an operator who found it there.

        Raises UnsupportedOption where that id is not enough, which is the default.
        """
        raise UnsupportedOption(f"'{self.name}' cannot take up a generation by its id", field="provider_id")

    async def try_credential(self, *, credential: Credential) -> None:
        """Ask something that costs nothing, to see whether the provider refuses the credential.

        The default looks for a generation that does not exist. Raises UnsupportedOption where nothing free is known to
        tell; LookRefused, ProviderAuth or ProviderRejected if it is refused; ProviderUnavailable, ProviderQuota or
        UnexpectedResponse if the provider cannot be asked now.
        """
        if self.no_generation is None:
            raise UnsupportedOption(f"'{self.name}' has no call that costs nothing", field="credential")
        await self.poll(self.handle_for(self.no_generation), credential=credential)

    async def list_models(self, *, credential: Credential) -> tuple[str, ...]:
        """The ids of the video models that the provider offers now, as it knows them (`Model.upstream_id`).

        Raises UnsupportedOption where there is no such list, which is the default; ProviderUnavailable, ProviderAuth,
        ProviderQuota or UnexpectedResponse if it cannot be read now.
        """
        raise UnsupportedOption(f"'{self.name}' has no list of its models", field="models")

    async def list_entries(self, *, credential: Credential) -> tuple[Mapping[str, Any], ...]:
        """The same list with what it states of each model, as a catalogue file would say it: `id` and other fields.

        Raises UnsupportedOption where the list has nothing but ids, which is the default; else as `list_models`.
        """
        raise UnsupportedOption(f"'{self.name}' lists ids alone", field="models")

    async def misfits(self, models: Sequence[Model], *, credential: Credential) -> tuple[str, ...]:
        """What of these models the provider cannot run as they are configured, a sentence each; the default: nothing.

        Raises ProviderUnavailable, ProviderAuth, ProviderQuota or UnexpectedResponse if it cannot be asked now.
        """
        return ()

    async def cancel(self, handle: Handle, *, credential: Credential) -> None:
        """Stop the generation. Raises UnsupportedOption where the provider cannot, which is the default."""
        raise UnsupportedOption(f"'{self.name}' cannot cancel a running generation", field="cancel")

    @abstractmethod
    def fetch(self, handle: Handle, output: Output, *, credential: Credential) -> AsyncGenerator[bytes, None]:
        """The bytes of one output, in chunks of at most 1 MiB.

        Raises OutputLost if the provider no longer has it, ProviderUnavailable if another try may succeed.
        """

    async def release(self, handle: Handle, *, credential: Credential) -> None:
        """Remove what the adapter keeps on this machine for a job that has ended. The default: nothing is kept.

        It is not called after a crash, so an adapter also removes old files by itself.
        """

    async def close(self) -> None:
        """Release what the adapter holds. Called once, when the service stops."""
