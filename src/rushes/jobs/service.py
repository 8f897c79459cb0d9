"""What callers do with jobs: create, get, list, cancel. Everything that can be wrong is found before money is spent."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal

from rushes.accounts.keys import Caller, Mode
from rushes.catalogue.check import complete
from rushes.catalogue.choose import choose
from rushes.catalogue.load import Catalogue
from rushes.catalogue.model import Model
from rushes.catalogue.price import estimate_usd
from rushes.errors import NoCredentials
from rushes.ids import new_id
from rushes.jobs.job import Job, Status
from rushes.jobs.store import JobStore, Listing, NewJob
from rushes.media.inputs import GivenMedia, Inputs
from rushes.video.request import VideoRequest

ANIMATIC = "animatic"
TEST_MODEL = "storyboard"


@dataclass(frozen=True, slots=True)
class Policy:
    """What the operator has decided about new jobs. Holds are how long a job stays cancellable, in seconds."""

    hold_s: float = 0
    test_hold_s: float = 1


class JobService:
    """The caller's side of jobs. `wake` tells the worker in how many seconds there may be something to do."""

    def __init__(
        self,
        store: JobStore,
        catalogue: Catalogue,
        inputs: Inputs,
        *,
        served_providers: frozenset[str],
        credential_names: Callable[[str], tuple[str, ...]],
        policy: Policy,
        wake: Callable[[float], None],
    ) -> None:
        self._store = store
        self._catalogue = catalogue
        self._inputs = inputs
        self._served_providers = served_providers
        self._credential_names = credential_names
        self._policy = policy
        self._wake = wake

    async def create(
        self,
        caller: Caller,
        request: VideoRequest,
        *,
        media: Sequence[GivenMedia] = (),
        model: str | None,
        provider: str | None,
        response_format: str,
    ) -> Job:
        """Accept one generation: choose the model, check and complete the options, pin the price, store the job.

        `media` is taken in last: nothing is decoded or fetched for a request that is refused anyway. Raises
        ModelNotFound, ProviderNotFound, UnsupportedOption, InvalidRequest, NoCredentials or what `Inputs.take` raises;
        no job is stored then.
        """
        asked = choose(self._catalogue, model, provider)
        test = caller.mode is Mode.TEST
        completed = complete(asked, replace(request, media=tuple(item.expected() for item in media)), test=test)
        served, warnings = self._serve(asked, test)
        completed = replace(completed, media=await self._inputs.take(caller.account_id, media))
        free = served.provider == ANIMATIC
        hold_s = self._policy.test_hold_s if free else self._policy.hold_s
        job = await self._store.create(
            NewJob(
                id=new_id("job"),
                account_id=caller.account_id,
                key_id=caller.key_id,
                provider=asked.provider,
                model=asked.id,
                served_provider=served.provider,
                served_model=served.id,
                request=completed,
                response_format=response_format,
                cost_usd=Decimal(0) if free else estimate_usd(served, completed),
                usual_s=served.usual_s,
                reports_progress=served.reports_progress,
                warnings=warnings,
                lane=f"{served.provider}/{served.id}",
                lane_capacity=served.concurrency,
                hold_s=hold_s,
                deadline_s=served.deadline_s,
            )
        )
        self._wake(hold_s)
        return job

    async def get(self, caller: Caller, job_id: str) -> Job:
        """The caller's job. Raises JobNotFound."""
        return await self._store.get(caller.account_id, job_id)

    async def get_by_link(self, job_id: str) -> Job:
        """The job behind a link whose signature was checked. Raises JobNotFound."""
        return await self._store.get_any(job_id)

    async def list(self, caller: Caller, listing: Listing) -> tuple[Sequence[Job], int | None]:
        """The caller's matching jobs, newest first, and how many match in all, where that is kept."""
        jobs = await self._store.list(caller.account_id, listing)
        total = await self._store.count(caller.account_id, listing.status) if listing.counted else None
        return jobs, total

    async def count(self, caller: Caller, status: Status | None = None) -> int:
        """How many jobs the caller has."""
        return await self._store.count(caller.account_id, status)

    async def delete(self, caller: Caller, job_id: str) -> None:
        """Forget a finished job and its videos. Raises JobNotFound or JobNotFinished."""
        await self._store.delete(caller.account_id, job_id)

    async def cancel(self, caller: Caller, job_id: str) -> Job:
        """Cancel a pending job; again is no error. Raises JobNotFound or NotCancellable."""
        job = await self._store.cancel(caller.account_id, job_id)
        self._wake(0)
        return job

    def _serve(self, asked: Model, test: bool) -> tuple[Model, tuple[str, ...]]:
        """The model that really runs, and what the caller should know about that."""
        if asked.provider == ANIMATIC:
            return asked, ()
        if test:
            animatic = self._catalogue.find(ANIMATIC, TEST_MODEL)
            assert animatic is not None
            return animatic, (
                f"Test mode: the embedded animatic draws this video at no cost; it is not the work of '{asked.id}'.",
            )
        if asked.provider not in self._served_providers:
            names = " or ".join(self._credential_names(asked.provider))
            raise NoCredentials(
                f"No credentials for the provider of model '{asked.provider}/{asked.id}': set {names}, "
                "or send your own key as byok_api_key"
            )
        return asked, ()
