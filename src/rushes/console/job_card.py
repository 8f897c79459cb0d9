"""A job as the console's templates show it."""

from __future__ import annotations

from dataclasses import dataclass

from rushes.console.visit import Visit
from rushes.domain.job import Job
from rushes.views.job import JobView, view_of


@dataclass(frozen=True, slots=True)
class JobCard:
    """One job of a list: what the API says of it, and what a page needs besides. Links are relative to this host."""

    view: JobView
    created_at: int
    poster_url: str | None
    video_url: str | None
    duration: float | None

    @property
    def job_id(self) -> str:
        """Its id."""
        return self.view.job_id

    @property
    def status(self) -> str:
        """The word that callers see."""
        return self.view.status.value


def card_of(visit: Visit, job: Job) -> JobCard:
    """The job as it is now."""
    services = visit.services
    view = view_of(job, services.links, None, visit.now_ms)
    first = None
    if job.outputs and job.has_files(visit.now_ms):
        expires_at_ms = services.links.expires_at_ms()
        first = (
            services.links.to_poster(visit.root, job, 0, expires_at_ms),
            services.links.to_video(visit.root, job, 0, expires_at_ms),
            job.outputs[0].duration_s,
        )
    poster_url, video_url, duration = first or (None, None, None)
    return JobCard(view, job.created_at, poster_url, video_url, duration)
